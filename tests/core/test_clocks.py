"""Two clocks, of which the stricter one counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.clocks import deadline_of, seconds_until

seconds = st.integers(-(10**6), 10**6).map(float)


@given(end=seconds, wall=seconds, monotonic=seconds, passed=st.integers(0, 1000), jump=seconds)
def test_setting_a_clock_prolongs_nothing(end, wall, monotonic, passed, jump):
    """A clock that is set back does not extend the time; one that is set forward shortens it."""
    deadline = deadline_of(end, wall, monotonic)
    left = seconds_until(end, deadline, wall + passed, monotonic + passed)
    assert left == end - wall - passed
    jumped = seconds_until(end, deadline, wall + passed + jump, monotonic + passed)
    assert jumped == min(left, left - jump)
    slept = seconds_until(end, deadline, wall + passed, monotonic)
    assert slept == left
