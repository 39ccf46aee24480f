"""The life of a login: a table of states, and two clocks."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.lifecycle import (
    EVENTS,
    TABLE,
    Expiry,
    Limits,
    LoginStatus,
    Moment,
    begin,
    can_renew,
    diagram,
    elapsed,
    end_of,
    is_timed,
    learn,
    move,
    next_change,
    timed_out,
    touch,
    trigger_at,
)
from jupyter_session_user.core.session import OVER, STATES

NOW = Moment(wall=1_000_000.0, monotonic=50.0)
WARN = Limits(warning=300.0)

seconds = st.floats(-1e6, 1e6)
forward = st.floats(0, 1e6)


def later(seconds: float, wall: float | None = None) -> Moment:
    """Return a moment ``seconds`` after NOW; ``wall`` is the time of a clock that was set."""
    return Moment(NOW.wall + (seconds if wall is None else wall), NOW.monotonic + seconds)


def login(at: float, source: str = "jwt", state: str = "active") -> LoginStatus:
    """Return a login that ends ``at`` seconds after NOW."""
    status = learn(begin(NOW), Expiry(NOW.wall + at, source), NOW)
    return dataclasses.replace(status, state=state)


def test_the_table_knows_all_states_and_nothing_else():
    """Every state can be reached from the first; every trigger has an event."""
    assert {state for state, _ in TABLE} | set(TABLE.values()) == STATES
    assert {trigger for _, trigger in TABLE} == set(EVENTS)
    reached, new = set(), {"active"}
    while new - reached:
        reached |= new
        new = {to for (state, _), to in TABLE.items() if state in reached}
    assert reached == STATES


def test_only_a_new_beginning_leads_back_from_what_was_ended_on_purpose():
    """A renewal undoes an expiry; it never undoes a sign-out or a revocation."""
    back = {
        (state, trigger)
        for (state, trigger), to in TABLE.items()
        if state in {"revoked", "signed_out"} and to not in OVER
    }
    assert {trigger for _, trigger in back} == {"come_back"}
    for state in ("revoked", "signed_out"):
        gone = dataclasses.replace(begin(NOW), state=state)
        assert move(gone, "renew") is gone


@pytest.mark.parametrize(
    ("left", "trigger"), [(301, None), (300, "near"), (1, "near"), (0, "over")]
)
def test_an_exact_end_warns_and_then_ends(left, trigger):
    """A login ends at the second of its end, not after it."""
    assert trigger_at(login(1_000), WARN, later(1_000 - left)) == trigger


def test_an_estimated_end_warns_and_never_ends():
    """If a provider renews its cookies, a running job continues."""
    guess = login(1_000, "estimated")
    assert trigger_at(guess, WARN, later(900)) == "near"
    warned = move(guess, "near")
    assert [trigger_at(warned, WARN, later(s)) for s in (1_000, 2_000, 1e9)] == [None] * 3


@given(back=st.floats(0, 1e6))
def test_a_clock_set_back_prolongs_nothing(back):
    """The monotonic clock ends a login that the wall clock would continue."""
    limits = Limits(idle=600.0, absolute=3_600.0)
    assert trigger_at(login(1_000), WARN, later(1_000, wall=1_000 - back)) == "over"
    assert trigger_at(begin(NOW), limits, later(600, wall=600 - back)) == "over"
    active = touch(begin(NOW), later(3_599, wall=3_599 - back))
    assert trigger_at(active, limits, later(3_600, wall=3_600 - back)) == "over"


@given(back=st.floats(1, 1e6), after=st.floats(0, 999))
def test_the_same_end_told_again_by_a_clock_set_back_is_no_new_end(back, after):
    """Each request states the end again, but the deadline does not move."""
    told_again = learn(login(1_000), Expiry(NOW.wall + 1_000, "jwt"), later(after, wall=-back))
    assert trigger_at(told_again, WARN, later(1_000, wall=-back)) == "over"


def test_a_machine_that_slept_does_not_prolong_anything():
    """While the machine sleeps, the monotonic clock stands still, and the wall clock ends it."""
    woken = Moment(NOW.wall + 1_000, NOW.monotonic)
    assert trigger_at(login(1_000), WARN, woken) == "over"
    assert trigger_at(begin(NOW), Limits(idle=600.0), woken) == "over"


@given(steps=st.lists(st.tuples(seconds, forward), min_size=1, max_size=20))
def test_the_time_alone_never_leads_back_from_over(steps):
    """No change of the clocks prolongs a login."""
    status, moment, was_over = login(1_000), NOW, False
    for wall, monotonic in steps:
        moment = Moment(moment.wall + wall, moment.monotonic + monotonic)
        trigger = trigger_at(status, WARN, moment)
        status = status if trigger is None else move(status, trigger)
        assert status.over or not was_over
        was_over = status.over


def test_a_later_end_takes_the_warning_back():
    """A later end also ends a warning that is already shown."""
    warned = move(login(1_000), "near")
    assert warned.state == "expiring"
    renewed = learn(warned, Expiry(NOW.wall + 9_000, "jwt"), later(900))
    assert trigger_at(renewed, WARN, later(900)) == "renew"
    assert move(renewed, "renew").state == "active"


def test_what_is_done_puts_off_the_idle_timeout_alone():
    """Activity does not move the absolute timeout."""
    limits = Limits(warning=10.0, idle=600.0, absolute=1_000.0)
    busy = touch(begin(NOW), later(500))
    assert trigger_at(busy, limits, later(700)) is None
    assert trigger_at(busy, limits, later(1_000)) == "over"


@pytest.mark.parametrize("limits", [Limits(idle=10.0), Limits(absolute=10.0)])
def test_a_timeout_shorter_than_the_warning_is_not_near_all_the_time(limits):
    """Such a login is near its end after half of the timeout."""
    assert [trigger_at(begin(NOW), limits, later(s)) for s in (0, 4, 5, 10)] == [
        None,
        None,
        "near",
        "over",
    ]


def test_the_end_to_show_is_the_earliest_that_is_known():
    """The idle timeout counts only when it is near, since any activity moves it."""
    limits = Limits(idle=600.0, absolute=5_000.0)
    assert end_of(begin(NOW), WARN) is None
    assert end_of(login(9_000), limits) == Expiry(NOW.wall + 5_000, "absolute")
    assert end_of(login(1_000), limits) == Expiry(NOW.wall + 1_000, "jwt")
    near = dataclasses.replace(begin(NOW), state="expiring")
    assert end_of(near, limits) == Expiry(NOW.wall + 600, "idle")


@given(wall=seconds, monotonic=forward)
def test_the_stricter_clock_says_how_much_time_has_passed(wall, monotonic):
    """The elapsed time is that of the clock that shows more."""
    now = Moment(NOW.wall + wall, NOW.monotonic + monotonic)
    assert math.isclose(elapsed(NOW, now), max(wall, monotonic), abs_tol=1e-3)


def test_the_picture_in_the_documentation_is_the_table():
    """docs/architecture.md has exactly the diagram of the table."""
    page = Path(__file__).parents[2] / "docs" / "architecture.md"
    assert diagram() in page.read_text(encoding="utf-8")


whole = st.integers(0, 10**6).map(float)  # the clocks' sums are exact


@given(whole, st.sampled_from(["jwt", "estimated"]), whole, whole, whole)
def test_no_authority_undoes_a_timeout_of_ours(at, source, idle, absolute, passed):
    """The authority can undo its own end, if the request states no earlier end."""
    limits = Limits(idle=idle, absolute=absolute)
    expired = login(at, source, state="expired")
    now = later(passed)
    ours = passed >= min(idle, absolute)
    assert timed_out(expired, limits, now) == ours
    past = source == "jwt" and at <= passed
    assert can_renew(expired, limits, now) == (not ours and not past)
    longer = Expiry(now.wall + 10, "jwt")
    assert can_renew(expired, limits, now, longer) == (not ours)


def test_what_can_end_by_time_alone():
    """An exact end or a timeout can end a login by time; an estimate cannot."""
    assert not is_timed(begin(NOW), Limits())
    assert not is_timed(login(1_000, "estimated"), Limits())
    assert is_timed(login(1_000), Limits())
    assert is_timed(begin(NOW), Limits(idle=1.0))
    assert is_timed(begin(NOW), Limits(absolute=1.0))


ends = st.one_of(st.just(math.inf), st.floats(1, 1e5))


@given(
    limits=st.builds(Limits, warning=st.floats(0, 1_000), idle=ends, absolute=ends),
    stated=st.none() | st.floats(1, 1e5),
    source=st.sampled_from(["jwt", "estimated"]),
    before=st.floats(0, 1e5),
    part=st.floats(0, 0.999),
)
def test_nothing_changes_by_time_before_the_next_change(limits, stated, source, before, part):
    """A server that looks at a login only then misses nothing, and then something has changed."""
    status = begin(NOW) if stated is None else login(stated, source)
    now = later(before)
    while (trigger := trigger_at(status, limits, now)) is not None:
        status = move(status, trigger)
    wait = next_change(status, limits, now)
    if math.isinf(wait):
        assert trigger_at(status, limits, later(before + 1e9)) is None
        return
    if wait > 1e-6:  # a shorter wait is lost where two floats of seconds are subtracted
        assert trigger_at(status, limits, later(before + part * wait)) is None
    assert trigger_at(status, limits, later(before + wait + 1e-3)) is not None
