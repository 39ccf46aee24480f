"""ASGI apps: FastAPI, Starlette, and what is mounted in them.

The middleware says for each request and each websocket whose it is; nothing is patched.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.hosts import prepare
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession
from jupyter_session_user.hosts.middleware import (
    Served,
    TrustedHeader,
    as_user,
    serving,
    user_of_framework,
)

__all__ = ["HOST", "META", "SessionUserMiddleware", "current_request"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Under this key of ``scope["meta"]`` an app that is mounted inside, and runs its code elsewhere,
#: finds who asks: marimo hands "meta" on to its kernels. A client cannot write there.
META = "jupyter_session_user"

#: What is being served in this context; it may be over.
current_request: ContextVar[Served | None] = ContextVar("jupyter_session_user.asgi", default=None)


class SessionUserMiddleware:
    """Say who the current user is in handlers, dependencies, websockets and mounted apps.

        app.add_middleware(SessionUserMiddleware, user=lambda scope: scope["session"].get("user"))

    Without ``user`` and ``trusted_header``, the person is ``scope["user"]``, which Starlette's
    ``AuthenticationMiddleware`` sets, whether that stands inside or outside of this one.

    Args:
        app: The ASGI app.
        user: Returns whom a scope belongs to: a username, a User, or None; plain or async.
        verified: Whether ``user`` checks what it returns. False where it believes the client.
        trusted_header: A header in which a proxy says who is there.
        trusted_proxies: From which addresses it counts (networks, or ``*`` where nobody but the
            proxy can connect): by ``scope["client"]``, which the server may take from
            ``X-Forwarded-For``.

    Raises:
        ConfigurationError: The arguments contradict each other.
    """

    def __init__(
        self,
        app: App,
        user: Callable[[Scope], Any] | None = None,
        *,
        verified: bool = True,
        trusted_header: str = "",
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        if user is not None and trusted_header:
            raise ConfigurationError("SessionUserMiddleware: pass user= or trusted_header=")
        _host.in_use = True
        self.app = app
        self._user = user
        self._verified = verified
        self._header = TrustedHeader(trusted_header, trusted_proxies) if trusted_header else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one websocket, or the lifespan."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        prepare()  # what is mounted inside may have been imported after us
        with serving(current_request, None):
            served = Served("asgi", await self._named(scope), lambda: _request(scope))
        with serving(current_request, served):
            try:
                await self.app(scope, receive, _outside(send))
            finally:
                served.live = False

    async def _named(self, scope: Scope) -> Callable[[], tuple[User | None, bool]]:
        if self._user is None and self._header is None:
            return lambda: (user_of_framework(scope.get("user")), True)
        if self._header is not None:
            client = scope.get("client")
            values = _header(scope, self._header.name)
            answer: Any = self._header.user(client[0] if client else None, values)
        else:
            answer = self._user(scope) if self._user is not None else None
            answer = await answer if inspect.isawaitable(answer) else answer
        user, verified = as_user(answer), self._verified
        wire = None if user is None else user.to_wire()
        meta = {**(scope.get("meta") or {}), META: {"user": wire, "verified": verified}}
        scope["meta"] = meta
        return lambda: (user, verified)


def _outside(send: Send) -> Send:
    """Return ``send`` so that the server's own code belongs to nobody.

    It may begin the next request of this connection in there (uvicorn does, when requests are
    pipelined), and that request's task would start with a copy of this one's context.
    """

    async def send_outside(message: Message) -> None:
        with serving(current_request, None):
            await send(message)

    return send_outside


def _header(scope: Scope, name: str) -> list[str]:
    wanted = name.encode("latin-1")
    return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]


def _request(scope: Scope) -> HostRequest:
    pairs = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]]
    return HostRequest([value for key, value in pairs if key == "cookie"], dict(pairs))


class _Asgi:
    name = "asgi"
    in_use = False

    def current(self) -> HostSession | None:
        served = current_request.get()
        return None if served is None else served.session()

    def install(self) -> None:
        """Do nothing: the app puts the middleware where it belongs."""

    def serving(self) -> bool:
        return self.in_use


_host = _Asgi()
HOST: Host = _host
