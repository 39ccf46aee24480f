"""The list of ended logins in this process's memory: a restart of the server forgets it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, TypeVar

from jupyter_session_user.store.base import MAX_RENEWALS, Ended, Run
from jupyter_session_user.store.journal import Change

__all__ = ["MemoryEnded", "Merged"]

_T = TypeVar("_T")


class Merged(enum.Enum):
    """The outcome of merging another server's change."""

    SAME = 0
    TAKEN = 1
    KEPT = -1


class MemoryEnded:
    """Implements ``EndedStore`` with dictionaries; each call except ``forget`` is O(1)."""

    def __init__(self) -> None:
        self._ended: dict[str, Ended] = {}
        self._not_before: _Lasting[int] = _Lasting()
        self._first: _Lasting[str] = _Lasting()
        self._renewals: dict[str, dict[str, None]] = {}

    def end(self, key: str, ended: Ended) -> None:
        """Note that a login has ended; replaces an earlier entry."""
        self._ended[key] = ended

    def ended(self, key: str, now: float) -> Ended | None:
        """Return how the login ended; None if it did not, or if the entry is out of date."""
        found = self._ended.get(key)
        return found if found is not None and found.state and now < found.until else None

    def reopen(self, key: str, now: float) -> None:
        """Remove a login from the list; harmless if it is not on it."""
        if key in self._ended:  # the entry stays: an earlier end may still arrive
            self._ended[key] = Ended("", now, self._ended[key].until)

    def end_before(self, principal: str, seconds: int, until: float) -> None:
        """Note that all logins of a user that were issued until then have ended."""
        latest = max(seconds, self.not_before(principal))
        self._not_before.put(principal, latest, max(until, self._not_before.until(principal)))

    def not_before(self, principal: str) -> int:
        """Return that time, in seconds since the epoch; -1 if there is none."""
        return self._not_before.get(principal, -1)

    def renew(self, key: str, new: str, until: float) -> None:
        """Note that a login now has another cookie, with the key ``new``."""
        self._first.put(new, key, until)
        renewals = self._renewals.setdefault(key, {})
        renewals[new] = None
        if len(renewals) > MAX_RENEWALS:
            self._drop_renewals([(next(iter(renewals)), key)])

    def canonical(self, key: str) -> str:
        """Return the first key of a login; its cookie may have been renewed since."""
        return self._first.get(key, key)

    def renewals(self, key: str) -> Collection[str]:
        """Return the keys of a login's renewed cookies, oldest first."""
        return tuple(self._renewals.get(key, ()))

    def forget(self, now: float) -> None:
        """Remove entries that are out of date."""
        self._ended = {key: one for key, one in self._ended.items() if now < one.until}
        self._not_before.forget(now)
        self._drop_renewals(self._first.forget(now))

    def name(self, text: str) -> str:
        """Return the name under which other servers' changes mention a key or a user."""
        return text

    def follow(self, changed: Callable[[Collection[str]], None], run: Run) -> None:
        """Do nothing: no other server can change this list."""

    # ------------------------------------------------------------------- as rows of a journal

    def subjects(self) -> list[tuple[str, str, int]]:
        """Return table, key and number of all entries; any thread may call it."""
        # list() of a dictionary is atomic: this server's thread may change it meanwhile.
        found = [("ended", key, 0) for key in list(self._ended)]
        found += [("not_before", principal, 0) for principal in self._not_before.all()]
        found += [("renewal", new, number) for number, new in enumerate(self._first.all())]
        return found

    def row(self, table: str, key: str, number: int = 0) -> Change | None:
        """Return an entry; None if it is not there.

        Args:
            table: A key of ``TABLES``.
            key: Its key in this table.
            number: The place of a renewed cookie among all of them.
        """
        if table == "ended":
            ended = self._ended.get(key)
            return None if ended is None else Change(table, key, tuple(ended))
        lasting = self._not_before if table == "not_before" else self._first
        until = lasting.until(key)
        if not until:
            return None
        if table == "not_before":
            return Change(table, key, (self.not_before(key), until))
        return Change(table, key, (self.canonical(key), number, until))

    def merge(self, change: Change) -> Merged:
        """Take over another server's change, unless the entry here counts more."""
        merge = {
            "ended": self._merge_ended,
            "not_before": self._merge_not_before,
            "renewal": self._merge_renewal,
        }
        return merge[change.table](change.id, change.values)

    def _merge_ended(self, key: str, values: tuple[Any, ...]) -> Merged:
        mine, theirs = self._ended.get(key), Ended(*values)
        if mine == theirs:
            return Merged.SAME
        if mine is not None and _counts_more(mine, theirs):
            return Merged.KEPT
        self._ended[key] = theirs
        return Merged.TAKEN

    def _merge_not_before(self, principal: str, values: tuple[Any, ...]) -> Merged:
        seconds, until = values
        before = self.not_before(principal)
        self.end_before(principal, seconds, until)
        return Merged((seconds > before) - (seconds < before))

    def _merge_renewal(self, new: str, values: tuple[Any, ...]) -> Merged:
        first, _, until = values
        if self.canonical(new) == (first or new):
            return Merged.SAME
        if first:
            self.renew(first, new, until)
        else:  # too many cookies of this login came later
            self._drop_renewals([(new, self.canonical(new))])
        return Merged.TAKEN

    # --------------------------------------------------------------------------------- the end

    async def saved(self) -> None:
        """Return at once: nothing here survives the end of this process."""

    def close(self) -> None:
        """Do nothing."""

    def _drop_renewals(self, pairs: Iterable[tuple[str, str]]) -> None:
        for new, key in pairs:
            self._first.pop(new)
            renewals = self._renewals[key]
            del renewals[new]
            if not renewals:
                del self._renewals[key]


def _counts_more(mine: Ended, theirs: Ended) -> bool:
    """Tell which of two entries about one login counts, on each server the same.

    The later one counts. But a revocation counts until its time has passed, even if another server
    that has not heard of it finds later that the login expired, or accepts it again.
    """
    for one, other in ((mine, theirs), (theirs, mine)):
        if one.state == "revoked" != other.state and one.until > other.since:
            return one is mine
    return (mine.since, mine.state) > (theirs.since, theirs.state)


class _Lasting(Generic[_T]):
    """Values, each with the time at which it may be forgotten, in seconds since the epoch."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[_T, float]] = {}

    def put(self, key: str, value: _T, until: float) -> None:
        self._values[key] = (value, until)

    def get(self, key: str, default: _T) -> _T:
        return self._values.get(key, (default, 0.0))[0]

    def all(self) -> list[str]:
        return list(self._values)

    def until(self, key: str) -> float:
        return self._values[key][1] if key in self._values else 0.0

    def pop(self, key: str) -> None:
        self._values.pop(key, None)

    def forget(self, now: float) -> list[tuple[str, _T]]:
        """Remove values that are out of date, and return them."""
        past = [(key, value) for key, (value, until) in self._values.items() if until <= now]
        for key, _ in past:
            del self._values[key]
        return past
