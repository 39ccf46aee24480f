"""A session: one login of one user, as seen on one kernel.

Times are aware datetimes in UTC. This file reads no clock: the caller always passes ``now``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.actor import Actor
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import RemoteProtocolError

__all__ = [
    "ESTIMATED",
    "MOVING",
    "OVER",
    "STATES",
    "Session",
    "SessionFields",
    "parse_time",
    "write_time",
]

#: States of a session. ``expired``: the login timed out, or the authority refuses it; ``revoked``:
#: an administrator or the user revoked it; ``signed_out``: the user signed out.
STATES = frozenset({"active", "expiring", "expired", "revoked", "signed_out"})
#: The states of a login that has ended.
OVER = frozenset({"expired", "revoked", "signed_out"})
#: The only expiry source that is not exact: it causes a warning, and never ends a session.
ESTIMATED = "estimated"
#: Expiry sources for which only the server can tell that a session has ended: no source, an
#: estimate, and the idle timeout, which moves with user activity.
MOVING = frozenset({"", ESTIMATED, "idle"})

#: Characters; ours have 32.
_MAX_PRINCIPAL = 128


class SessionFields:
    """What can be shown of a session, from its fields."""

    __slots__ = ()

    if TYPE_CHECKING:
        id: str
        user: User
        source: str
        verified: bool
        kernel_id: str | None
        authenticated_at: datetime | None
        last_seen_at: datetime | None
        expires_at: datetime | None
        expiry_source: str
        state: str
        degraded: bool
        revision: int
        principal: str
        kernel_owner: str | None
        owns_kernel: bool
        actor: Actor | None

    def __repr__(self) -> str:
        """Return one line without the id, which does not help a reader."""
        actor = "" if self.actor is None else f", actor={self.actor!r}"
        who = f"user={self.user!r}, source={self.source!r}, verified={self.verified}"
        return f"Session({who}{actor})"

    def __str__(self) -> str:
        """Return one line for display."""
        trust = "verified" if self.verified else "not verified"
        actor = "" if self.actor is None else f"; {self.actor} acts"
        return f"{self.user.display_name} ({self.user.username}), {trust} by {self.source}{actor}"

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object that answers a ``refresh`` request."""
        return {
            "session_id": self.id,
            "user": self.user.to_wire(),
            "source": self.source,
            "verified": self.verified,
            "kernel_id": self.kernel_id,
            "authenticated_at": write_time(self.authenticated_at),
            "last_seen_at": write_time(self.last_seen_at),
            "expires_at": write_time(self.expires_at),
            "expiry_source": self.expiry_source,
            "state": self.state,
            "degraded": self.degraded,
            "revision": self.revision,
            "principal": self.principal,
            "kernel_owner": self.kernel_owner,
            "owns_kernel": self.owns_kernel,
            "actor": None if self.actor is None else self.actor.to_wire(),
        }

    def public_model(self) -> dict[str, Any]:
        """Return the JSON object of the REST API: no claims, no cookies, no key."""
        return {
            "id": self.id,
            "user": self.user.public_model(),
            "kernel_id": self.kernel_id,
            "source": self.source,
            "verified": self.verified,
            "authenticated_at": write_time(self.authenticated_at),
            "last_seen_at": write_time(self.last_seen_at),
            "expires_at": write_time(self.expires_at),
            "expiry_source": self.expiry_source,
            "state": self.state,
            "degraded": self.degraded,
            "actor": None if self.actor is None else self.actor.to_wire(),
        }

    def _repr_html_(self) -> str:
        """Return the user's badge and a line about the source of the identity."""
        from html import escape  # noqa: PLC0415 - only a picture needs it

        trust = "verified by" if self.verified else "not verified; said by"
        line = escape(f"{trust} {self.source.replace('_', ' ')}")
        if self.expires_at is not None:
            about = "about " if self.expiry_source == ESTIMATED else ""
            line += f" · until {about}{_time_html(self.expires_at)}"
        if self.state != "active":
            line += f" · {self.state.replace('_', ' ')}"
        if self.actor is not None:
            line = f"{escape(str(self.actor))} acts · {line}"
        badge = self.user._repr_html_()
        return f'{badge}<div style="opacity:.75;font-size:90%;padding:.3em 0 0 5px">{line}</div>'


@dataclass(frozen=True, slots=True, repr=False)
class Session(SessionFields):
    """The logged-in user, the source of the identity, and its times.

    Attributes:
        id: Identifier of at least 128 random bits; independent of the login's secrets.
        user: The user.
        source: Source of the identity, for example ``jupyter_server``.
        verified: Whether a server authenticated the user. An anonymous user behind a checked token
            is verified; an unsigned cookie or header never is.
        kernel_id: The kernel of this session; None for a session without a kernel.
        authenticated_at: When the server first saw this login on this kernel.
        last_seen_at: When the server last got a request of this login.
        expires_at: When the login ends; None if that is unknown.
        expiry_source: Source of ``expires_at``: ``jwt``, ``custom``, ``idle``, ``absolute`` and the
            like are exact, ``estimated`` is not; empty if the end is unknown.
        state: One of :data:`STATES`, at the time this object was made.
        degraded: Whether the authority was unreachable, so that this is the last known state.
        revision: Counts the changes of this record; a stamp and a cached cookie carry it.
        kernel_owner: Username of the user that started the kernel, or for whom an app's server
            started it; None if that is unknown.
        owns_kernel: Whether that is the user of this session. Two users may have the same username,
            for example a user and a service of JupyterHub, so do not compare usernames.
        principal: Opaque id of the user, the same for all logins of one user during one run of the
            server; empty if the server gave none. Use it for comparison only.
        actor: Who acts with the user's authority; None if that is the user.
    """

    id: str
    user: User
    source: str
    verified: bool
    kernel_id: str | None = None
    authenticated_at: datetime | None = None
    last_seen_at: datetime | None = None
    expires_at: datetime | None = None
    expiry_source: str = ""
    state: str = "active"
    degraded: bool = False
    revision: int = 0
    principal: str = ""
    kernel_owner: str | None = None
    owns_kernel: bool = False
    actor: Actor | None = None

    @classmethod
    def from_wire(cls, wire: object) -> Session:
        """Read the output of :meth:`to_wire`, or the shorter object of a stamp.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        if not isinstance(wire, dict):
            raise RemoteProtocolError("session: not an object")
        if not isinstance(wire.get("session_id"), str) or not isinstance(wire.get("source"), str):
            raise RemoteProtocolError("session: no session_id or no source")
        kernel_id, revision = wire.get("kernel_id"), wire.get("revision", 0)
        if not isinstance(kernel_id, str | None) or type(revision) is not int:
            raise RemoteProtocolError("session: malformed kernel_id or revision")
        expiry_source, state = wire.get("expiry_source", ""), wire.get("state", "active")
        if not isinstance(expiry_source, str) or not isinstance(state, str) or state not in STATES:
            raise RemoteProtocolError("session: malformed expiry_source or state")
        principal = wire.get("principal", "")
        if not isinstance(principal, str) or len(principal) > _MAX_PRINCIPAL:
            raise RemoteProtocolError("session: malformed principal")
        kernel_owner = wire.get("kernel_owner")
        if not isinstance(kernel_owner, str | None):
            raise RemoteProtocolError("session: malformed kernel_owner")
        return cls(
            id=wire["session_id"],
            user=User.from_wire(wire.get("user")),
            source=wire["source"],
            verified=wire.get("verified") is True,
            kernel_id=kernel_id,
            authenticated_at=parse_time(wire.get("authenticated_at")),
            last_seen_at=parse_time(wire.get("last_seen_at")),
            expires_at=parse_time(wire.get("expires_at")),
            expiry_source=expiry_source,
            state=state,
            degraded=wire.get("degraded") is True,
            revision=revision,
            principal=principal,
            kernel_owner=kernel_owner,
            owns_kernel=wire.get("owns_kernel") is True,
            actor=Actor.from_wire(wire.get("actor")),
        )


#: Rewrites the element before it: the browser knows the reader's zone, and the kernel does not. On
#: pages that run no script (GitHub, an untrusted notebook) the text stays, which names its zone.
_LOCAL_TIME = (
    "<script>{const time=document.currentScript.previousElementSibling;"
    "time.textContent=new Date(time.dateTime).toLocaleString([],{dateStyle:'medium',"
    "timeStyle:'short'})}</script>"
)


def _time_html(moment: datetime) -> str:
    """Return a time as HTML: in the zone of the reader's browser, or in UTC."""
    utc = moment.astimezone(timezone.utc)
    text = f"{utc:%Y-%m-%d %H:%M} UTC"
    return f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}" title="{text}">{text}</time>{_LOCAL_TIME}'


def write_time(moment: datetime | None) -> str | None:
    """Return ``moment`` as RFC 3339 text in UTC, such as ``2026-11-22T05:00:00.000000Z``."""
    if moment is None:
        return None
    utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"


def parse_time(text: object) -> datetime | None:
    """Read the output of :func:`write_time`.

    Raises:
        RemoteProtocolError: ``text`` is neither None nor an RFC 3339 time in UTC.
    """
    if text is None:
        return None
    if not isinstance(text, str) or not text.endswith("Z"):
        raise RemoteProtocolError("time: not an RFC 3339 text in UTC")
    try:
        moment = datetime.fromisoformat(text[:-1])
    except ValueError:
        raise RemoteProtocolError("time: not an RFC 3339 text in UTC") from None
    if moment.tzinfo is not None:
        raise RemoteProtocolError("time: two time zones")
    return moment.replace(tzinfo=timezone.utc)
