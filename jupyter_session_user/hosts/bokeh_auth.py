"""An auth module around the app's own: it loads us in ``bokeh serve`` without a change in the app.

    JUPYTER_SESSION_USER_AUTH_MODULE=auth.py bokeh serve app.py --auth-module /path/to/this/file

Without the variable there is no login, as without an auth module.
"""

from __future__ import annotations

import os
from typing import Any

import jupyter_session_user.hosts

__all__: list[str] = []


def _own(path: str) -> dict[str, Any]:
    from bokeh.server.auth_provider import load_auth_module  # noqa: PLC0415 - see the planes

    names = vars(load_auth_module(path))
    return {name: value for name, value in names.items() if not name.startswith("__")}


jupyter_session_user.hosts.prepare()
if path := os.environ.get("JUPYTER_SESSION_USER_AUTH_MODULE"):
    globals().update(_own(path))
