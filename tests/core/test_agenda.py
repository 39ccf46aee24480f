"""The agenda against a plain dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.agenda import Agenda

NAMES = st.sampled_from("abcdef")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, st.integers(0, 50)),
        st.tuples(st.just("put_earlier"), NAMES, st.integers(0, 50)),
        st.tuples(st.just("drop"), NAMES, st.just(0)),
        st.tuples(st.just("take"), st.just(""), st.integers(0, 60)),
    )
)


@given(STEPS)
def test_the_names_whose_time_has_come(steps):
    """Each name comes once, at the time that was set last, and the earliest come first."""
    agenda, times = Agenda(), {}
    for step, name, at in steps:
        if step == "put":
            agenda.put(name, at)
            times[name] = at
        elif step == "put_earlier":
            agenda.put_earlier(name, at)
            times[name] = min(at, times.get(name, at))
        elif step == "drop":
            agenda.drop(name)
            times.pop(name, None)
        else:
            taken = agenda.take(at)
            assert sorted(taken) == sorted(n for n, time in times.items() if time <= at)
            assert [times[n] for n in taken] == sorted(times.pop(n) for n in taken)
        assert len(agenda) == len(times)


def test_the_time_of_a_name_is_the_latest_put():
    """A name that is dropped, or was never put, has none."""
    agenda = Agenda()
    agenda.put("alice", 3.0)
    agenda.put("alice", 5.0)
    agenda.put("bob", 1.0)
    agenda.drop("bob")
    assert [agenda.time_of(name) for name in ("alice", "bob", "carol")] == [5.0, None, None]


def test_former_times_are_forgotten():
    """A name whose time changes a million times does not fill the memory."""
    agenda = Agenda()
    for at in range(100_000, 0, -1):
        agenda.put("alice", at)
        agenda.put("bob", at)
    assert len(agenda._heap) < 100
    assert agenda.take(1) == ["alice", "bob"]


def test_the_first_one_leaves_the_others():
    """A caller that can handle only some of the names leaves the later ones in the agenda."""
    agenda = Agenda()
    for name, at in (("late", 9.0), ("second", 2.0), ("first", 1.0)):
        agenda.put(name, at)
    assert [agenda.take_first(5.0) for _ in range(3)] == ["first", "second", None]
    assert agenda.take(10.0) == ["late"]
