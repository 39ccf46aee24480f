"""The pages of the server: templates of Jinja2, with their script and style."""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any

import jinja2

__all__ = ["read", "render"]


_FOLDERS = {"banner.css": "banner"}


@functools.cache
def read(name: str) -> str:
    """Return the text of a template, a style or a script.

    The scripts are built from ``labextension/src/pages``.
    """
    folder = "dist" if name.endswith(".js") else _FOLDERS.get(name, "server/page_files")
    files = importlib.resources.files("jupyter_session_user") / folder
    return (files / name).read_text(encoding="utf-8")


_ENVIRONMENT = jinja2.Environment(loader=jinja2.FunctionLoader(read), autoescape=True)


def render(name: str, **values: Any) -> str:
    """Return a page.

    Args:
        name: The template in ``server/page_files``.
        values: Its variables, which are escaped.
    """
    return _ENVIRONMENT.get_template(name).render(values)
