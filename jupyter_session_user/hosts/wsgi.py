"""WSGI apps: Flask, Dash and similar. The middleware names the user of each request."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from http.client import responses
from typing import Any

from jupyter_session_user.core.denied import answer
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import AccessDenied, ConfigurationError, IdentityUnavailable
from jupyter_session_user.hosts import prepare
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession
from jupyter_session_user.hosts.middleware import Served, TrustedHeader, as_user, serving
from jupyter_session_user.kernel import message_context

__all__ = ["HOST", "SessionUserWSGIMiddleware", "current_request"]

Environ = dict[str, Any]

#: Servers (``SERVER_SOFTWARE``) that drop headers with an underscore in their names, and since
#: which major version; waitress has done so since 2015, and gives no version there.
_DROPS_ALIASES = {"gevent": 20, "gunicorn": 22, "waitress": 0, "Werkzeug": 3}

#: Where Dash's page asks for what the app's layout function returns.
_DASH_LAYOUT = "/_dash-layout"

current_request: ContextVar[Served | None] = ContextVar("jupyter_session_user.wsgi", default=None)
message_context.variables.append(current_request)


class SessionUserWSGIMiddleware:
    """Set the current user while a WSGI app answers a request, streamed bodies included.

        app.wsgi_app = SessionUserWSGIMiddleware(
            app.wsgi_app, user=lambda environ: flask.session.get("user")
        )

    Args:
        app: The WSGI app.
        user: Returns the user of the request: a username, a User, or None. It is called on
            first use, so Flask's ``session`` and Flask-Login's ``current_user`` are available.
            Without it, and without ``trusted_header``, the user is the server's
            ``REMOTE_USER``.
        verified: Whether ``user`` checks its result. False if it trusts the client.
        trusted_header: A header in which a proxy names the user.
        trusted_proxies: The addresses from which the header counts (networks, or ``*`` where
            only the proxy can connect). They are compared with ``REMOTE_ADDR``, which another
            middleware may have set.
        header_is_exact: Whether the proxy removes every other spelling of the header, such as
            ``X_Forwarded_User``, and all but one value. WSGI cannot distinguish the spellings;
            gunicorn from 22 on, waitress, gevent and Werkzeug drop them themselves. Behind
            another server the header counts only if this is True.

    Raises:
        ConfigurationError: The arguments contradict each other.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        user: Callable[[Environ], Any] | None = None,
        *,
        verified: bool = True,
        trusted_header: str = "",
        trusted_proxies: Sequence[str] = (),
        header_is_exact: bool = False,
    ) -> None:
        if user is not None and trusted_header:
            raise ConfigurationError("SessionUserWSGIMiddleware: pass user= or trusted_header=")
        _host.in_use = True
        # Flask answers with the status of an AccessDenied; the error does not reach us.
        flask = getattr(app, "__self__", None)
        register = getattr(flask, "register_error_handler", None)
        handlers = getattr(flask, "error_handler_spec", {}).get(None, {}).get(None, {})
        if register is not None and AccessDenied not in handlers:
            register(AccessDenied, _refuse_in_flask)
        _host.authenticates |= user is not None or bool(trusted_header)
        self.app = app
        self._user = user
        self._verified = verified
        self._header = TrustedHeader(trusted_header, trusted_proxies) if trusted_header else None
        self._header_is_exact = header_is_exact

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        prepare()  # an app inside may have been imported after us
        returned, start = False, _Start(start_response)

        def named() -> tuple[User | None, bool]:
            try:
                return self._named(environ)
            except RuntimeError:
                if not returned:
                    raise
                raise IdentityUnavailable(
                    "The view has returned, and the function that says who is there (user=) needs "
                    "its request. Call get_current_user() in the view, or wrap the streamed "
                    "generator in Flask's stream_with_context.",
                    reason="no_context",
                ) from None

        served = Served(
            "wsgi",
            named,
            lambda: HostRequest.of(
                (key[5:].replace("_", "-"), value)
                for key, value in environ.items()
                if key.startswith("HTTP_")
            ),
            authenticates=lambda: _is_named(environ),
        )
        try:
            with serving(current_request, served):
                body = self.app(environ, start)
        except AccessDenied as error:
            served.live = False
            return _refuse(error, environ, start)
        except BaseException:  # every exception that ends the request also ends its user
            served.live = False
            raise
        returned = True
        file = environ.get("wsgi.file_wrapper")
        if isinstance(body, list | tuple) or (isinstance(file, type) and isinstance(body, file)):
            served.live = False  # no app code runs for it any more
            return body
        return _Body(body, served)

    def _named(self, environ: Environ) -> tuple[User | None, bool]:
        if self._user is not None:
            return as_user(self._user(environ)), self._verified
        if self._header is None:
            return as_user(environ.get("REMOTE_USER")), self._verified
        return self._user_of_header(self._header, environ), self._verified

    def _user_of_header(self, header: TrustedHeader, environ: Environ) -> User | None:
        value = environ.get(f"HTTP_{header.name.upper().replace('-', '_')}")
        peer = environ.get("REMOTE_ADDR")
        if value is None or not header.trusts(peer):
            return None
        software = environ.get("SERVER_SOFTWARE", "")
        if not (self._header_is_exact or _drops_aliases(software)):
            raise IdentityUnavailable(
                f"The header {header.name!r} came, and {software or 'this WSGI server'} may not "
                "tell it from one with '_' for '-', or from a second one, which a visitor can "
                "send. Serve the app with gunicorn 22 or newer, waitress or gevent, or as ASGI "
                "with SessionUserMiddleware; or pass header_is_exact=True where the proxy takes "
                "every other spelling, and a second value, out of each request.",
                reason="unsupported_host",
            )
        return header.user(peer, value.split(","))  # such servers join two values with a comma


class _Start:
    """The server's ``start_response``.

    Attributes:
        begun: Whether the app has begun its answer. A second call may replace it (PEP 3333), but
            gunicorn then sends the headers of both.
    """

    def __init__(self, start_response: Callable[..., Any]) -> None:
        self._start_response = start_response
        self.begun = False

    def __call__(self, *args: Any) -> Any:
        self.begun = True
        return self._start_response(*args)


def _refuse(error: AccessDenied, environ: Environ, start: _Start) -> list[bytes]:
    """Answer a refused request, in an app without a framework that does it."""
    if start.begun:
        raise error
    status, headers, body = answer(error, environ.get("HTTP_ACCEPT", ""))
    headers["Content-Length"] = str(len(body))
    start(f"{status} {responses.get(status, 'Forbidden')}", list(headers.items()))
    return [body]


def _refuse_in_flask(error: AccessDenied) -> tuple[bytes, int, dict[str, str]]:
    request = sys.modules["flask"].request
    status, headers, body = answer(error, request.headers.get("Accept", ""))
    if request.path.endswith(_DASH_LAYOUT) and "dash" in sys.modules:
        return _in_place_of_layout(error), 200, headers
    return body, status, headers


def _in_place_of_layout(error: AccessDenied) -> bytes:
    """Return a layout with the sentence: of any other answer, Dash shows "Error loading layout"."""
    html = sys.modules["dash"].html
    component = html.Div(html.P(error.sentence), role="alert", style={"padding": "2rem"})
    shown = {**component.to_plotly_json()}
    shown["props"] = {**shown["props"], "children": shown["props"]["children"].to_plotly_json()}
    return json.dumps(shown).encode()


def _is_named(environ: Environ) -> bool:
    """Return whether visitors may be named: the server gives ``REMOTE_USER`` to some requests."""
    _host.authenticates |= "REMOTE_USER" in environ or "AUTH_TYPE" in environ
    return _host.authenticates


def _drops_aliases(software: str) -> bool:
    """Return whether a server drops headers with an underscore, and joins two of one name."""
    name, _, version = software.partition("/")
    major = version.partition(".")[0]
    oldest = _DROPS_ALIASES.get(name)
    return oldest is not None and (int(major) if major.isdecimal() else 0) >= oldest


class _Body:
    """A response body; its chunks are made as the user of the request."""

    def __init__(self, body: Iterable[bytes], served: Served) -> None:
        self._body = body
        self._served = served
        with serving(current_request, served):
            self._chunks = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with serving(current_request, self._served):
            return next(self._chunks)

    def close(self) -> None:
        """End the request, as servers do after the last chunk."""
        try:
            with serving(current_request, self._served):
                close = getattr(self._body, "close", None)
                if close is not None:
                    close()
        finally:
            self._served.live = False


class _Wsgi:
    name = "wsgi"
    in_use = False
    #: Whether a login of the app or of the server has named a visitor, or may do so.
    authenticates = False

    def current(self) -> HostSession | None:
        served = current_request.get()
        return None if served is None else served.session()

    def install(self) -> None:
        """Do nothing: the app adds the middleware itself."""

    def serving(self) -> bool:
        return self.in_use


_host = _Wsgi()
HOST: Host = _host
