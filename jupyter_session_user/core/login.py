"""Which login a request belongs to, and what the kind of its credential implies.

A login is known by its *key*, a hash of the credential that a browser or client sends with every
request, and belongs to a *principal*, the id of its user. Different lists of parts never have the
same hash. A key holds no secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from jupyter_session_user.core.actor import Actor
from jupyter_session_user.core.digest import digest
from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.core.signed_time import signed_at
from jupyter_session_user.core.subject import Subject
from jupyter_session_user.core.user import User

__all__ = [
    "KINDS",
    "Kind",
    "Login",
    "begins_anew",
    "blocks_the_next",
    "cookie_key",
    "follows",
    "identify",
    "is_refused",
    "token_principal",
]


class Kind(NamedTuple):
    """What one kind of credential implies.

    Attributes:
        distinct: It distinguishes a login from the next login of the same user.
        personal: It is the login of a user: it has timeouts, and continues an earlier login.
        signed: It is verified, and counts more than a token that a resolver reads.
        own_form: The login page of this server can replace it.
        asserted: A header names its user; the provider may be unable to check it again.
    """

    distinct: bool
    personal: bool
    signed: bool
    own_form: bool
    asserted: bool


# fmt: off
#: ``credential -> Kind``. ``open``: the server authenticates no users; ``""``: a proxy's header
#: names the user, and nothing else is known.
KINDS = {
    #                distinct  personal  signed  own_form  asserted
    "cookie":   Kind(True,     True,     True,   True,     False),
    "token":    Kind(True,     False,    False,  True,     False),
    "resolver": Kind(True,     True,     False,  False,    True),
    "hub":      Kind(True,     True,     True,   False,    False),
    # An agent's token ends with its person's login. Its own use must not prolong that login, nor
    # continue what another login of the person began.
    "agent":    Kind(True,     False,    True,   False,    True),
    "open":     Kind(True,     False,    False,  False,    False),
    "":         Kind(False,    True,     False,  False,    True),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Login:
    """The properties that distinguish one login from another.

    Attributes:
        key: Hash of the credential that the browser or client sends with every request.
        principal: Id of the user, the same after signing in again; kernels and sessions belong to
            it.
        user: The user.
        verified: Whether this server has authenticated the user.
        source: Source of the identity.
        credential: Kind of the credential, a key of :data:`KINDS`.
        expiry: The end of the login, if a resolver knows it.
        issued_at: When its cookie was signed, in seconds since the epoch.
        given: Whether the request had no login cookie, and its response sets one.
        subjects: How the identity provider names this login, if that is known.
        actor: Who acts with the user's authority; None if that is the user.
        parent: Key of the person's login that an agent's login ends with; empty for all others.
    """

    key: str
    principal: str
    user: User
    verified: bool
    source: str = "jupyter_server"
    credential: str = ""
    expiry: Expiry | None = None
    issued_at: int | None = None
    given: bool = False
    subjects: tuple[Subject, ...] = ()
    actor: Actor | None = None
    parent: str = ""

    @property
    def administers(self) -> bool:
        """Whether the user's rights as an administrator count: an agent never has them."""
        return self.user.admin and self.actor is None

    def resolved(self, hub: str | None, key: str | None) -> Login:
        """Return the login with a better key, if there is one.

        Args:
            hub: JupyterHub's session, if it names the user.
            key: A key from a token that this server does not verify.
        """
        if hub is not None:
            return replace(self, key=digest("hub", self.principal, hub), credential="hub")
        if key is None or KINDS[self.credential].signed:
            return self
        return replace(self, key=digest("resolved", self.principal, key), credential="resolver")

    def named_by_proxy(self, key: str) -> Login:
        """Return the login of a user whom the proxy names; no cookie or token distinguishes it.

        Args:
            key: Hash of what the proxy distinguishes its users by.
        """
        key = digest("proxy", self.principal, key)
        return replace(self, key=key, credential="", source="proxy", issued_at=None, given=False)

    def named_by_platform(self, user: User, *, proxied: bool) -> Login:
        """Return the login of the user that a platform's cookie names.

        This is not the user of an account. A client that bypasses the proxy can write any name, so
        such a user is tied to the client's own login.
        """
        principal = f"platform:{user.username}" if proxied else f"claimed:{self.principal}"
        return replace(
            self,
            key=digest("platform", principal, user.username, self.key),
            principal=principal,
            user=user,
            verified=proxied,
            source="platform_cookie",
        )

    def opaque_principal(self, secret: bytes) -> str:
        """Return the id with which a kernel compares users, without learning anything else.

        A different authority, or none, gives a different id.
        """
        parts = digest(self.principal, self.source, str(self.verified))
        return hashlib.blake2b(parts.encode(), key=secret, digest_size=16).hexdigest()


def identify(user: User, *, verified: bool, cookie: str, token: str, given: bool = False) -> Login:
    """Return the login according to the identity provider.

    A named user's logins are distinguished by their credential. An anonymous user's name means
    nothing, since Jupyter generates a new one for each request without a cookie. Such a user is
    identified by the signed login cookie, or else by the token.

    Args:
        user: The user.
        verified: Whether this server has authenticated the user.
        cookie: The login cookie; empty if there is none with a valid signature. A client could send
            another user's old cookie together with its token.
        token: The token, which counts without a login cookie only.
        given: Whether the response sets this cookie, and the request had none.
    """
    token = "" if cookie else token
    key, principal = cookie_key(user, cookie), f"user:{user.username}"
    if user.is_anonymous:
        principal = f"anonymous:{user.username}"
    if token and user.is_anonymous:
        key, principal = digest("token", token), token_principal(token)
    elif token:
        key = digest("named", user.username, "", token)
    return Login(
        key,
        principal,
        user,
        verified,
        credential="cookie" if cookie else "token" if token else "",
        issued_at=signed_at(cookie.strip('"')),
        given=given and bool(cookie) and user.is_anonymous,
    )


def cookie_key(user: User, cookie: str) -> str:
    """Return the key of a login with this login cookie; with an empty one, of none."""
    if user.is_anonymous:
        return digest("anonymous", user.username, cookie)
    return digest("named", user.username, cookie, "")


def token_principal(token: str) -> str:
    """Return the id of the anonymous user that has only this token."""
    return f"token:{digest('token', token)}"


def begins_anew(credential: str, *, navigation: bool) -> bool:
    """Tell whether a request starts a new login if the last one has ended.

    If nothing distinguishes a user's next login from the last one, opening a page starts it.
    """
    return navigation and not KINDS[credential].distinct


def blocks_the_next(state: str, credential: str) -> bool:
    """Tell whether an ended login is refused for some time only.

    The user's next login looks the same, and has to be accepted some day.
    """
    return state == "revoked" and not KINDS[credential].distinct


def is_refused(ended: str | None, *, anew: bool, stays_over: bool) -> bool:
    """Tell whether to refuse a request that the authority accepts.

    Args:
        ended: How its login was ended for good; None if it was not.
        anew: Whether the request starts a new login: see :func:`begins_anew`.
        stays_over: Whether the login has expired, and the request cannot renew it.
    """
    if anew:
        return ended == "revoked"
    return ended is not None or stays_over


def follows(credential: str, began: datetime | None, earlier: Iterable[datetime | None]) -> bool:
    """Tell whether a login continues one of the same user on a kernel.

    Args:
        credential: The kind of its credential. A token starts no login.
        began: When the login began.
        earlier: When the user's logins on the kernel began.
    """
    if began is None or not KINDS[credential].personal:
        return False
    return any(time is not None and time <= began for time in earlier)
