"""A token bucket: limits the rate of events, and allows a burst."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """Admits ``burst`` events at once, and ``rate`` per second in the long run.

    Args:
        rate: Events per second, above 0.
        burst: Events at once, at least 1.

    Raises:
        ValueError: ``rate`` or ``burst`` is too small.
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
        """Count one more event and return True, or return False if the limit is reached.

        Args:
            now: A monotonic clock, in seconds.
        """
        before = now if self._when is None else self._when
        self._when = max(before, now)  # a clock that jumps back and forth counts no second twice
        self._level = min(self._burst, self._level + (self._when - before) * self._rate)
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True
