"""Names with a time each: those whose time has come are found without a look at the others."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

__all__ = ["Agenda"]

#: Outdated entries of the heap that are kept before it is built anew.
_SLACK = 64


class Agenda:
    """A priority queue in which the time of a name can change. All times are on one clock."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        #: May hold former times of a name; ``_times`` tells which one counts.
        self._heap: list[tuple[float, str]] = []
        #: Called when a time is put that is earlier than all others.
        self.on_earlier: Callable[[], None] = lambda: None

    @property
    def next_at(self) -> float:
        """The earliest time, infinite without any; may be a former time of a name, never later."""
        return self._heap[0][0] if self._heap else math.inf

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._times)

    def put(self, name: str, at: float) -> None:
        """Set the time of a name, in place of a former one."""
        self._times[name] = at
        heapq.heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self._times) + _SLACK:
            self._heap = [(at, name) for name, at in self._times.items()]
            heapq.heapify(self._heap)
        if self._heap[0] == (at, name):
            self.on_earlier()

    def put_earlier(self, name: str, at: float) -> None:
        """Set the time of a name, unless it has an earlier one."""
        if at < self._times.get(name, float("inf")):
            self.put(name, at)

    def time_of(self, name: str) -> float | None:
        """Return the time of a name; None if it has none."""
        return self._times.get(name)

    def drop(self, name: str) -> None:
        """Remove a name; harmless if it is not there."""
        self._times.pop(name, None)

    def take(self, now: float) -> list[str]:
        """Remove and return the names whose time has come, the earliest first."""
        due = []
        while (name := self.take_first(now)) is not None:
            due.append(name)
        return due

    def take_first(self, now: float) -> str | None:
        """Remove and return the earliest name whose time has come; None if there is none."""
        while self._heap and self._heap[0][0] <= now:
            at, name = heapq.heappop(self._heap)
            if self._times.get(name) == at:
                del self._times[name]
                return name
        return None
