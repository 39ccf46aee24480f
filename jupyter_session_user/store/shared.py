"""The list of ended logins in a journal: it survives a restart, and several servers share it.

Memory answers all reads. One thread writes to the journal, and another one reads the changes of
the other servers, so a slow journal delays no message. Logins and users are hashed: a journal holds
no cookie, token, username or claim.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TypeVar

from jupyter_session_user.store.base import Ended, Run
from jupyter_session_user.store.ended import MemoryEnded, Merged
from jupyter_session_user.store.journal import Change, Journal
from jupyter_session_user.store.writer import Writer

__all__ = ["SharedEnded"]

_T = TypeVar("_T")

#: How many changes are applied before the server handles its messages: about 2 ms.
_TURN = 500
_LOOK_S = 0.5
#: How long the journal says that a cookie of a login is forgotten, in seconds: for servers that
#: are behind. A server that remembers the cookie for longer is not wrong.
_GONE_S = 86_400.0


class SharedEnded:
    """Implements ``EndedStore`` with a journal.

    Args:
        journal: The journal.
        failed: Called in the writing thread: with the name of the error when changes cannot be
            saved, and with an empty string when they can be saved again.

    Raises:
        ConfigurationError: The journal cannot be used.
    """

    def __init__(self, journal: Journal, failed: Callable[[str], None] = lambda _: None) -> None:
        self._journal = journal
        self._memory = MemoryEnded()
        for row in journal.load():
            self._memory.merge(row)
        self._writer = Writer(journal, failed)
        self._number = time.time_ns()  # renewals of an earlier run have lower numbers
        self._stop = threading.Event()

    # ------------------------------------------------------------------------------ answers

    def ended(self, key: str, now: float) -> Ended | None:
        """Return how the login ended; None if it did not, or if the entry is out of date."""
        return self._memory.ended(self.name(key), now)

    def not_before(self, principal: str) -> int:
        """Return that time, in seconds since the epoch; -1 if there is none."""
        return self._memory.not_before(self.name(principal))

    def canonical(self, key: str) -> str:
        """Return the first key of a login; its cookie may have been renewed since."""
        return self._memory.canonical(key)

    def renewals(self, key: str) -> Collection[str]:
        """Return the keys of a login's renewed cookies, oldest first."""
        return self._memory.renewals(key)

    def name(self, text: str) -> str:
        """Return the hash of a key or a user, which stands in the journal."""
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._journal.salt, digest_size=16).hexdigest()

    # ------------------------------------------------------------------------------ changes

    def end(self, key: str, ended: Ended) -> None:
        """Note that a login has ended; replaces an earlier entry."""
        name = self.name(key)
        self._memory.end(name, ended)
        self._writer.write(Change("ended", name, tuple(ended)))

    def reopen(self, key: str, now: float) -> None:
        """Remove a login from the list; harmless if it is not on it."""
        name = self.name(key)
        if self._memory.ended(name, now):
            self._memory.reopen(name, now)
            self._writer.write(self._memory.row("ended", name))

    def end_before(self, principal: str, seconds: int, until: float) -> None:
        """Note that all logins of a user that were issued until then have ended."""
        name = self.name(principal)
        self._memory.end_before(name, seconds, until)
        self._writer.write(self._memory.row("not_before", name))

    def renew(self, key: str, new: str, until: float) -> None:
        """Note that a login now has another cookie, with the key ``new``."""
        before = self._memory.renewals(key)
        self._memory.renew(key, new, until)
        self._number += 1
        self._writer.write(Change("renewal", new, (key, self._number, until)))
        for gone in set(before).difference(self._memory.renewals(key)):
            soon = min(until, time.time() + _GONE_S)
            self._writer.write(Change("renewal", gone, ("", self._number, soon)))

    def forget(self, now: float) -> None:
        """Remove entries that are out of date."""
        self._memory.forget(now)
        self._writer.forget(now)

    def saved(self) -> Awaitable[None]:
        """Wait until all changes so far are in the journal.

        Raises:
            StoreUnavailable: The changes cannot be saved now; saving is retried.
        """
        return asyncio.wrap_future(self._writer.flush())

    def follow(self, changed: Callable[[Collection[str]], None], run: Run) -> None:
        """Take over the changes of other servers, in a thread of its own."""

        def merge(changes: Collection[Change]) -> None:
            names = self._merge_all(changes)
            if names:
                changed(names)

        def received(changes: Collection[Change]) -> None:
            self._in_turns(changes, merge, run)

        def resync(rows: Collection[Change]) -> None:
            self._in_turns(self._missing(rows), self._write_again, run)
            received(rows)

        threading.Thread(
            target=self._journal.follow,
            args=(received, resync, self._stop),
            name="session-user-follower",
            daemon=True,
        ).start()

    def close(self) -> None:
        """Save the remaining changes and close the journal; harmless when repeated."""
        self._stop.set()
        self._writer.close()

    # ------------------------------------------------------------------------------ merging

    def _in_turns(
        self, items: Collection[_T], apply: Callable[[Collection[_T]], None], run: Run
    ) -> None:
        """Apply a function to all items in the server's thread, where messages pass in between."""
        rest = iter(items)
        while part := list(itertools.islice(rest, _TURN)):
            done = threading.Event()

            def turn(part: Collection[_T] = part, done: threading.Event = done) -> None:
                try:
                    apply(part)
                finally:
                    done.set()

            run(turn)
            while not done.wait(_LOOK_S):
                if self._stop.is_set():
                    return

    def _missing(self, rows: Collection[Change]) -> list[tuple[str, str, int]]:
        """Return what the journal does not hold, although it is known here."""
        there = {(row.table, row.id) for row in rows}
        return [subject for subject in self._memory.subjects() if subject[:2] not in there]

    def _write_again(self, subjects: Collection[tuple[str, str, int]]) -> None:
        self._writer.write(*(self._memory.row(*subject) for subject in subjects))

    def _merge_all(self, changes: Iterable[Change]) -> list[str]:
        taken = []
        for change in changes:
            merged = self._memory.merge(change)
            if merged is Merged.TAKEN:
                taken.append(change.id)
            elif merged is Merged.KEPT:  # the other server had not heard of it
                self._writer.write(self._memory.row(change.table, change.id))
        return taken
