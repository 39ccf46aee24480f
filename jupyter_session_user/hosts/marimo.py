"""marimo: the HTTP request behind the cell, the callback or the task that is running.

All private names of marimo stand in this file: ``_first_read``.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession, Visitor, moved
from jupyter_session_user.hosts.middleware import read_user, user_of_framework, visitor_of

__all__ = ["HOST"]

#: Where ``hosts/asgi`` leaves whom the middleware named; marimo hands "meta" on to its kernels.
_META = "jupyter_session_user"
#: Whom marimo makes up for everybody, with a token and without one. It says "is_authenticated".
_MADE_UP = {"username": "user", "is_authenticated": True, "display_name": "user"}

_modules = sys.modules

#: The last request that somebody asked about in this context, its visitor, and what tells
#: this page from others: a kernel of ``marimo run`` is one page's.
_met: ContextVar[tuple[Any, Visitor, str] | None] = ContextVar(
    "jupyter_session_user.marimo", default=None
)


class _Marimo:
    name = "marimo"

    def __init__(self) -> None:
        self._has_served = False
        self._read: Callable[[None], Any] | None = None

    def current(self) -> HostSession | None:
        read = self._read
        request = read(None) if read is not None else self._first_read()
        if request is None:
            return None  # merely imported, a bare thread, or a command that no request sent
        met = _met.get()
        if met is None or met[0] is not request:
            stranger = secrets.token_hex(16) if met is None else met[2]
            met = (request, _visitor(request, stranger), stranger)
            _met.set(met)
            self._has_served = True
        return met[1].session()

    def _first_read(self) -> Any:
        """Return the request that sent what the kernel is doing in this context.

        ``mo.app_meta().request`` is the same, but for ``asyncio.to_thread``, where it is None.
        """
        module = _modules.get("marimo._messaging.context")
        variable = getattr(module, "HTTP_REQUEST_CTX", None)
        if variable is not None:
            self._read = variable.get
            return variable.get(None)
        if _modules["marimo"].running_in_notebook():
            raise moved("marimo", "_messaging.context.HTTP_REQUEST_CTX")
        return None

    def install(self) -> None:
        """Do nothing: nothing of marimo is patched."""

    def serving(self) -> bool:
        return self._has_served or "marimo._server.start" in _modules


def _visitor(request: Any, stranger: str) -> Visitor:
    headers = dict(request.headers)
    sent = HostRequest([headers.get("cookie", "")], headers)
    user, verified = _named(request)
    return visitor_of("marimo", user, sent, verified=verified, stranger=stranger)


def _named(request: Any) -> tuple[User | None, bool]:
    """Return whom our middleware named, else one of the app's own, and never marimo's default."""
    ours = request.meta.get(_META)
    if ours is not None:
        user = None if ours["user"] is None else User.from_wire(ours["user"])
        return user, ours["verified"] is True
    found = request.user
    if not found or all(read_user(found, key) == value for key, value in _MADE_UP.items()):
        return None, False
    return user_of_framework(found), True


HOST: Host = _Marimo()
