"""The bucket never passes more events than its burst and its rate allow.

Rates, times and levels are small multiples of 1/16, which floats hold exactly: the bounds
are therefore tested without a tolerance.
"""

from __future__ import annotations

from itertools import accumulate, combinations_with_replacement

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_session_user.core.rate import Failures, TokenBucket

RATES = st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0])
BURSTS = st.integers(1, 6)
STEPS = st.integers(0, 48).map(lambda step: step / 16)


def passed(bucket: TokenBucket, times: list[float]) -> list[float]:
    """Return those of ``times`` at which an event passed."""
    return [now for now in times if bucket.take(now)]


@given(rate=RATES, burst=BURSTS, steps=st.lists(STEPS, min_size=1, max_size=40))
@settings(deadline=None)
def test_no_window_of_time_exceeds_burst_and_rate(rate, burst, steps):
    """In every window, at most ``burst + rate * length`` events pass."""
    times = passed(TokenBucket(rate, burst), list(accumulate(steps)))
    for first, last in combinations_with_replacement(range(len(times)), 2):
        assert last - first + 1 <= burst + rate * (times[last] - times[first])


@given(rate=RATES, burst=BURSTS, times=st.lists(STEPS, min_size=1, max_size=60))
@settings(deadline=None)
def test_a_clock_that_goes_back_gives_no_tokens(rate, burst, times):
    """However the clock jumps, only the time between first and latest reading counts."""
    allowed = burst + rate * (max(times) - times[0])
    assert len(passed(TokenBucket(rate, burst), times)) <= allowed


def test_a_clock_that_swings_counts_no_second_twice():
    """If the clock repeats a second, that second fills the bucket once."""
    bucket = TokenBucket(rate=1.0, burst=1)
    assert passed(bucket, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]) == [0.0, 1.0]


def test_a_clock_that_goes_back_takes_no_tokens():
    """The tokens in the bucket are kept."""
    assert passed(TokenBucket(rate=1.0, burst=3), [9.0, 0.0, 5.0, 9.0]) == [9.0, 0.0, 5.0]


@given(rate=RATES, burst=BURSTS, start=STEPS)
@settings(deadline=None)
def test_a_full_bucket_lets_the_burst_pass_and_then_one_per_period(rate, burst, start):
    """A new bucket is full; once empty, it gives one token after ``1 / rate`` seconds."""
    bucket = TokenBucket(rate, burst)
    assert len(passed(bucket, [start] * (burst + 3))) == burst
    later = start + 1 / rate
    assert not bucket.take(later - 1 / 1024)
    assert passed(bucket, [later, later]) == [later]


def test_a_long_rest_fills_the_bucket_no_higher_than_its_burst():
    """The number of tokens never exceeds ``burst``."""
    bucket = TokenBucket(rate=100.0, burst=3)
    assert bucket.take(0.0)
    assert len(passed(bucket, [1e6] * 10)) == 3


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1.0, 1), (1.0, 0), (1.0, -5)])
def test_a_bucket_that_could_never_work_is_refused(rate, burst):
    """A rate of zero and a burst below one event are errors."""
    with pytest.raises(ValueError, match="rate must be above 0 and burst at least 1"):
        TokenBucket(rate, burst)


def test_failures_block_their_own_address_for_a_while():
    """After the burst an address is blocked, and then checked again; another one never is."""
    failures = Failures(1.0, 3, block=10.0)
    for _ in range(3):
        failures.failed("one", 0.0)
    assert failures.blocked_for("one", 0.0) == 0
    failures.failed("one", 0.0)
    assert failures.blocked_for("one", 4.0) == 6
    assert failures.blocked_for("other", 4.0) == 0
    assert failures.blocked_for("one", 10.0) == 0


def test_few_addresses_are_remembered():
    """Those that failed longest ago are forgotten; the latest ones stay blocked."""
    failures = Failures(1.0, 1, block=10.0, limit=2)
    for name in ("first", "second", "third"):
        for _ in range(2):
            failures.failed(name, 0.0)
    assert [failures.blocked_for(n, 0.0) > 0 for n in ("first", "second", "third")] == [
        False,
        True,
        True,
    ]
    with pytest.raises(ValueError, match="rate"):
        Failures(0.0, 1, block=1.0)
