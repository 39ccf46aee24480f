"""Protocols of the session store and of the list of ended logins.

The calls are synchronous: the server looks up a record for every message to a kernel, where it
cannot await, and a kernel belongs to one server process. A store that persists or shares records
does that behind these calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from jupyter_session_user.core.cookies import CookieJar
from jupyter_session_user.core.session import Session

__all__ = ["MAX_RENEWALS", "Ended", "EndedStore", "Record", "Run", "SessionStore"]

#: How many renewed cookies of one login are remembered. A provider may renew its cookie with each
#: response, and a browser sends the latest ones.
MAX_RENEWALS = 100

_EMPTY = CookieJar()


@dataclass(frozen=True, slots=True)
class Record:
    """The server's record of one session.

    Attributes:
        session: The part that the kernel may know.
        key: Hash of the login; the same for all sessions of one login, never shown.
        principal: Id of the user across logins; used to compare owners.
        stamp: The session as messages carry it, serialised once.
        cookies: The cookies that the policy may give to some kernel.
        credential: Kind of the login's own credential: ``cookie``, ``token``, ``resolver``,
            ``hub`` or ``agent``; empty if only a proxy names the user; ``open`` if the server
            authenticates no users.
    """

    session: Session
    key: str = field(repr=False)
    principal: str = field(repr=False)
    stamp: bytes = field(repr=False)
    cookies: CookieJar = field(default=_EMPTY, repr=False)
    credential: str = ""

    @property
    def administers(self) -> bool:
        """Whether the user's rights as an administrator count: an agent never has them."""
        return self.session.user.admin and self.session.actor is None

    @property
    def speaker(self) -> str:
        """Id of who sends messages: the user, or one of the user's agents."""
        actor = self.session.actor
        return self.principal if actor is None else f"{self.principal} agent:{actor.client_id}"


Run = Callable[[Callable[[], None]], object]


class SessionStore(Protocol):
    """A bounded collection of records."""

    def get(self, session_id: str) -> Record | None:
        """Return the record with this session id, or None."""

    def find(self, key: str, kernel_id: str | None) -> Record | None:
        """Return the record of this login on this kernel, or None."""

    def put(self, record: Record) -> None:
        """Add the record, or replace the record of the same login and kernel."""

    def of_login(self, key: str) -> list[Record]:
        """Return the records of one login, oldest first."""

    def on_kernel(self, kernel_id: str) -> list[Record]:
        """Return the records of one kernel, oldest first."""

    def drop_kernel(self, kernel_id: str) -> None:
        """Forget all records of a removed kernel."""

    def __iter__(self) -> Iterator[Record]:
        """Iterate over all records."""

    def __len__(self) -> int:
        """Return the number of records."""


class Ended(NamedTuple):
    """How a login ended.

    Attributes:
        state: ``expired``, ``revoked`` or ``signed_out``; empty if the login was reopened.
        since: Time of the end, in seconds since the epoch.
        until: Time after which no server would accept the login anyway, in seconds since the epoch.
    """

    state: str
    since: float
    until: float


class EndedStore(Protocol):
    """The list of ended logins, and the data to recognise them.

    A plain Jupyter Server accepts a login cookie for a month, even after the user has signed out
    and even after a restart. So this list outlives the records and, if the store is persistent, the
    server. An entry is removed when its time has passed, never to make room.

    Each change takes effect at once. ``saved`` waits until it would also survive the end of the
    server. Several servers may share the list: memory answers all reads, and the changes of other
    servers arrive a moment later.
    """

    def end(self, key: str, ended: Ended) -> None:
        """Note that a login has ended; replaces an earlier entry.

        Args:
            key: Hash of the login.
            ended: How it ended.
        """

    def ended(self, key: str, now: float) -> Ended | None:
        """Return how the login ended; None if it did not, or if the entry is out of date."""

    def reopen(self, key: str, now: float) -> None:
        """Remove a login from the list; harmless if it is not on it.

        Args:
            key: Hash of the login.
            now: Seconds since the epoch: an end that another server noted before has no effect.
        """

    def end_before(self, principal: str, seconds: int, until: float) -> None:
        """Note that all logins of a user that were issued until then have ended.

        Args:
            principal: ``Record.principal``.
            seconds: Seconds since the epoch; the latest time of a user counts.
            until: Time after which no server would accept such a login anyway.
        """

    def not_before(self, principal: str) -> int:
        """Return the time that ``end_before`` noted; -1 if there is none."""

    def renew(self, key: str, new: str, until: float) -> None:
        """Note that a login now has another cookie, with the key ``new``."""

    def canonical(self, key: str) -> str:
        """Return the first key of a login; its cookie may have been renewed since."""

    def renewals(self, key: str) -> Collection[str]:
        """Return the keys of a login's renewed cookies, oldest first.

        Only the latest ``MAX_RENEWALS`` of a login are kept.
        """

    def forget(self, now: float) -> None:
        """Remove entries that are out of date."""

    def name(self, text: str) -> str:
        """Return the name under which other servers' changes mention a key or a user."""

    def follow(self, changed: Callable[[Collection[str]], None], run: Run) -> None:
        """Take over the changes of other servers from now on.

        Args:
            changed: Called with the names of the logins and users that have changed, after the
                changes took effect here.
            run: Runs a function in the thread that uses this store, which is usually
                ``loop.call_soon_threadsafe``.
        """

    def saved(self) -> Awaitable[None]:
        """Wait until all changes so far would survive the end of this process.

        Raises:
            StoreUnavailable: The changes cannot be saved now. They hold until the server ends, and
                are saved with the next change that succeeds.
        """

    def close(self) -> None:
        """Save the remaining changes and release all resources; harmless when repeated."""
