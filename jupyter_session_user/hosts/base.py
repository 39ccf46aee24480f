"""The base of all hosts: a visitor, the visitor's request, and the session of both."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, ClassVar, Protocol

from jupyter_session_user.core.cookies import CookieJar, Cookies, parse_cookie_headers
from jupyter_session_user.core.platform_cookie import PlatformCookie
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import (
    AccessTokenUnavailable,
    ConfigurationError,
    ConsentRequired,
    DatabaseUnavailable,
    IdentityTokenUnavailable,
    IdentityUnavailable,
)
from jupyter_session_user.kernel.live_session import LiveSession
from jupyter_session_user.kernel.made_up import SOURCE, note_ignored, of_environment

__all__ = [
    "Host",
    "HostRequest",
    "HostSession",
    "Unnamed",
    "Visitor",
    "agreed",
    "take_from_cookie",
]

#: Session ids are valid in this process alone, and do not reveal the values behind them.
_KEY = secrets.token_bytes(32)

_ANONYMOUS = "Anonymous visitor"


class Host(Protocol):
    """One framework. Its file, as ``HOST``, has all private names of the framework that we use."""

    name: str

    def current(self) -> HostSession | None:
        """Return the session of the live context that this code runs in; None without one.

        Must not import the framework, and must cost less than a microsecond without a context.
        """
        ...

    def install(self) -> None:
        """Prepare the wrappers; called once, when the framework is loaded."""
        ...

    def serving(self) -> bool:
        """Return whether this process serves such an app at all: only for the error's text."""
        ...


def _no_token(_request: object) -> None:
    """Return None: the host keeps no access token."""


class HostRequest:
    """The cookies and headers of the real request, as the browser sent them.

    Args:
        cookie_headers: Values of all ``Cookie`` headers (latin-1, as in Tornado and WSGI).
        headers: All headers, each name once.
        signed: Verifies a signed cookie (name, max_age_days), if the host has the secret.
        jar: The cookies, if the framework keeps no raw header.

    Attributes:
        own_token: Returns, for this request, the access token that the app's own login keeps for
            the visitor, and when it ends, in seconds since the epoch (None if unknown). Its host
            sets it.
    """

    __slots__ = ("_cookie_headers", "_cookies", "_headers", "_jar", "_signed", "own_token")
    #: Never passed to app code: they are credentials, or have their own accessor.
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
        self.own_token: Callable[[HostRequest], tuple[str, float | None] | None] = _no_token

    @classmethod
    def of(cls, headers: Iterable[tuple[str, str]]) -> HostRequest:
        """Return the request with these headers, as pairs of a name in any case and a value."""
        pairs = [(name.lower(), value) for name, value in headers]
        return cls([value for name, value in pairs if name == "cookie"], dict(pairs))

    def verifying(self, signed: Callable[[str, float], str | None] | None) -> HostRequest:
        """Return the same request, with the host's function that verifies signed cookies."""
        return HostRequest(self._cookie_headers, self._headers, signed=signed, jar=self._jar)

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
    """A session of an app; it holds the cookies, and needs no request to a server.

    Args:
        session: The session as the host describes it.
        request: The cookies and headers of the request. A pickle of the session lacks it: a request
            stays in its own process.
    """

    __slots__ = ("request",)
    request: HostRequest

    def __init__(self, session: Session, request: HostRequest | None = None) -> None:
        super().__init__(session)
        object.__setattr__(self, "request", request or HostRequest())

    def own_cookies(self) -> Cookies:
        """Return the cookies of the visitor's own request."""
        return self.request.cookies

    def own_access_token(self, name: str) -> dict[str, Any]:
        """Return the access token that the app's own login keeps for the visitor.

        Raises:
            AccessTokenUnavailable: The app's host has none.
            ConsentRequired: It has ended.
        """
        from jupyter_session_user.core.login_tokens import LoginTokens  # noqa: PLC0415 - few need it

        found = self.request.own_token(self.request) if self.verified else None
        text, end = found or (None, None)
        tokens = LoginTokens.read({"access_token": text, "expires_at": end}, time.time())
        if tokens is None:
            raise AccessTokenUnavailable(
                f"this app ({self.source}) runs without a Jupyter kernel, and its own login keeps "
                f"no access token of the visitor that could be used for {name!r}; see "
                "docs/access_tokens.md",
                reason="no_server",
            )
        if tokens.has_ended(time.time()):
            raise ConsentRequired(
                f"the access token of your login at this app ({self.source}) has ended; log in "
                "again"
            )
        return {"token": text, "seconds": 0}

    def own_identity_token(self, audience: str, lifetime: float) -> dict[str, Any]:
        """Refuse: no Jupyter Server has seen the visitor's request.

        Raises:
            IdentityTokenUnavailable: Always.
        """
        del audience, lifetime
        raise IdentityTokenUnavailable(
            f"this app ({self.source}) runs without a Jupyter kernel, so no Jupyter Server can "
            "sign an identity token for its visitor; pass on the app's own token",
            reason="no_server",
        )

    def own_database_login(self, database: str) -> dict[str, Any]:
        """Refuse: no Jupyter Server has seen the visitor's request.

        Raises:
            DatabaseUnavailable: Always.
        """
        del database
        raise DatabaseUnavailable(
            f"this app ({self.source}) runs without a Jupyter kernel, so no Jupyter Server can "
            "make a database login for its visitor; connect as the app, and see docs/database.md",
            reason="no_server",
        )

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the visitor's own request, by lower-case name."""
        return self.request.headers

    def refresh(self) -> LiveSession:
        """Return the session itself: an app's host has no newer state."""
        return self


class Visitor:
    """The visitor of a request. Hosts keep one for each page, connection, or request.

    Args:
        source: The host's name.
        user: The user that the host named; None for an anonymous visitor.
        verified: Whether the host authenticated that user.
        request: The real request.
        key: Tells this login or visit from others of the same host: the session's id, or
            empty for a random one.
        authenticates: Whether the app may authenticate its visitors. False only if the host knows
            that it never does: then the environment may make up a user.
        expires_at: When the login ends (an aware datetime); ``expiry_source`` names the origin.
    """

    __slots__ = ("_authenticates", "_cookie", "_fields", "_session", "request", "user", "verified")

    def __init__(
        self,
        source: str,
        user: User | None,
        *,
        verified: bool,
        request: HostRequest | None = None,
        key: str = "",
        authenticates: bool = True,
        **fields: Any,
    ) -> None:
        self.user = user
        self._authenticates = authenticates
        self.verified = verified
        self.request = request or HostRequest()
        key = key or secrets.token_hex(16)
        self._fields = {"source": source, **fields, "id": key}
        self._cookie: PlatformCookie | None = None
        self._session: HostSession | None = None

    @classmethod
    def within(
        cls, source: str, outer: HostSession, *, request: HostRequest | None = None, key: str = ""
    ) -> Visitor:
        """Return the visitor of a host inside another, which has named the user.

        Args:
            source: The inner host's name.
            outer: The session at the outer host, such as a middleware.
            request: The request as the inner host has got it; the outer's without one.
            key: See the class.
        """
        made_up = outer.source == SOURCE  # only where no host names a user
        user = None if outer.user.is_anonymous or made_up else outer.user
        request = outer.request if request is None else request
        verified = outer.verified
        return cls(
            source, user, verified=verified, request=request, key=key, authenticates=not made_up
        )

    def session(self) -> HostSession:
        """Return the session; the same object until the configuration changes."""
        if self._session is None or self._cookie is not _configured:
            self._cookie = _configured
            self._session = self._make()
        return self._session

    def _make(self) -> HostSession:
        user, verified = self.user, self.verified and self.user is not None
        if user is None and _configured is not None:
            user = _configured.user(self.request.jar)
        name = "" if user is None else user.username
        parts = "\0".join((self._fields["source"], self._fields["id"], name))
        digest = blake2b(parts.encode("utf-8", "surrogatepass"), key=_KEY, digest_size=16)
        session_id = digest.hexdigest()
        if user is None:
            names = self._authenticates or _configured is not None
            made_up = None if names else of_environment()
            if names:
                note_ignored(self._fields["source"])
            if made_up is not None:
                return HostSession(replace(made_up[0], id=session_id), self.request)
            user = User(f"anonymous-{session_id[:12]}", _ANONYMOUS, is_anonymous=True)
        fields = {**self._fields, "id": session_id}
        return HostSession(Session(user=user, verified=verified, **fields), self.request)


class Unnamed(Visitor):
    """A visitor with an unknown identity: each access raises the error with the reason."""

    __slots__ = ("_error",)

    def __init__(self, source: str, error: IdentityUnavailable) -> None:
        super().__init__(source, None, verified=False)
        self._error = error

    def session(self) -> HostSession:
        """Raise the error.

        Raises:
            IdentityUnavailable: Always.
        """
        raise self._error


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

    A fake user counts only if neither host names its visitors.

    Raises:
        IdentityUnavailable: The two hosts name different users.
    """
    if (inner.source == SOURCE) is not (outer.source == SOURCE):
        return outer if inner.source == SOURCE else inner
    if inner.user.is_anonymous or outer.user.is_anonymous:
        return outer if inner.user.is_anonymous and not outer.user.is_anonymous else inner
    if inner.user.username != outer.user.username:
        raise IdentityUnavailable(
            f"{inner.source} and {outer.source} both serve this code, and name different users. "
            "Let one of them authenticate, or make both read the same login.",
            reason="disagreement",
        )
    return outer if outer.verified and not inner.verified else inner
