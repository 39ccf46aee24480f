"""What all hosts share: a visitor, the request that said who it is, and the session of both."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, ClassVar, Protocol

from jupyter_session_user.core.cookies import CookieJar, Cookies, parse_cookie_headers
from jupyter_session_user.core.platform_cookie import PlatformCookie
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import ConfigurationError, IdentityUnavailable
from jupyter_session_user.kernel.current import LiveSession

__all__ = [
    "Host",
    "HostRequest",
    "HostSession",
    "Visitor",
    "agreed",
    "moved",
    "take_from_cookie",
]

#: Session ids are of this process alone, and say nothing about what they are made from.
_KEY = secrets.token_bytes(32)

_ANONYMOUS = "Anonymous visitor"


class Host(Protocol):
    """One framework. Its file has the only private names of it that we use, as ``HOST``."""

    name: str

    def current(self) -> HostSession | None:
        """Return the session of the live context that this code runs in; None without one.

        Must not import the framework, and cost less than a microsecond where there is none.
        """
        ...

    def install(self) -> None:
        """Prepare what has to be watched; called once, when the framework is here."""
        ...

    def serving(self) -> bool:
        """Tell whether this process serves such an app at all: only for the error's text."""
        ...


class HostRequest:
    """What came with the real request: cookies and headers, as the browser sent them.

    Args:
        cookie_headers: Values of all ``Cookie`` headers (latin-1, as Tornado and WSGI have them).
        headers: All headers, each name once.
        signed: Verifies a signed cookie (name, max_age_days), where the host has the secret.
        jar: The cookies, where the framework keeps no raw header.
    """

    __slots__ = ("_cookie_headers", "_cookies", "_headers", "_jar", "_signed")
    #: Not to be handed on to app code: they are credentials, or have a way of their own.
    _HIDDEN: ClassVar[frozenset[str]] = frozenset({"cookie", "authorization"})

    def __init__(
        self,
        cookie_headers: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        *,
        signed: Callable[[str, float], str | None] | None = None,
        jar: CookieJar | None = None,
    ) -> None:
        self._cookie_headers = tuple(cookie_headers)
        self._headers = headers
        self._signed = signed
        self._jar = jar
        self._cookies: Cookies | None = None

    @property
    def jar(self) -> CookieJar:
        """The cookies, parsed once."""
        if self._jar is None:
            self._jar = parse_cookie_headers(self._cookie_headers)
        return self._jar

    @property
    def cookies(self) -> Cookies:
        """The cookies for app code."""
        if self._cookies is None:
            self._cookies = Cookies(self.jar, signed=self._signed)
        return self._cookies

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name, without those that hold credentials."""
        headers = {name.lower(): value for name, value in (self._headers or {}).items()}
        return {name: headers[name] for name in headers.keys() - self._HIDDEN}


class HostSession(LiveSession):
    """A session of an app; its cookies are at hand, and no server need be asked.

    Attributes:
        request: What came with the request.
    """

    __slots__ = ("request",)
    request: HostRequest

    def own_cookies(self) -> Cookies | None:
        """Return the cookies of the visitor's own request."""
        return self.request.cookies

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the visitor's own request, by lower-case name."""
        return self.request.headers

    def refresh(self) -> LiveSession:
        """Return the session: the app's host knows nothing newer."""
        return self

    def __setstate__(self, state: Any) -> None:
        """Take what a pickle says; the request stays where it came."""
        super().__setstate__(state)
        object.__setattr__(self, "request", HostRequest())


class Visitor:
    """Who a request was made by. Hosts keep one for each page, connection, or request.

    Args:
        source: The host's name.
        user: Whom the host named; None if nobody.
        verified: Whether the host authenticated that person.
        request: The real request.
        key: Tells this login or visit from others of the same host: the session's id, or
            empty for a random one.
        expires_at: When the login ends (an aware datetime), and ``expiry_source`` who says so.
    """

    __slots__ = ("_cookie", "_fields", "_session", "request", "user", "verified")

    def __init__(
        self,
        source: str,
        user: User | None,
        *,
        verified: bool,
        request: HostRequest | None = None,
        key: str = "",
        **fields: Any,
    ) -> None:
        self.user = user
        self.verified = verified
        self.request = request or HostRequest()
        key = key or secrets.token_hex(16)
        self._fields = {"source": source, **fields, "id": key}
        self._cookie: PlatformCookie | None = None
        self._session: HostSession | None = None

    def session(self) -> HostSession:
        """Return the session; the same object as long as nothing is configured anew."""
        if self._session is None or self._cookie is not _configured:
            self._cookie = _configured
            self._session = self._make()
        return self._session

    def _make(self) -> HostSession:
        user, verified = self.user, self.verified and self.user is not None
        if user is None and _configured is not None:
            user = _configured.user(self.request.jar)
        name = "" if user is None else user.username
        session_id = _digest(self._fields["source"], self._fields["id"], name)
        if user is None:
            user = User(f"anonymous-{session_id[:12]}", _ANONYMOUS, is_anonymous=True)
        fields = {**self._fields, "id": session_id}
        session = HostSession(user=user, verified=verified, **fields)
        object.__setattr__(session, "request", self.request)
        return session


_configured: PlatformCookie | None = None


def take_from_cookie(config: Mapping[str, str]) -> None:
    """Configure the platform's cookie for this process."""
    global _configured  # noqa: PLW0603 - one setting for one process
    wanted = PlatformCookie.from_config(config)
    if _configured is not None and _configured != wanted:
        raise ConfigurationError(
            f"identity_from_cookie was called for {_configured.cookie!r} before, and now for "
            f"{wanted.cookie!r} or for other fields; call it once in a process"
        )
    _configured = _configured or wanted


def agreed(inner: HostSession, outer: HostSession) -> HostSession:
    """Return the session where one host runs inside another.

    Raises:
        IdentityUnavailable: Both name somebody, and not the same person.
    """
    if inner.user.is_anonymous or outer.user.is_anonymous:
        return outer if inner.user.is_anonymous and not outer.user.is_anonymous else inner
    if inner.user.username != outer.user.username:
        raise IdentityUnavailable(
            f"{inner.source} and {outer.source} both serve this code, and name different people. "
            "Let one of them authenticate, or make both read the same login.",
            reason="disagreement",
        )
    return outer if outer.verified and not inner.verified else inner


def moved(framework: str, what: str) -> IdentityUnavailable:
    """Return the error for a framework in which something is no longer where we look."""
    version = getattr(sys.modules.get(framework), "__version__", "unknown")
    return IdentityUnavailable(
        f"{framework} {version} has no {what}, by which jupyter_session_user knows the visitor. "
        f"Install a release of jupyter-session-user that supports {framework} {version}.",
        reason="unsupported_host",
    )


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(text, key=_KEY, digest_size=16).hexdigest()
