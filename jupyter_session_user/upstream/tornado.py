"""The private names of Tornado, each behind a function that explains it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

__all__ = ["close_handler_of", "cookies_being_set", "is_answered"]


def cookies_being_set(handler: Any) -> MutableMapping[str, Any]:
    """Return the cookies that a handler's response sets, as morsels by name.

    Tornado makes the attribute when the first one is set.
    """
    cookies: MutableMapping[str, Any] = getattr(handler, "_new_cookie", {})
    return cookies


def is_answered(handler: Any) -> bool:
    """Tell whether a handler has finished its response."""
    return bool(handler._finished)  # noqa: SLF001 - Tornado has no public word


def close_handler_of(request: Any) -> Any:
    """Return the handler that is notified when a request's connection closes; None without one.

    An open websocket has none.
    """
    callback = getattr(getattr(request, "connection", None), "_close_callback", None)
    return getattr(callback, "__self__", None)
