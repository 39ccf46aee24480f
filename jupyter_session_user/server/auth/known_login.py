"""The server's state of one login, and the interface of its sockets."""

from __future__ import annotations

import math
import secrets
import weakref
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

from jupyter_session_user.core.lifecycle import LoginStatus
from jupyter_session_user.core.subject import Subject

__all__ = ["KnownLogin", "Socket", "new_session_id"]


class Socket(Protocol):
    """An open kernel websocket, as its login sees it."""

    def login_over(self, state: str) -> None:
        """Handle the end of the login."""

    def login_back(self) -> None:
        """Handle that an expired login is valid again."""


def new_session_id() -> str:
    """Return a random id of 256 bits; OWASP ASVS 7.2.3 requires 128."""
    return secrets.token_urlsafe(32)


@dataclass(eq=False, slots=True)
class KnownLogin:
    """One login.

    Attributes:
        key: Hash of its credential.
        principal: Id of the user, the same across logins.
        credential: Kind of the credential.
        status: State and times of the login.
        snapshot: Its latest request, for asking the authority again.
        over_since: When it ended, in seconds since the epoch.
        sockets: Its open kernel websockets.
        others: Its other open websockets; they are closed when it ends.
        degraded: Whether the authority was unreachable the last time.
        barred: Whether the authorizer refused it; only the authorizer can lift that.
        due: When to ask the authority again, in monotonic seconds.
        timed: Whether it can end by time alone.
        by_assertion: Whether the authority refuses its request without the proxy's assertion.
        issued_at: When its cookie was signed, in seconds since the epoch; None if unknown.
        names: The names under which other servers' changes mention it, and its user.
        subjects: How the identity provider names it; the latest last.
        provider_names: The names under which changes mention those.
        parent: Key of the login that this one ends with; empty for none.
    """

    key: str
    principal: str
    credential: str
    status: LoginStatus
    snapshot: Any = None
    over_since: float | None = None
    sockets: AbstractSet[Any] = frozenset()
    others: AbstractSet[Any] = frozenset()
    degraded: bool = False
    barred: bool = False
    due: float = math.inf
    timed: bool = False
    by_assertion: bool = False
    issued_at: int | None = None
    names: tuple[str, ...] = ("", "")
    subjects: tuple[Subject, ...] = ()
    provider_names: tuple[str, ...] = ()
    parent: str = ""

    @property
    def in_use(self) -> bool:
        """Whether it has an open websocket."""
        return bool(self.sockets or self.others)

    def add_socket(self, socket: Socket) -> None:
        """Follow a kernel websocket, through a weak reference."""
        self.sockets = _with(self.sockets, socket)

    def add_other(self, handler: Any) -> None:
        """Follow another websocket, through a weak reference."""
        self.others = _with(self.others, handler)

    def remove_socket(self, socket: Socket) -> None:
        """Stop following a kernel websocket; harmless when repeated."""
        if isinstance(self.sockets, weakref.WeakSet):
            self.sockets.discard(socket)


def _with(items: AbstractSet[Any], item: Any) -> weakref.WeakSet[Any]:
    """Add to a weak set; most logins have no websocket, and no set (of 600 bytes)."""
    weak: weakref.WeakSet[Any] = items if isinstance(items, weakref.WeakSet) else weakref.WeakSet()
    weak.add(item)
    return weak
