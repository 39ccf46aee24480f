"""Turns an authenticated request into a session record.

When a handler gets here, the identity provider has already set ``current_user``. This file finds
the *login* of the request, so that the next request of the same login finds the same session. It
keeps no secrets of the login: keys are hashes.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.auth.identity import User as ServerUser

from jupyter_session_user.core.cookies import CookieJar, parse_cookie_headers
from jupyter_session_user.core.login import KINDS, Login, cookie_key, identify, token_principal
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.signed_time import signed_at
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.subject import Subject, subject_of
from jupyter_session_user.core.user import User, trim_claims
from jupyter_session_user.server.auth.anonymous import is_anonymous
from jupyter_session_user.server.auth.evidence import evidence_of
from jupyter_session_user.server.auth.hub_ends import HubEnds
from jupyter_session_user.server.auth.known_login import new_session_id
from jupyter_session_user.server.auth.peer import Network, is_in, peer_of
from jupyter_session_user.server.auth.proxy_identity import ProxiedUser
from jupyter_session_user.server.auth.recent_logins import RecentLogins
from jupyter_session_user.server.auth.resolvers.base import resolve
from jupyter_session_user.store.base import Record
from jupyter_session_user.upstream.jupyter_server import came_with_token
from jupyter_session_user.upstream.jupyterhub import (
    hub_model,
    hub_session,
    is_hub_admin,
    is_hub_service,
)
from jupyter_session_user.upstream.tornado import cookies_being_set

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.core.platform_cookie import PlatformCookie
    from jupyter_session_user.core.policy import CookiePolicy
    from jupyter_session_user.server.auth.known_login import KnownLogin
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.server.auth.resolvers.base import Resolver
    from jupyter_session_user.store.base import SessionStore

__all__ = ["Capture", "Sources"]

_STANDARD_FIELDS = frozenset(field.name for field in dataclasses.fields(ServerUser))
#: Fields of a session, besides its user, that are sent to a kernel.
_COMPARED_FIELDS = (
    *("verified", "expires_at", "expiry_source", "state", "degraded"),
    *("kernel_owner", "owns_kernel"),
)

#: ``last_seen_at`` of a session without a kernel may be this old.
_FRESH = timedelta(seconds=1)

#: Attribute of a handler that caches its login, which is needed several times per request.
_KEPT = "_jupyter_session_user_login"


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources of information about a login, besides the identity provider.

    Attributes:
        resolvers: Find the end of a login.
        platform: How to read the user from a platform's cookie; None if there is none.
        proxies: Networks from which such a cookie is trusted.
        claims: Additional fields of the provider's user that a kernel may see.
        owner: The user whom a Hub started this server for; empty without a Hub.
        hub_ends: When logins at that Hub end.
        provider: The issuer that may end logins by its own names of them; empty if none may.
        named_alike: Whether that issuer's ``sub`` is the username here.
    """

    resolvers: Sequence[Resolver] = ()
    platform: PlatformCookie | None = None
    proxies: Sequence[Network] = ()
    claims: frozenset[str] = frozenset()
    owner: str = ""
    hub_ends: HubEnds = field(default_factory=lambda: HubEnds(time.time))
    provider: str = ""
    named_alike: bool = False


class Capture:
    """Turns requests into session records, and keeps them in the store.

    Args:
        store: Stores the records.
        policy: Which cookies may leave the server.
        admins: Usernames of administrators, besides those that the provider marks.
        now: The wall clock, aware, UTC.
        logins: The known logins and their states.
        sources: Additional sources of information about a login.
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
        self._recent = RecentLogins(sources.resolvers, self._find)
        self._platform = sources.platform
        self._proxies = sources.proxies
        self._claims = sources.claims
        self._owner = f"user:{sources.owner}" if sources.owner else None
        self.hub_ends = sources.hub_ends
        self._provider = sources.provider
        self._named_alike = sources.named_alike
        #: Returns the session that started a kernel; the server's kernels set it.
        self.owner_of: Callable[[str], Record | None] = lambda _kernel_id: None
        # Of this process: another run of the server may have another provider, with other users of
        # the same names.
        self._person_key = secrets.token_bytes(32)

    def session_of(self, handler: JupyterHandler, kernel_id: str | None) -> Record | None:
        """Return the session record of this request's login, on one kernel or on none.

        Args:
            handler: A handler that has run ``prepare``.
            kernel_id: The kernel of the request; None if it is not about a kernel.

        Returns:
            The new or updated record; None if the request is not authenticated.
        """
        if handler.current_user is None:
            return None
        login = self.login(handler)
        if self._logins.get(login.key) is None:
            self._logins.saw(login, evidence_of(handler, login, self._logins))
        first = self._store.find(login.key, None)
        if first is not None and kernel_id is None and self._is_fresh(first, login):
            return first
        if first is not None and login.user.is_anonymous:
            # Jupyter generates a new anonymous user for each request of a token client: keep the
            # first name.
            named = {name: getattr(first.session.user, name) for name in _STANDARD_FIELDS}
            login = dataclasses.replace(login, user=dataclasses.replace(login.user, **named))
        record = self._keep(handler, login, None)
        return record if kernel_id is None else self._keep(handler, login, kernel_id)

    def session_of_agent(
        self, handler: JupyterHandler, login: Login, kernel_id: str | None
    ) -> Record:
        """Return the session record of an agent inside the server that acts for the user."""
        if self._logins.get(login.key) is None:
            self._logins.saw(login, active=False)
        return self._keep(handler, login, kernel_id)

    def login(self, handler: JupyterHandler) -> Login:
        """Return the login of an authenticated request."""
        return self.login_of(handler, handler.current_user)

    def login_of(self, handler: JupyterHandler, server_user: ServerUser) -> Login:
        """Return the same, while the handler does not know its user yet."""
        kept, login = getattr(handler, _KEPT, (None, None))
        if kept is server_user:  # a login form changes the user of its request
            return cast("Login", login)
        login = self._recent.of(handler, server_user)
        key = self._logins.canonical(login.key)
        if key != login.key:
            login = dataclasses.replace(login, key=key)
        if self._platform is not None and login.user.is_anonymous:
            named = self._platform.user(parse_cookie_headers(_cookie_headers(handler)))
            if named is not None:
                login = login.named_by_platform(named, proxied=self._is_proxied(handler))
        setattr(handler, _KEPT, (server_user, login))
        return login

    def assume(self, handler: JupyterHandler, server_user: ServerUser, login: Login) -> None:
        """Set the login of a request that shows an agent's token: the provider knows no agents."""
        setattr(handler, _KEPT, (server_user, login))

    def _find(self, handler: JupyterHandler, server_user: ServerUser) -> Login:
        """Return the login as the request shows it; everything here is in ``RecentLogins``."""
        login = _login_of(handler, self._user_of(handler, server_user))
        if isinstance(server_user, ProxiedUser):
            login = login.named_by_proxy(server_user.proxy_key)
        if is_hub_service(server_user):
            login = dataclasses.replace(login, principal=f"service:{login.user.username}")
        if not handler.identity_provider.auth_enabled:
            return dataclasses.replace(login, credential="open")
        resolution = resolve(self._resolvers, handler, server_user)
        login = login.resolved(hub_session(server_user), resolution.key)
        expiry = resolution.expiry
        if expiry is None and login.credential == "hub":
            expiry = self.hub_ends.expiry(handler, login.key)
        login = dataclasses.replace(login, expiry=expiry)
        if not self._provider:
            return login
        subjects = resolution.subjects or self._subjects_by_name(login)
        return dataclasses.replace(login, subjects=subjects)

    def _subjects_by_name(self, login: Login) -> tuple[Subject, ...]:
        """Return how the provider names the login of a user of its own."""
        named = self._named_alike and login.principal == f"user:{login.user.username}"
        if not (named and login.verified and KINDS[login.credential].personal):
            return ()
        return (subject_of(self._provider, login.user.username, since=login.issued_at),)

    def refresh_user(self, handler: JupyterHandler, login: KnownLogin) -> None:
        """Take over what the provider says of a user now: the groups, the end of the login."""
        shown = self.login(handler)
        if not shown.user.is_anonymous:  # each request would have another one
            self._logins.sessions.set_user(login.key, shown.user)
        if shown.credential == "hub":
            self._logins.saw(shown, active=False)

    def former(self, handler: JupyterHandler) -> Login | None:
        """Return the login of a request before it signs a user in; None if there was none."""
        login: Login | None = getattr(handler, _KEPT, (None, None))[1]
        return login

    def renewal(self, handler: JupyterHandler) -> tuple[str, str] | None:
        """Return the login's keys before and after this response, if it renews the cookie."""
        _, login = getattr(handler, _KEPT, (None, None))
        value = _cookie_being_set(handler)
        if login is None or login.credential != "cookie" or not value:
            return None
        return login.key, cookie_key(login.user, value)

    def key_shown(self, handler: JupyterHandler, server_user: ServerUser) -> str | None:
        """Return the key of the login cookie in a request; None if there is none."""
        value = _valid_login_cookie(handler)
        return cookie_key(self._user_of(handler, server_user), value) if value else None

    def key_being_given(self, handler: JupyterHandler, server_user: ServerUser) -> str | None:
        """Return the key of the login cookie that this response sets; None if it sets none."""
        value = _cookie_being_set(handler)
        return cookie_key(self._user_of(handler, server_user), value) if value else None

    def cookie_being_given(
        self, handler: JupyterHandler, server_user: ServerUser
    ) -> tuple[str, int | None]:
        """Return the user of the login cookie that this response sets, and the time in it."""
        principal = _login_of(handler, self._user_of(handler, server_user)).principal
        return principal, signed_at((_cookie_being_set(handler) or "").strip('"'))

    def principals(self, handler: JupyterHandler) -> frozenset[str]:
        """Return all ids that this request's browser may have on a websocket.

        In a cross-site frame, the browser may drop the login cookie that it just got, and send only
        its token.
        """
        login, token = self.login(handler), handler.identity_provider.get_token(handler)
        alone = {token_principal(token)} if token and login.user.is_anonymous else set()
        return frozenset({login.principal} | alone)

    def may_see(self, handler: JupyterHandler, record: Record) -> bool:
        """Tell whether the request's user may see a session: it is theirs, or they manage all."""
        if handler.current_user is None:
            return False
        login = self.login(handler)
        manages = login.administers or self._is_owner(login.principal, login.credential)
        return manages or login.principal == record.principal

    def manages_sessions(self, record: Record) -> bool:
        """Tell whether a user may see and end all sessions: an administrator, a server's owner."""
        return record.administers or self._is_owner(record.principal, record.credential)

    def _is_owner(self, principal: str, credential: str) -> bool:
        return credential == "hub" and principal == self._owner

    def latest(self, record: Record) -> Record:
        """Return the record's current version in the store; the given one if it was forgotten."""
        return self._store.get(record.session.id) or record

    def _is_proxied(self, handler: JupyterHandler) -> bool:
        """Tell whether a trusted proxy sent this request: checks the peer, not the headers."""
        return is_in(self._proxies, peer_of(handler.request))

    def _is_fresh(self, record: Record, login: Login) -> bool:
        """Tell whether a record already shows a request: a page makes dozens in one second.

        The state of a login changes its records at once, so they show that anyway.
        """
        session = record.session
        seen = session.last_seen_at
        return (
            session.user is login.user
            and (session.source, session.verified) == (login.source, login.verified)
            and (record.principal, record.credential) == (login.principal, login.credential)
            and seen is not None
            and timedelta(0) <= self._now() - seen < _FRESH
        )

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
        same = old is not None and old.user == user and dict(old.user.claims) == dict(user.claims)
        owner = self.owner_of(kernel_id) if kernel_id is not None else None
        session = Session(
            id=old.id if old else new_session_id(),
            user=old.user if old and same else user,
            source=login.source,
            verified=login.verified,
            kernel_id=kernel_id,
            authenticated_at=old.authenticated_at if old else now,
            last_seen_at=now,
            revision=old.revision if old else 0,
            principal=self._opaque_principal(login, known),
            kernel_owner=_name_of(owner, login),
            owns_kernel=owner is not None and owner.principal == login.principal,
            actor=login.actor,
            **self._logins.status_fields(login.key),
        )
        # No kernel can ask for the cookies of a session without a kernel, and an agent has none.
        for_kernel = kernel_id is not None and login.actor is None
        cookies = self._cookies(handler) if for_kernel else CookieJar()
        record = Record(session, login.key, login.principal, b"", cookies, login.credential)
        if known and old and _unchanged(known, record):
            return dataclasses.replace(record, stamp=known.stamp)
        session = dataclasses.replace(session, revision=session.revision + 1)
        return dataclasses.replace(record, session=session, stamp=session_stamp(session))

    def _opaque_principal(self, login: Login, known: Record | None) -> str:
        """Return the user's id for kernels; the one in the known record if it is of the same."""
        if known is not None:
            old = known.session
            if (known.principal, old.source, old.verified) == (
                *(login.principal, login.source, login.verified),
            ):
                return old.principal
        return login.opaque_principal(self._person_key)

    def _cookies(self, handler: JupyterHandler) -> CookieJar:
        jar = parse_cookie_headers(_cookie_headers(handler))
        visible = self._policy.visible(
            jar.cookies, own_kernel=True, login_cookie=login_cookie_name(handler)
        )
        return dataclasses.replace(jar, cookies=visible.cookies, withheld=visible.withheld)

    def _user_of(self, handler: JupyterHandler, user: ServerUser) -> User:
        extra = {k: v for k, v in vars(user).items() if k not in _STANDARD_FIELDS}
        groups = extra.get("groups", hub_model(user).get("groups"))
        listed = groups if isinstance(groups, list | tuple | set | frozenset) else ()
        admin = extra.get("admin") is True or is_hub_admin(user)
        return User(
            **{name: getattr(user, name) for name in _STANDARD_FIELDS},
            groups=tuple(sorted(str(group) for group in listed)),
            admin=admin or user.username in self._admins,
            is_anonymous=is_anonymous(handler.identity_provider, user),
            claims=trim_claims({k: v for k, v in extra.items() if k in self._claims}),
        )


def _name_of(owner: Record | None, login: Login) -> str | None:
    """Return a kernel owner's username; a verified session shows no name that is not verified."""
    if owner is None or (login.verified and not owner.session.verified):
        return None
    return owner.session.user.username


def _unchanged(known: Record, record: Record) -> bool:
    """Tell whether a kernel that has ``known`` has everything in ``record``.

    A session with a new revision makes the kernel ask for the cookies again.
    """
    old, new = known.session, record.session
    return (
        old.user is new.user
        and all(getattr(old, name) == getattr(new, name) for name in _COMPARED_FIELDS)
        and known.cookies == record.cookies
    )


def _login_of(handler: JupyterHandler, user: User) -> Login:
    """Return the login according to the identity provider."""
    provider: IdentityProvider = handler.identity_provider
    valid = _valid_login_cookie(handler)
    # A browser that opens a page sends the cookie that it gets from its next request on. An API
    # client may keep no cookies, and then has only its token.
    opens_page = "text/html" in handler.request.headers.get("Accept", "")
    cookie = valid or (opens_page and _cookie_being_set(handler)) or ""
    # A named user may add any token to a request, and would be a new user each time.
    checked = user.is_anonymous or came_with_token(handler)
    token = (provider.get_token(handler) or "") if checked and not cookie else ""
    verified = bool(provider.auth_enabled)
    return identify(user, verified=verified, cookie=cookie, token=token, given=not valid)


def _cookie_being_set(handler: JupyterHandler) -> str | None:
    morsel = cookies_being_set(handler).get(login_cookie_name(handler))
    return morsel.value or None if morsel is not None else None


def _cookie_headers(handler: JupyterHandler) -> list[str]:
    headers: list[str] = handler.request.headers.get_list("Cookie")
    return headers


def login_cookie_name(handler: JupyterHandler) -> str:
    """Return the name of the identity provider's login cookie for this request."""
    name: str = handler.identity_provider.get_cookie_name(handler)
    return name


def _valid_login_cookie(handler: JupyterHandler) -> str | None:
    provider: IdentityProvider = handler.identity_provider
    name = login_cookie_name(handler)
    if not handler.get_secure_cookie(name, **provider.get_secure_cookie_kwargs):
        return None
    value: str | None = handler.get_cookie(name)
    return value
