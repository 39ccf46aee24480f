"""What the server has given to the users of this kernel, kept until shortly before its end.

A kept value ends by the stricter of two clocks. A forked child keeps nothing: it has no user.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from jupyter_session_user.core.clocks import deadline_of, seconds_until
from jupyter_session_user.kernel.message_context import after_fork

__all__ = ["Kept"]

V = TypeVar("V")


class _Entry(NamedTuple):
    """A value, its end on both clocks of this process, and its lifetime, in seconds."""

    value: Any
    end: float
    deadline: float
    lifetime: int


class Kept(Generic[V]):
    """Values by key. The key names the session: no session ever gets another's value.

    Args:
        is_fresh: ``(seconds left, lifetime) -> bool``: whether a value is used again.
        most: How many values are kept; the one that came first goes first.
    """

    def __init__(self, is_fresh: Callable[[float, int], bool], most: int) -> None:
        self._is_fresh = is_fresh
        self._most = most
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        after_fork(self._in_child)

    def get(self, key: Hashable, fetch: Callable[[], tuple[V, int]]) -> tuple[V, bool]:
        """Return a value, and whether it is new.

        Args:
            key: Its key.
            fetch: Asks the server; returns the value, and its lifetime in seconds.
        """
        # Its life begins after the request is sent, so it ends here no later than elsewhere.
        wall, monotonic = time.time(), time.monotonic()
        with self._lock:
            entry = self._entries.get(key)
        if entry is not None:
            left = seconds_until(entry.end, entry.deadline, wall, monotonic)
            if self._is_fresh(left, entry.lifetime):
                return entry.value, False
        value, seconds = fetch()
        end = wall + seconds
        with self._lock:
            self._entries[key] = _Entry(value, end, deadline_of(end, wall, monotonic), seconds)
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        return value, True

    def forget(self, key: Hashable) -> None:
        """Forget a value; harmless if there is none."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._entries.clear()

    def _in_child(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may have held it
        self._entries.clear()
