"""A token bucket: how often something may happen, with room for a burst."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """Lets ``burst`` events pass at once, and ``rate`` per second in the long run.

    Args:
        rate: Events per second, above 0.
        burst: Events at once, at least 1.

    Raises:
        ValueError: One of them is too small.
    """

    __slots__ = ("_burst", "_level", "_rate", "_when")

    def __init__(self, rate: float, burst: int) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("rate must be above 0 and burst at least 1")
        self._rate = rate
        self._burst = float(burst)
        self._level = float(burst)
        self._when: float | None = None

    def take(self, now: float) -> bool:
        """Tell whether one more event may happen, and count it if so.

        Args:
            now: A monotonic clock, in seconds.
        """
        before = now if self._when is None else self._when
        self._when = max(before, now)  # a clock that goes back and forth counts no second twice
        self._level = min(self._burst, self._level + (self._when - before) * self._rate)
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True
