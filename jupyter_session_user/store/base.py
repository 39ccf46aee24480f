"""What a store of session records offers.

The calls are synchronous: a record is looked up for every message on its way to a kernel,
where nothing can be awaited, and kernels are tied to one server process. A store that
persists or shares records does that behind these calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from jupyter_session_user.core.cookies import CookieJar
from jupyter_session_user.core.session import Session

__all__ = ["Record", "SessionStore"]

_EMPTY = CookieJar()


@dataclass(frozen=True, slots=True)
class Record:
    """What the server keeps of one session.

    Attributes:
        session: What the kernel may know.
        key: Hash of the login: the same for all sessions of one login, never shown.
        person: Who it is, across logins: compared where something belongs to somebody.
        stamp: The session as it rides on messages, serialised once.
        cookies: Those that the policy may give to some kernel.
        credential: What the login shows of its own: ``cookie``, ``token``, ``resolver``, or
            nothing (empty) where a proxy says who it is; ``open`` where nobody is asked.
    """

    session: Session
    key: str = field(repr=False)
    person: str = field(repr=False)
    stamp: bytes = field(repr=False)
    cookies: CookieJar = field(default=_EMPTY, repr=False)
    credential: str = ""


class SessionStore(Protocol):
    """A bounded collection of records, and the list of logins that are over for good.

    A plain Jupyter Server accepts a login cookie for a month, also after its owner has signed
    out. So that list has to outlive the records.
    """

    def get(self, session_id: str) -> Record | None:
        """Return the record with this session id, or None."""

    def find(self, key: str, kernel_id: str | None) -> Record | None:
        """Return the record of this login on this kernel, or None."""

    def put(self, record: Record) -> None:
        """Add the record, or replace the one of the same login and kernel."""

    def of_login(self, key: str) -> list[Record]:
        """Return the records of one login, oldest first."""

    def on_kernel(self, kernel_id: str) -> list[Record]:
        """Return the records of one kernel, oldest first."""

    def drop_kernel(self, kernel_id: str) -> None:
        """Forget all records of a kernel that is gone."""

    def end(self, key: str, state: str, until: float) -> None:
        """Note that a login is over.

        Args:
            key: Hash of the login.
            state: How it ended: ``expired``, ``revoked`` or ``ended``.
            until: When nobody would accept it any more anyway, in seconds since the epoch.
        """

    def ended(self, key: str, now: float) -> str | None:
        """Return how the login ended; None if it did not, or if that is long past."""

    def reopen(self, key: str) -> None:
        """Take a login off the list; harmless if it is not on it."""

    def __iter__(self) -> Iterator[Record]:
        """Go through all records."""

    def __len__(self) -> int:
        """Return how many records there are."""
