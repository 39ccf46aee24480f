"""WSGI apps: Flask, Dash and their like. The middleware says for each request whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession
from jupyter_session_user.hosts.middleware import Served, TrustedHeader, as_user, serving

__all__ = ["HOST", "SessionUserWSGIMiddleware"]

Environ = dict[str, Any]

_current: ContextVar[Served | None] = ContextVar("jupyter_session_user.wsgi", default=None)


class SessionUserWSGIMiddleware:
    """Say who the current user is while a WSGI app answers a request, streamed bodies included.

        app.wsgi_app = SessionUserWSGIMiddleware(
            app.wsgi_app, user=lambda environ: flask.session.get("user")
        )

    Args:
        app: The WSGI app.
        user: Returns whom the request belongs to: a username, a User, or None. It is called when
            somebody asks, so Flask's ``session`` and Flask-Login's ``current_user`` are there.
            Without it, and without ``trusted_header``, the person is the server's ``REMOTE_USER``.
        verified: Whether ``user`` checks what it returns. False where it believes the client.
        trusted_header: A header in which a proxy says who is there.
        trusted_proxies: From which addresses it counts (networks, or ``*`` where nobody but the
            proxy can connect): by ``REMOTE_ADDR``, which another middleware may have set.

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
    ) -> None:
        if user is not None and trusted_header:
            raise ConfigurationError("SessionUserWSGIMiddleware: pass user= or trusted_header=")
        _host.in_use = True
        self.app = app
        self._user = user
        self._verified = verified
        self._header = TrustedHeader(trusted_header, trusted_proxies) if trusted_header else None

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        served = Served("wsgi", lambda: self._named(environ), lambda: _request(environ))
        try:
            with serving(_current, served):
                body = self.app(environ, start_response)
        except BaseException:  # whatever ends the request ends what was said of it
            served.live = False
            raise
        if isinstance(body, list | tuple) or _is_file(body, environ):
            served.live = False  # no code of the app runs for it any more
            return body
        return _Body(body, served)

    def _named(self, environ: Environ) -> tuple[User | None, bool]:
        if self._user is not None:
            return as_user(self._user(environ)), self._verified
        if self._header is None:
            return as_user(environ.get("REMOTE_USER")), self._verified
        value = environ.get(f"HTTP_{self._header.name.upper().replace('-', '_')}", "")
        # Servers join a header that came twice by commas.
        return self._header.user(environ.get("REMOTE_ADDR"), value.split(",")), self._verified


class _Body:
    """A response body whose chunks are made as the person who asked for it."""

    def __init__(self, body: Iterable[bytes], served: Served) -> None:
        self._body = body
        self._served = served
        with serving(_current, served):
            self._chunks = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with serving(_current, self._served):
            return next(self._chunks)

    def close(self) -> None:
        """End the request, as servers do after the last chunk."""
        try:
            with serving(_current, self._served):
                close = getattr(self._body, "close", None)
                if close is not None:
                    close()
        finally:
            self._served.live = False


def _is_file(body: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def _request(environ: Environ) -> HostRequest:
    headers = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    return HostRequest([headers.get("cookie", "")], headers)


class _Wsgi:
    name = "wsgi"
    in_use = False

    def current(self) -> HostSession | None:
        served = _current.get()
        return None if served is None else served.session()

    def install(self) -> None:
        """Do nothing: the app puts the middleware where it belongs."""

    def serving(self) -> bool:
        return self.in_use


_host = _Wsgi()
HOST: Host = _host
