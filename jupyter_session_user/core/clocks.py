"""The rule of two clocks: an end has come as soon as either clock says so.

The wall clock may be set back, and a monotonic clock may sleep with the machine. All times are in
seconds. This file has no classes: every kernel that uses the package imports it.
"""

from __future__ import annotations

__all__ = ["deadline_of", "seconds_until"]


def deadline_of(end: float, wall: float, monotonic: float) -> float:
    """Return an end on the monotonic clock, from both clocks at the moment it became known."""
    return monotonic + end - wall


def seconds_until(end: float, deadline: float, wall: float, monotonic: float) -> float:
    """Return the remaining time by the stricter clock; zero or less once the end has come.

    Args:
        end: The end, since the epoch.
        deadline: The same, as :func:`deadline_of` returned it.
        wall: The time since the epoch.
        monotonic: The time of the monotonic clock.
    """
    return min(end - wall, deadline - monotonic)
