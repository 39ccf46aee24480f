"""Finds the kernels that a request names: in its path, or in a body for ``api/sessions``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["kernels_named_by"]


def kernels_named_by(handler: Any) -> Iterator[str]:
    """Yield the strings of a request that may be kernel ids.

    Args:
        handler: A Tornado handler with a known route.
    """
    path = (*handler.path_args, *handler.path_kwargs.values())
    yield from (part for part in path if isinstance(part, str))
    if "/api/sessions" in handler.request.path:
        try:  # exactly as JupyterHandler.get_json_body reads it
            body = json.loads(handler.request.body.strip().decode("utf-8") or "{}")
        except (ValueError, RecursionError):
            return  # the handler will report the error
        kernel = _mapping(_mapping(body).get("kernel"))
        if isinstance(kernel.get("id"), str):
            yield kernel["id"]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
