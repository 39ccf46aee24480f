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
    """

    session: Session
    key: str = field(repr=False)
    person: str = field(repr=False)
    stamp: bytes = field(repr=False)
    cookies: CookieJar = field(default=_EMPTY, repr=False)


class SessionStore(Protocol):
    """A bounded collection of records."""

    def get(self, session_id: str) -> Record | None:
        """Return the record with this session id, or None."""

    def find(self, key: str, kernel_id: str | None) -> Record | None:
        """Return the record of this login on this kernel, or None."""

    def put(self, record: Record) -> None:
        """Add the record, or replace the one of the same login and kernel."""

    def on_kernel(self, kernel_id: str) -> list[Record]:
        """Return the records of one kernel, oldest first."""

    def drop_kernel(self, kernel_id: str) -> None:
        """Forget all records of a kernel that is gone."""

    def __iter__(self) -> Iterator[Record]:
        """Go through all records."""

    def __len__(self) -> int:
        """Return how many records there are."""
