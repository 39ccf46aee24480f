"""A place outside of this process that holds the list of ended logins: one Protocol.

A journal knows no logins. It keeps the latest change of each subject, until a time, and gives a
server the changes of the other servers that use it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

__all__ = ["TABLES", "Change", "Journal", "JournalError", "Value"]

Value = str | int | float

#: ``table -> names of the values``; each has ``until``: the time after which the row is removed.
TABLES = {
    "ended": ("state", "since", "until"),
    "not_before": ("seconds", "until"),
    "renewal": ("first", "number", "until"),
}


class JournalError(Exception):
    """The journal cannot be read or written now; its text is safe to log."""


class Change(NamedTuple):
    """The latest state of one subject.

    Attributes:
        table: A key of ``TABLES``.
        id: A hash.
        values: As ``TABLES`` names them; the last is the time of removal, since the epoch.
    """

    table: str
    id: str
    values: tuple[Value, ...]


class Journal(Protocol):
    """Keeps changes, and passes them on between servers."""

    salt: bytes

    def load(self) -> list[Change]:
        """Return all rows; called once, before everything else.

        Raises:
            ConfigurationError: The journal cannot be used.
        """

    def commit(self, changes: Collection[Change], forget: float | None) -> None:
        """Save changes; called in one thread.

        After an error the caller gives all of them again, so a part may be saved already.

        Args:
            changes: At most one for each table and id.
            forget: Remove the rows whose time has passed at this time, since the epoch.

        Raises:
            JournalError: They cannot be saved now.
        """

    def follow(
        self,
        received: Callable[[Collection[Change]], None],
        resync: Callable[[Collection[Change]], None],
        stop: threading.Event,
    ) -> None:
        """Pass on changes until ``stop`` is set; called in a thread of its own.

        The changes of this server may be among them.

        Args:
            received: Called with changes.
            resync: Called with all rows, after the journal may have lost some.
            stop: Ends the call within a few seconds.
        """

    def close(self) -> None:
        """Release all resources; called in the thread of ``commit``."""
