"""From an authenticated request to a session record.

The identity provider has already answered when a handler gets here (``current_user``); this
file decides what *login* the request belongs to, so that the next request of the same login
finds the same session. Nothing of the login's secrets is kept: keys are hashes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.auth.identity import User as ServerUser

from jupyter_session_user.core.cookies import CookieJar, parse_cookie_headers
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.user import User, trim_claims
from jupyter_session_user.server.resolvers.base import resolve
from jupyter_session_user.store.base import Record

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.core.lifecycle import Expiry
    from jupyter_session_user.core.platform_cookie import PlatformCookie
    from jupyter_session_user.core.policy import CookiePolicy
    from jupyter_session_user.server.logins import Logins
    from jupyter_session_user.server.resolvers.base import Resolver
    from jupyter_session_user.store.base import SessionStore

__all__ = ["SOURCE", "Capture", "Evidence", "Login", "Sources", "evidence_of", "is_made_up"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SOURCE = "jupyter_server"

#: 256 bits; OWASP ASVS 7.2.3 asks for 128.
SESSION_ID_BYTES = 32

_STANDARD_FIELDS = frozenset(field.name for field in dataclasses.fields(ServerUser))
#: Fields of a session, besides its user, that a kernel is told of.
_TOLD = ("verified", "expires_at", "expiry_source", "state", "degraded")

#: Where a handler keeps its login: it is asked for several times in a request.
_KEPT = "_jupyter_session_user_login"

_GROUP_FIELDS = frozenset({"admin", "groups"})

#: ``uuid.uuid4().hex``: what ``IdentityProvider.generate_anonymous_user`` takes as username.
_UUID4_HEX = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")


@dataclass(frozen=True, slots=True)
class Login:
    """What tells one login from another.

    Attributes:
        key: Hash of what the browser or client shows at every request.
        person: Whom things belong to: the same after signing in again.
        user: The person.
        verified: Whether this server has authenticated the person.
        source: Who says so.
        credential: What is shown: ``cookie``, ``token``, ``resolver``; ``open`` where the
            server authenticates nobody; empty where nothing tells this login from the
            person's next one.
        expiry: When the login ends, where a resolver knows.
    """

    key: str
    person: str
    user: User
    verified: bool
    source: str = SOURCE
    credential: str = ""
    expiry: Expiry | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What of a request it takes to ask the authority about it again.

    Attributes:
        uri: Path and query.
        headers: As they came.
        host: Of the request.
        remote_ip: As Tornado sees it, perhaps from a proxy's header.
        protocol: ``http`` or ``https``.
        version: Of HTTP.
        context: The connection's context, which holds the peer's address.
    """

    uri: str = field(repr=False)
    headers: Any = field(repr=False)
    host: str
    remote_ip: str
    protocol: str
    version: str
    context: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sources:
    """Who says something of a login, besides the identity provider.

    Attributes:
        resolvers: Who knows until when a login is good.
        platform: How a platform's cookie names people; None if there is none.
        proxies: From where such a cookie can be believed.
    """

    resolvers: Sequence[Resolver] = ()
    platform: PlatformCookie | None = None
    proxies: Sequence[Network] = ()


class Capture:
    """Turns requests into session records, and keeps them in the store.

    Args:
        store: Where the records go.
        policy: Which cookies may leave the server.
        admins: Usernames that count as administrators, besides whom the provider says.
        now: The wall clock, aware, UTC.
        logins: How it stands with the logins.
        sources: Who else says something of a login.
    """

    def __init__(
        self,
        store: SessionStore,
        policy: CookiePolicy,
        admins: frozenset[str],
        now: Callable[[], datetime],
        logins: Logins,
        sources: Sources,
    ) -> None:
        self._store = store
        self._policy = policy
        self._admins = admins
        self._now = now
        self._logins = logins
        self._resolvers = sources.resolvers
        self._platform = sources.platform
        self._proxies = sources.proxies

    def session_of(self, handler: JupyterHandler, kernel_id: str | None) -> Record | None:
        """Return the record of this request's login, on one kernel or on none.

        Args:
            handler: A handler whose ``prepare`` has run.
            kernel_id: The kernel that the request is about; None if it is about none.

        Returns:
            The record, new or brought up to date; None if nobody is authenticated.
        """
        if handler.current_user is None:
            return None
        login = self.login(handler)
        if self._logins.get(login.key) is None:
            self._logins.saw(login, evidence_of(handler))
        first = self._store.find(login.key, None)
        if first is not None and login.user.is_anonymous:
            # Jupyter makes a token client up anew at each request: the first name stays.
            user = dataclasses.replace(login.user, **_badge(first.session.user))
            login = dataclasses.replace(login, user=user)
        record = self._keep(handler, login, None)
        return record if kernel_id is None else self._keep(handler, login, kernel_id)

    def login(self, handler: JupyterHandler) -> Login:
        """Return the login that an authenticated request belongs to."""
        return self.login_of(handler, handler.current_user)

    def login_of(self, handler: JupyterHandler, server_user: ServerUser) -> Login:
        """Return the same, where the handler does not know its user yet."""
        kept, login = getattr(handler, _KEPT, (None, None))
        if kept is not server_user:  # a login form changes the user of its request
            login = self._login(handler, server_user)
            setattr(handler, _KEPT, (server_user, login))
        return cast("Login", login)

    def renewal(self, handler: JupyterHandler) -> tuple[str, str] | None:
        """Return the keys of a login before and after this very answer, if it renews a cookie."""
        _, login = getattr(handler, _KEPT, (None, None))
        value = _cookie_being_set(handler)
        if login is None or login.credential != "cookie" or not value:
            return None
        return login.key, _cookie_key(login.user, value)

    def key_being_given(self, handler: JupyterHandler, server_user: ServerUser) -> str | None:
        """Return the key of the login whose cookie this very answer sets; None if it sets none."""
        value = _cookie_being_set(handler)
        return _cookie_key(self._user_of(handler, server_user), value) if value else None

    def _login(self, handler: JupyterHandler, server_user: ServerUser) -> Login:
        login = _login_of(handler, self._user_of(handler, server_user))
        if not handler.identity_provider.auth_enabled:
            return self._of_person(handler, dataclasses.replace(login, credential="open"))
        resolution = resolve(self._resolvers, handler, server_user)
        # Our own signature is worth more than a token that we do not verify.
        if resolution.key is not None and login.credential != "cookie":
            key = _digest("resolved", login.person, resolution.key)
            login = dataclasses.replace(login, key=key, credential="resolver")
        login = dataclasses.replace(
            login, key=self._logins.canonical(login.key), expiry=resolution.expiry
        )
        return self._of_person(handler, login)

    def _of_person(self, handler: JupyterHandler, login: Login) -> Login:
        named = self._platform_user(handler) if login.user.is_anonymous else None
        return login if named is None else self._named(handler, login, named)

    def _named(self, handler: JupyterHandler, login: Login, named: User) -> Login:
        """Return the login of a person whom the platform's cookie names."""
        proxied = self._is_proxied(handler)
        # Not the person of an account. Who comes past the proxy writes any name he likes, and
        # is one with his own login only.
        person = f"platform:{named.username}" if proxied else f"claimed:{login.person}"
        return dataclasses.replace(
            login,
            key=_digest("platform", person, named.username, login.key),
            person=person,
            user=named,
            verified=proxied,
            source="platform_cookie",
        )

    def persons(self, handler: JupyterHandler) -> frozenset[str]:
        """Return all that this request's browser may be known by on a websocket.

        In a frame of another site the browser may drop the login cookie that it just got, and
        show its token alone.
        """
        login, token = self.login(handler), handler.identity_provider.get_token(handler)
        alone = {f"token:{_digest('token', token)}"} if token and login.user.is_anonymous else set()
        return frozenset({login.person} | alone)

    def latest(self, record: Record) -> Record:
        """Return the record as the store has it now; the given one if it was forgotten."""
        return self._store.get(record.session.id) or record

    def _platform_user(self, handler: JupyterHandler) -> User | None:
        if self._platform is None:
            return None
        return self._platform.user(parse_cookie_headers(_cookie_headers(handler)))

    def _is_proxied(self, handler: JupyterHandler) -> bool:
        """Tell whether a trusted proxy sent this request: the peer itself, not its headers."""
        context = getattr(handler.request.connection, "context", None)
        address = getattr(context, "address", None)
        if not isinstance(address, tuple):
            return False  # a Unix socket has no address to go by
        peer = ipaddress.ip_address(address[0].partition("%")[0])
        return any(peer in network for network in self._proxies)

    def _keep(self, handler: JupyterHandler, login: Login, kernel_id: str | None) -> Record:
        known = self._store.find(login.key, kernel_id)
        record = self._record(handler, login, kernel_id, known)
        self._store.put(record)
        if known is None:
            self._logins.announce("started", record)
        return record

    def _record(
        self, handler: JupyterHandler, login: Login, kernel_id: str | None, known: Record | None
    ) -> Record:
        now, user = self._now(), login.user
        old = known.session if known else None
        session = Session(
            id=old.id if old else secrets.token_urlsafe(SESSION_ID_BYTES),
            user=old.user if old and _same(old.user, user) else user,
            source=login.source,
            verified=login.verified,
            kernel_id=kernel_id,
            authenticated_at=old.authenticated_at if old else now,
            last_seen_at=now,
            revision=old.revision if old else 0,
            **self._logins.face(login.key),
        )
        # No kernel can ask for the cookies of a session that is on none.
        cookies = self._cookies(handler) if kernel_id is not None else CookieJar()
        record = Record(session, login.key, login.person, b"", cookies, login.credential)
        if known and old and _unchanged(known, record):
            return dataclasses.replace(record, stamp=known.stamp)
        session = dataclasses.replace(session, revision=session.revision + 1)
        return dataclasses.replace(record, session=session, stamp=session_stamp(session))

    def _cookies(self, handler: JupyterHandler) -> CookieJar:
        jar = parse_cookie_headers(_cookie_headers(handler))
        visible = self._policy.visible(
            jar.cookies, own_kernel=True, login_cookie=login_cookie_name(handler)
        )
        return dataclasses.replace(jar, cookies=visible.cookies, withheld=visible.withheld)

    def _user_of(self, handler: JupyterHandler, user: ServerUser) -> User:
        extra = {k: v for k, v in vars(user).items() if k not in _STANDARD_FIELDS}
        groups = extra.get("groups")
        listed = groups if isinstance(groups, list | tuple | set | frozenset) else ()
        return User(
            **{name: getattr(user, name) for name in _STANDARD_FIELDS},
            groups=tuple(sorted(str(group) for group in listed)),
            admin=extra.get("admin") is True or user.username in self._admins,
            is_anonymous=is_made_up(handler.identity_provider, user),
            claims=trim_claims({k: v for k, v in extra.items() if k not in _GROUP_FIELDS}),
        )


def _badge(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in _STANDARD_FIELDS}


def _same(old: User, new: User) -> bool:
    return old == new and dict(old.claims) == dict(new.claims)


def _unchanged(known: Record, record: Record) -> bool:
    """Tell whether a kernel that holds ``known`` holds all that is in ``record``.

    A session of a new revision makes the kernel ask for the cookies again.
    """
    old, new = known.session, record.session
    return (
        old.user is new.user
        and all(getattr(old, name) == getattr(new, name) for name in _TOLD)
        and known.cookies == record.cookies
    )


def _login_of(handler: JupyterHandler, user: User) -> Login:
    """Return the login as the identity provider has it.

    Named users are told apart by what they show (a login cookie whose signature holds, else
    a token) together with their username. A made-up user has no name that means anything:
    the signed login cookie says who it is, else the token, since Jupyter makes another user
    up for each request that brings no cookie. A login cookie that does not verify counts for
    nothing: somebody could send another person's old one together with the token.
    """
    provider: IdentityProvider = handler.identity_provider
    verified = bool(provider.auth_enabled)
    shown = _valid_login_cookie(handler) or _login_cookie_being_set(handler) or ""
    # A named user may add any token to a request, and would be somebody new each time.
    checked = user.is_anonymous or getattr(handler, "_token_authenticated", False)
    token = (provider.get_token(handler) or "") if checked and not shown else ""
    credential = "cookie" if shown else "token" if token else ""
    if not user.is_anonymous:
        key = _cookie_key(user, shown) if not token else _digest("named", user.username, "", token)
        return Login(key, f"user:{user.username}", user, verified, credential=credential)
    if token:
        key = _digest("token", token)
        return Login(key, f"token:{key}", user, verified, credential=credential)
    key = _cookie_key(user, shown)
    return Login(key, f"made-up:{user.username}", user, verified, credential=credential)


def _cookie_key(user: User, shown: str) -> str:
    """Return the key of a login that shows this login cookie, or nothing at all."""
    if user.is_anonymous:
        return _digest("made-up", user.username, shown)
    return _digest("named", user.username, shown, "")


def _login_cookie_being_set(handler: JupyterHandler) -> str | None:
    """Return the login cookie that this very answer gives to a browser that opens a page.

    It shows that cookie from its next request on. A program that calls the API may keep no
    cookies, and then has its token alone.
    """
    if "text/html" not in handler.request.headers.get("Accept", ""):
        return None
    return _cookie_being_set(handler)


def _cookie_being_set(handler: JupyterHandler) -> str | None:
    morsel = getattr(handler, "_new_cookie", {}).get(login_cookie_name(handler))
    return morsel.value or None if morsel is not None else None


def evidence_of(handler: JupyterHandler) -> Evidence:
    """Return what it takes to ask the authority about this request again."""
    request = handler.request
    return Evidence(
        uri=request.uri or "/",
        headers=request.headers,
        host=request.host,
        remote_ip=request.remote_ip or "",
        protocol=request.protocol,
        version=request.version,
        context=getattr(request.connection, "context", None),
    )


def _cookie_headers(handler: JupyterHandler) -> list[str]:
    headers: list[str] = handler.request.headers.get_list("Cookie")
    return headers


def login_cookie_name(handler: JupyterHandler) -> str:
    """Return the name of the identity provider's login cookie for this request."""
    name: str = handler.identity_provider.get_cookie_name(handler)
    return name


def is_made_up(provider: IdentityProvider, user: ServerUser) -> bool:
    """Tell whether Jupyter invented this user, for want of anybody who could be named.

    Such a user has a random username; a provider of its own that happens to use such
    usernames is told apart by not carrying Jupyter's "Anonymous ..." name.
    """
    if not _UUID4_HEX.fullmatch(user.username):
        return False
    stock = type(provider).get_user is IdentityProvider.get_user
    return stock or user.name.startswith("Anonymous ")


def _valid_login_cookie(handler: JupyterHandler) -> str | None:
    provider: IdentityProvider = handler.identity_provider
    name = login_cookie_name(handler)
    if not handler.get_secure_cookie(name, **provider.get_secure_cookie_kwargs):
        return None
    value: str | None = handler.get_cookie(name)
    return value


def _digest(*parts: str) -> str:
    """Return a hash in which no two lists of parts can collide by shifting characters."""
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.hexdigest()
