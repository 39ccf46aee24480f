"""The life of a login, as a pure table and a pure clock."""

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
    Moment,
    Standing,
    begin,
    diagram,
    elapsed,
    end_of,
    learn,
    move,
    touch,
    trigger_at,
)
from jupyter_session_user.core.session import OVER, STATES

NOW = Moment(wall=1_000_000.0, monotonic=50.0)
WARN = Limits(warning=300.0)

seconds = st.floats(-1e6, 1e6)
forward = st.floats(0, 1e6)


def later(seconds: float, wall: float | None = None) -> Moment:
    """Return a moment ``seconds`` after NOW; ``wall`` says what a set clock shows instead."""
    return Moment(NOW.wall + (seconds if wall is None else wall), NOW.monotonic + seconds)


def login(at: float, source: str = "jwt", state: str = "active") -> Standing:
    """Return a login that ends ``at`` seconds after NOW."""
    standing = learn(begin(NOW), Expiry(NOW.wall + at, source), NOW)
    return dataclasses.replace(standing, state=state)


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
        if state in {"revoked", "ended"} and to not in OVER
    }
    assert {trigger for _, trigger in back} == {"come_back"}
    for state in ("revoked", "ended"):
        gone = dataclasses.replace(begin(NOW), state=state)
        assert move(gone, "renew") is gone


@pytest.mark.parametrize(
    ("left", "trigger"), [(301, None), (300, "near"), (1, "near"), (0, "over")]
)
def test_an_exact_end_warns_and_then_ends(left, trigger):
    """At the very second, not after it."""
    assert trigger_at(login(1_000), WARN, later(1_000 - left)) == trigger


def test_an_estimated_end_warns_and_never_ends():
    """A provider that renews its cookies must not cost anybody a running job."""
    guess = login(1_000, "estimated")
    assert trigger_at(guess, WARN, later(900)) == "near"
    warned = move(guess, "near")
    assert [trigger_at(warned, WARN, later(s)) for s in (1_000, 2_000, 1e9)] == [None] * 3


@given(back=st.floats(0, 1e6))
def test_a_clock_set_back_prolongs_nothing(back):
    """The monotonic clock ends what the wall clock would let live on."""
    limits = Limits(idle=600.0, absolute=3_600.0)
    assert trigger_at(login(1_000), WARN, later(1_000, wall=1_000 - back)) == "over"
    assert trigger_at(begin(NOW), limits, later(600, wall=600 - back)) == "over"
    active = touch(begin(NOW), later(3_599, wall=3_599 - back))
    assert trigger_at(active, limits, later(3_600, wall=3_600 - back)) == "over"


@given(back=st.floats(1, 1e6), after=st.floats(0, 999))
def test_the_same_end_told_again_by_a_clock_set_back_is_no_new_end(back, after):
    """Each request tells the expiry again; the deadline stays where it was."""
    told_again = learn(login(1_000), Expiry(NOW.wall + 1_000, "jwt"), later(after, wall=-back))
    assert trigger_at(told_again, WARN, later(1_000, wall=-back)) == "over"


def test_a_machine_that_slept_does_not_prolong_anything():
    """While it sleeps the monotonic clock stands still, and the wall clock goes on."""
    woken = Moment(NOW.wall + 1_000, NOW.monotonic)
    assert trigger_at(login(1_000), WARN, woken) == "over"
    assert trigger_at(begin(NOW), Limits(idle=600.0), woken) == "over"


@given(steps=st.lists(st.tuples(seconds, forward), min_size=1, max_size=20))
def test_the_time_alone_never_leads_back_from_over(steps):
    """Whatever both clocks do."""
    standing, moment, was_over = login(1_000), NOW, False
    for wall, monotonic in steps:
        moment = Moment(moment.wall + wall, moment.monotonic + monotonic)
        trigger = trigger_at(standing, WARN, moment)
        standing = standing if trigger is None else move(standing, trigger)
        assert standing.over or not was_over
        was_over = standing.over


def test_a_later_end_takes_the_warning_back():
    """Also while it is being given."""
    warned = move(login(1_000), "near")
    assert warned.state == "expiring"
    renewed = learn(warned, Expiry(NOW.wall + 9_000, "jwt"), later(900))
    assert trigger_at(renewed, WARN, later(900)) == "renew"
    assert move(renewed, "renew").state == "active"


def test_what_is_done_puts_off_the_idle_timeout_alone():
    """The absolute one stays where it is."""
    limits = Limits(warning=10.0, idle=600.0, absolute=1_000.0)
    busy = touch(begin(NOW), later(500))
    assert trigger_at(busy, limits, later(700)) is None
    assert trigger_at(busy, limits, later(1_000)) == "over"


@pytest.mark.parametrize("limits", [Limits(idle=10.0), Limits(absolute=10.0)])
def test_a_timeout_shorter_than_the_warning_is_not_near_all_the_time(limits):
    """It is when half of it has passed."""
    assert [trigger_at(begin(NOW), limits, later(s)) for s in (0, 4, 5, 10)] == [
        None,
        None,
        "near",
        "over",
    ]


def test_the_end_to_show_is_the_earliest_that_is_known():
    """The idle one only once it is near, since it moves with every click."""
    limits = Limits(idle=600.0, absolute=5_000.0)
    assert end_of(begin(NOW), WARN) is None
    assert end_of(login(9_000), limits) == Expiry(NOW.wall + 5_000, "absolute")
    assert end_of(login(1_000), limits) == Expiry(NOW.wall + 1_000, "jwt")
    near = dataclasses.replace(begin(NOW), state="expiring")
    assert end_of(near, limits) == Expiry(NOW.wall + 600, "idle")


@given(wall=seconds, monotonic=forward)
def test_the_stricter_clock_says_how_much_time_has_passed(wall, monotonic):
    """Neither of them can say less than the other for long."""
    now = Moment(NOW.wall + wall, NOW.monotonic + monotonic)
    assert math.isclose(elapsed(NOW, now), max(wall, monotonic), abs_tol=1e-3)


def test_the_picture_in_the_documentation_is_the_table():
    """Drawn by ``diagram()``, word for word."""
    page = Path(__file__).parents[2] / "docs" / "architecture.md"
    assert diagram() in page.read_text(encoding="utf-8")
