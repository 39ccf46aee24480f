"""ASGI apps: FastAPI, Starlette, and the apps mounted in them.

The middleware names the user of each request and each websocket; it patches nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any

from jupyter_session_user.core.denied import answer
from jupyter_session_user.core.proxy_headers import alike
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import AccessDenied, ConfigurationError
from jupyter_session_user.hosts import prepare
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession
from jupyter_session_user.hosts.middleware import (
    META,
    Served,
    TrustedHeader,
    as_user,
    named_in_meta,
    serving,
    user_of_framework,
)
from jupyter_session_user.kernel import message_context

__all__ = [
    "HOST",
    "SessionUserMiddleware",
    "current_request",
    "is_named",
    "named_in",
    "request_of",
    "vouches_for",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: RFC 6455 section 7.4.1.
_POLICY_VIOLATION = 1008

#: The request that this context serves or has served.
current_request: ContextVar[Served | None] = ContextVar("jupyter_session_user.asgi", default=None)
message_context.variables.append(current_request)


class SessionUserMiddleware:
    """Set the current user in handlers, dependencies, websockets and mounted apps.

        app.add_middleware(SessionUserMiddleware, user=lambda scope: scope["session"].get("user"))

    Without ``user`` and ``trusted_header``, the user is ``scope["user"]``, which Starlette's
    ``AuthenticationMiddleware`` sets, inside or outside of this middleware.

    Args:
        app: The ASGI app.
        user: Returns the user of a scope: a username, a User, or None; plain or async.
        verified: Whether ``user`` checks its result. False if it trusts the client.
        trusted_header: A header in which a proxy names the user.
        trusted_proxies: The addresses from which the header counts (networks, or ``*`` where only
            the proxy can connect). They are compared with ``scope["client"]``, which the
            server may take from ``X-Forwarded-For``.

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
        # Starlette and FastAPI answer with status 500 before the error reaches this middleware.
        register = getattr(app, "add_exception_handler", None)
        if register is not None and AccessDenied not in getattr(app, "exception_handlers", {}):
            register(AccessDenied, _refuse)
        _host.authenticates |= user is not None or bool(trusted_header)
        self.app = app
        self._user = user
        self._verified = verified
        self._header = TrustedHeader(trusted_header, trusted_proxies) if trusted_header else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one websocket, or the lifespan."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        prepare()  # a mounted app may have been imported after us
        with serving(current_request, None):
            named = await self._named(scope)
            served = Served(
                "asgi",
                named,
                lambda: request_of(scope),
                authenticates=lambda: is_named(scope),
            )
        sender = _Sender(send)
        with serving(current_request, served):
            try:
                await self.app(scope, receive, sender.send)
            except AccessDenied as error:
                if sender.begun:
                    raise
                await _Refusal(error)(scope, receive, sender.send)
            finally:
                served.live = False

    async def _named(self, scope: Scope) -> Callable[[], tuple[User | None, bool]]:
        if self._user is None and self._header is None:
            return lambda: (user_of_framework(scope.get("user")), True)
        if self._header is not None:
            client = scope.get("client")
            values = _header(scope, self._header.name)
            said: Any = self._header.user(client[0] if client else None, values)
        else:
            said = self._user(scope) if self._user is not None else None
            said = await said if inspect.isawaitable(said) else said
        user, verified = as_user(said), self._verified
        wire = None if user is None else user.to_wire()
        meta = {**(scope.get("meta") or {}), META: {"user": wire, "verified": verified}}
        scope["meta"] = meta
        return lambda: (user, verified)


class _Sender:
    """The messages to the server for one request or one websocket.

    The server's own code has no user: it may begin the next request of this connection there
    (uvicorn does when requests are pipelined), and that request's task would start with a copy of
    this one's context.

    Attributes:
        begun: Whether the app has answered; a websocket is answered when it is accepted.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def send(self, message: Message) -> None:
        """Send one message of the app."""
        self.begun = True
        with serving(current_request, None):
            await self._send(message)


class _Refusal:
    """An ASGI app that refuses access.

    The answer is a page for browsers, else JSON, as in FastAPI. A websocket is closed; before it
    is accepted, the answer is HTTP status 403.
    """

    def __init__(self, error: AccessDenied) -> None:
        self._error = error

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        accepted = [value.decode("latin-1") for key, value in scope["headers"] if key == b"accept"]
        status, fields, body = answer(self._error, ",".join(accepted))
        headers = [(key.lower().encode(), value.encode()) for key, value in fields.items()]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _refuse(_connection: object, error: AccessDenied) -> _Refusal:
    return _Refusal(error)


def _header(scope: Scope, name: str) -> list[str]:
    """Return the values of a header; none if the request also has another spelling of its name.

    ``X_Forwarded_User`` is a different header in ASGI, but the same header in WSGI and CGI: a
    proxy that removes only one of them from a request lets the visitor write the other.
    """
    headers = [(key.decode("latin-1"), value) for key, value in scope["headers"]]
    found = [(key, value) for key, value in headers if alike(key) == alike(name)]
    exact = [value.decode("latin-1") for key, value in found if key == name]
    return exact if len(exact) == len(found) else []


def request_of(scope: Scope) -> HostRequest:
    """Return the cookies and headers of a request or a websocket."""
    return HostRequest.of(
        (key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]
    )


def named_in(scope: Scope) -> tuple[User | None, bool]:
    """Return the user of a scope, even after its end, and whether the name was checked.

    For mounted apps that go on with a page after its request. The user that our middleware left
    there counts; otherwise the user of Starlette's authentication middleware.
    """
    named = named_in_meta(scope.get("meta"))
    return (user_of_framework(scope.get("user")), True) if named is None else named


def is_named(scope: Scope) -> bool:
    """Return whether a login of the app names the visitors of this scope, or may do so.

    Once an authentication middleware has been seen, it may come later in any request.
    """
    _host.authenticates |= "user" in scope or META in (scope.get("meta") or {})
    return _host.authenticates


def vouches_for(scope: Scope) -> bool:
    """Return whether any middleware has named this scope's user or called it anonymous."""
    return _host.in_use or "user" in scope or META in (scope.get("meta") or {})


class _Asgi:
    name = "asgi"
    in_use = False
    #: Whether a login of the app has named a visitor, or called one anonymous.
    authenticates = False

    def current(self) -> HostSession | None:
        served = current_request.get()
        return None if served is None else served.session()

    def install(self) -> None:
        """Do nothing: the app adds the middleware itself."""

    def serving(self) -> bool:
        return self.in_use


_host = _Asgi()
HOST: Host = _host
