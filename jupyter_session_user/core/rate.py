"""A token bucket: limits the rate of events, and allows a burst; and a block after failures."""

from __future__ import annotations

__all__ = ["Failures", "TokenBucket"]


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


class Failures:
    """Blocks an address for a while after too many failures, and no other address.

    Args:
        rate: Failures per second in the long run, above 0.
        burst: Failures at once, at least 1.
        block: How long to block, in seconds.
        limit: How many addresses are remembered; those that failed longest ago are forgotten.

    Raises:
        ValueError: ``rate`` or ``burst`` is too small.
    """

    def __init__(self, rate: float, burst: int, block: float, limit: int = 1024) -> None:
        TokenBucket(rate, burst)
        self._new = (rate, burst)
        self._block = block
        self._limit = limit
        self._buckets: dict[str, TokenBucket] = {}
        self._until: dict[str, float] = {}

    def blocked_for(self, address: str, now: float) -> float:
        """Return for how many more seconds an address is blocked; 0 if it is not."""
        return max(0.0, self._until.get(address, now) - now)

    def failed(self, address: str, now: float) -> None:
        """Note a failure.

        Args:
            address: Where it came from.
            now: A monotonic clock, in seconds.
        """
        bucket = self._buckets.pop(address, None) or TokenBucket(*self._new)
        self._buckets[address] = bucket  # the latest is the last
        if not bucket.take(now):
            self._until[address] = now + self._block
        if len(self._buckets) > self._limit:
            oldest = next(iter(self._buckets))
            del self._buckets[oldest]
            self._until.pop(oldest, None)
