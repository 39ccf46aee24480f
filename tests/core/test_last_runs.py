"""The latest run of each cell: bounded, and what the kernel did not run does not count."""

from __future__ import annotations

import pytest

from jupyter_session_user.core.last_runs import LastRuns
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User


@pytest.fixture
def alice():
    """Return the session of a user."""
    return session_of("alice")


@pytest.fixture
def bob():
    """Return the session of another user."""
    return session_of("bob")


def session_of(name):
    """Return a session of a user."""
    return Session(f"session of {name}", user=User(name), source="test", verified=True)


def seen(runs, after=0):
    """Return who ran which cell, and how that ended."""
    _, found = runs.of("k", after)
    return {run.cell_id: (run.who and run.who["username"], run.status) for run in found}


def test_only_changes_since_a_version(alice, bob):
    """A page asks with the version that it has, and gets what has changed since: also an end."""
    runs = LastRuns()
    hers = runs.begin("k", "one", alice, 1.0)
    runs.begin("k", "two", bob, 2.0)
    version, _ = runs.of("k")
    assert seen(runs) == {"one": ("alice", None), "two": ("bob", None)}
    assert seen(runs, version) == {}
    runs.end("k", hers, "ok", 3.0)
    assert seen(runs, version) == {"one": ("alice", "ok")}
    # The version of another server, which this one's restart has made meaningless.
    assert seen(runs, 10**9) == seen(runs)


def test_the_latest_to_begin_counts(alice, bob):
    """Alice's cell ends after Bob has begun to run the same cell: it is Bob's."""
    runs = LastRuns()
    hers = runs.begin("k", "one", alice, 1.0)
    his = runs.begin("k", "one", bob, 2.0)
    runs.end("k", hers, "error", 3.0)
    assert seen(runs) == {"one": ("bob", None)}
    runs.end("k", his, "ok", 4.0)
    assert seen(runs) == {"one": ("bob", "ok")}


def test_what_the_kernel_did_not_run_does_not_count(alice, bob):
    """An aborted run gives way to the one before it, through a whole queue of aborted ones."""
    runs = LastRuns()
    runs.end("k", runs.begin("k", "one", alice, 1.0), "ok", 2.0)
    queued = [runs.begin("k", "one", bob, 3.0) for _ in range(3)]
    for run in queued:
        version, _ = runs.of("k")
        runs.end("k", run, "aborted", 4.0)
    assert seen(runs, version) == {"one": ("alice", "ok")}
    runs.end("k", runs.begin("k", "two", bob, 5.0), "aborted", 6.0)
    assert seen(runs)["two"] == ("bob", "aborted")  # a page has to take it back


def test_an_unknown_user_is_unknown(alice):
    """A run of an unknown user takes the place of Alice's, without a name."""
    runs = LastRuns()
    runs.begin("k", "one", alice, 1.0)
    runs.begin("k", "one", None, 2.0)
    assert seen(runs) == {"one": (None, None)}


def test_memory_is_bounded(alice):
    """Any number of cells, kernels and queued runs leaves the latest, as many as are allowed."""
    runs = LastRuns(cells=3, kernels=2)
    for number in range(10):
        runs.begin("k", f"cell {number}", alice, 1.0)
    assert list(seen(runs)) == ["cell 7", "cell 8", "cell 9"]
    runs.begin("other", "one", alice, 1.0)
    runs.begin("k", "cell 9", alice, 1.0)  # the kernel in use stays
    runs.begin("third", "one", alice, 1.0)
    assert [len(runs.of(kernel)[1]) for kernel in ("k", "other", "third")] == [3, 0, 1]
    for _ in range(10):
        last = runs.begin("k", "cell 9", alice, 1.0)
        runs.end("k", last, "ok", 2.0)
    assert last.before is None


def test_nothing_without_a_cell_or_a_kernel(alice):
    """Code from elsewhere than a cell is nobody's cell."""
    runs = LastRuns()
    assert runs.begin("k", None, None, 1.0) is runs.begin("", "one", alice, 1.0) is None
    runs.begin("k", None, alice, 1.0)
    assert runs.of("k")[1] == []


def last(runs, session, kernel="k"):
    """Return the cell of a session's latest run, and its time."""
    run = runs.of_session(kernel, session.id)
    return run and (run.cell_id, run.start)


def test_each_session_has_a_last_run_of_its_own(alice, bob):
    """Bob runs later than Alice, also her own cell: her last run stays hers, and his is his."""
    runs = LastRuns()
    runs.end("k", runs.begin("k", "one", alice, 1.0), "ok", 2.0)
    runs.begin("k", "one", bob, 3.0)
    runs.begin("k", "two", bob, 4.0)
    runs.begin("k", "three", None, 5.0)  # an unknown user's is nobody's
    assert (last(runs, alice), last(runs, bob)) == (("one", 1.0), ("two", 4.0))
    runs.begin("k", None, alice, 6.0)  # a script says no cell
    assert (last(runs, alice), last(runs, bob)) == ((None, 6.0), ("two", 4.0))
    assert last(runs, alice, "other") is None
    runs.forget("k")
    assert last(runs, alice) is last(runs, bob) is None


def test_what_the_kernel_did_not_run_is_no_last_run(alice, bob):
    """Of a session's aborted runs, the one before them counts; without one, there is none."""
    runs = LastRuns()
    runs.end("k", runs.begin("k", "one", alice, 1.0), "ok", 2.0)
    queued = [runs.begin("k", "two", who, 3.0) for who in (bob, alice, bob, alice)]
    for run in queued:
        runs.end("k", run, "aborted", 4.0)
    assert (last(runs, alice), last(runs, bob)) == (("one", 1.0), None)
    late = runs.begin("k", "two", alice, 5.0)
    runs.begin("k", "three", alice, 6.0)
    runs.end("k", late, "aborted", 7.0)
    assert last(runs, alice) == ("three", 6.0)


def test_sessions_are_bounded(alice):
    """Any number of sessions of a kernel leaves the latest ones."""
    runs = LastRuns(cells=2)
    for number in range(5):
        runs.begin("k", None, session_of(str(number)), 1.0)
    kept = [str(number) for number in range(5) if last(runs, session_of(str(number)))]
    assert kept == ["3", "4"]


def test_gone_with_the_kernel(alice):
    """The server keeps no name of a kernel that is gone; a late reply brings none back."""
    runs = LastRuns()
    late = runs.begin("k", "one", alice, 1.0)
    runs.forget("k")
    runs.end("k", late, "ok", 2.0)
    assert seen(runs) == {}
