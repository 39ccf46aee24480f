"""The current state of a session, by two clocks that jump."""

from __future__ import annotations

import gc
import pickle
from copy import copy
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logins import ending, login_of

from jupyter_session_user.core.session import MOVING, OVER, STATES
from jupyter_session_user.errors import SessionExpired, SessionRevoked
from jupyter_session_user.kernel.live_session import LiveSession
from jupyter_session_user.kernel.status import MAX_SESSIONS, SessionStatus, SessionStatuses, refusal


@pytest.mark.parametrize("jump", [0, -7200, -30, 30])
def test_a_clock_jump_prolongs_nothing(clocks, jump):
    """However the wall clock is set, the session is over after its time, and stays over."""
    known = SessionStatuses()
    known.learn(ending())
    clocks.go(20)
    clocks.wall += jump
    known.learn(ending(revision=1))  # the next message states the same end
    seen = known.of(ending())
    assert seen.seconds_left <= 40
    assert not seen.is_over() or jump > 0
    clocks.go(40)
    assert seen.is_over()
    assert (seen.state, seen.seconds_left) == ("expired", 0.0)
    assert known.of(ending(revision=2)).is_over()


def test_a_machine_that_slept(clocks):
    """The monotonic clock may stand still; then the wall clock counts."""
    known = SessionStatuses()
    known.learn(ending())
    clocks.wall += 61
    assert known.of(ending()).is_over()


def test_a_later_end_is_later(clocks):
    """A renewal starts at the current time of the clock."""
    known = SessionStatuses()
    known.learn(ending())
    clocks.go(61)
    known.learn(ending(seconds=120, revision=1))
    assert known.of(ending()).seconds_left == pytest.approx(59)
    assert known.of(ending()).state == "active"


@given(
    state=st.sampled_from(sorted(STATES)),
    source=st.sampled_from(["", "estimated", "jwt", "custom", "idle"]),
    seconds=st.none() | st.floats(-1e6, 1e6),
)
@settings(max_examples=100, deadline=None)
def test_only_an_exact_end_or_the_server_s_word_ends_a_session(state, source, seconds):
    """An estimate or idleness ends nothing; the time left is never negative, None if unknown."""
    now = datetime.now(timezone.utc)
    expires_at = None if seconds is None else now + timedelta(seconds=seconds)
    seen = SessionStatus(login_of("a", state=state, expires_at=expires_at, expiry_source=source))
    left = seen.seconds_left
    exact = source not in MOVING
    past = left == 0.0 and expires_at is not None
    assert seen.is_over() == (state in OVER or (exact and past))
    assert (seen.state in OVER) == seen.is_over()
    assert left is None or left >= 0
    assert (left is None) == (expires_at is None and state not in OVER)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(sorted(STATES)), st.booleans())))
@settings(max_examples=100, deadline=None)
def test_the_highest_revision_wins(steps):
    """Compared with a model: a stamp needs a higher revision, an update at least an equal one."""
    known, model = SessionStatuses(), None
    for revision, state, told in steps:
        known.learn(login_of("alice", revision=revision, state=state), from_server=told)
        if model is None or revision > model[0] or (told and revision == model[0]):
            model = (revision, state)
    if model is not None:
        seen = known.of(login_of("alice"))
        assert (seen.revision, seen.state) == model
        assert (seen.check_at is None) == (model[1] not in OVER)
    assert known.of(login_of("bob")).state == "active"


def test_sessions_are_bounded():
    """A kernel that gets many logins forgets the oldest, unless code still holds it."""
    known = SessionStatuses()
    held = known.place(login_of("alice", id="s3"))
    for number in range(MAX_SESSIONS + 5):
        known.learn(login_of("alice", id=f"s{number}", state="signed_out"))
    assert len(known.of_principal(held)) == MAX_SESSIONS + 1  # also the session that code holds
    gc.collect()
    assert not known.is_known(login_of("alice", id="s4"))
    assert known.place(login_of("alice", id="s3")) is held
    assert known.is_known(login_of("alice", id="s5"))


def test_a_live_session_follows(known):
    """Its end is the latest known one; its other fields do not change."""
    alice, bob = LiveSession.of(login_of("alice")), LiveSession.of(login_of("bob"))
    known.learn(alice)
    known.learn(bob)
    before = hash(alice)
    assert (alice.state, alice.seconds_left, alice.degraded) == ("active", None, False)
    later = login_of("alice", state="revoked", revision=3, degraded=True)
    known.learn(later, from_server=True)
    assert (alice.state, alice.seconds_left, alice.degraded) == ("revoked", 0.0, True)
    assert (alice.revision, alice.user.username) == (0, "alice")
    assert (bob.state, bob.degraded) == ("active", False)
    assert hash(alice) == before  # it may be a key, even if its state changes meanwhile


def test_a_live_session_is_a_session(clocks, known):
    """A live session is frozen, equals its copies, and can be pickled with its current state."""
    alice = LiveSession.of(ending(state="expiring"))
    with pytest.raises(FrozenInstanceError):
        alice.state = "active"
    assert copy(alice) == alice == pickle.loads(pickle.dumps(alice))  # noqa: S301 - our own
    assert alice == LiveSession.of(ending(state="active"))  # one session, one state
    assert alice != LiveSession.of(ending("bob", state="expiring"))
    assert replace(alice.now(), source="x").state == alice.state
    assert alice.to_wire()["expiry_source"] == "jwt"


@pytest.mark.parametrize("state", sorted(OVER))
def test_the_error_names_the_state_and_what_to_do(state):
    """The text is one sentence for the user, without a name or an id."""
    error = refusal(state)
    assert isinstance(error, SessionExpired)
    assert isinstance(error, SessionRevoked) == (state != "expired")
    assert error.state == state
    assert "Log in again, then run the cell again." in str(error)
