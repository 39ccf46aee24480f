"""The login that counts for running code: the user's own, or a later one of the same user.

Two clocks that jump, and no kernel; ``tests/flow/test_succession.py`` has the real thing.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logins import EPOCH, ending, login_of

from jupyter_session_user.core.session import OVER, STATES
from jupyter_session_user.errors import SessionExpired, SessionRevoked
from jupyter_session_user.kernel.live_session import LiveSession
from jupyter_session_user.kernel.status import SessionStatuses


def next_login(name: str = "alice", number: int = 2, **fields):
    """Return the session of another login of this user."""
    return login_of(name, id=f"login-{number}-of-{name}", **fields)


def test_a_login_begun_in_time_leaves_no_gap(clocks, known):
    """At the old end nothing happens; at the new end the session is over."""
    hers, his = LiveSession.of(ending()), LiveSession.of(ending("bob"))
    clocks.go(50)
    known.learn(next_login(expires_at=EPOCH + timedelta(seconds=100), expiry_source="jwt"))
    assert (hers.state, hers.seconds_left) == ("active", 50)
    clocks.go(10)
    hers.place.refuse_over()
    assert (hers.state, hers.seconds_left, his.state) == ("active", 40, "expired")
    with pytest.raises(SessionExpired):
        his.place.refuse_over()
    clocks.go(40)
    assert (hers.state, hers.seconds_left) == ("expired", 0.0)


def test_a_login_begun_later_revives_what_has_expired(clocks, known):
    """The new login counts for its user, not for Bob or another user of the same name."""
    hers, his = LiveSession.of(ending()), LiveSession.of(ending("bob"))
    other = LiveSession.of(ending(id="claimed", principal="claimed-alice"))
    clocks.go(61)
    assert {s.state for s in (hers, his, other)} == {"expired"}
    known.learn(next_login())
    assert [s.state for s in (hers, his, other)] == ["active", "expired", "expired"]
    assert (hers.expires_at, hers.seconds_left) == (None, None)


def test_no_person_no_succession(known):
    """A session without a known user has no other logins."""
    one = LiveSession.of(login_of("alice", principal="", state="expired"))
    known.learn(next_login(principal=""))
    assert one.state == "expired"


@pytest.mark.parametrize("state", ["revoked", "signed_out"])
def test_what_was_ended_on_purpose_stays_over(known, state):
    """Code of a revoked or signed-out login does not continue, even after a new login."""
    revoked, expired = LiveSession.of(login_of("alice")), LiveSession.of(next_login())
    known.learn(login_of("alice", state=state, revision=1), from_server=True)
    known.learn(next_login(state="expired", revision=1), from_server=True)
    known.learn(next_login(number=3))
    assert (revoked.state, expired.state) == (state, "active")
    known.learn(next_login(number=3, state=state, revision=1), from_server=True)
    assert expired.state == state
    known.learn(next_login(state="expired", revision=2, degraded=True), from_server=True)
    known.learn(next_login(number=4))
    assert (revoked.state, expired.state) == (state, state)
    with pytest.raises(SessionRevoked):
        expired.place.refuse_over()
    known.learn(next_login(revision=3), from_server=True)  # valid again for the authority
    assert expired.state == "active"


def test_signing_out_elsewhere_ends_nothing_that_another_login_carries(known):
    """If the user signs out in one of two further browsers, the other login continues the code."""
    hers = LiveSession.of(login_of("alice", state="expired"))
    for number in (2, 3):
        known.learn(next_login(number=number))
    carrier = hers.place.status.session.id
    other = ({2, 3} - {int(carrier[6])}).pop()
    known.learn(login_of("alice", id=carrier, state="signed_out", revision=1), from_server=True)
    assert hers.state == "active"
    known.learn(next_login(number=other, state="revoked", revision=1), from_server=True)
    assert hers.state == "revoked"


def test_a_login_that_was_over_when_it_sent_the_code_is_not_carried_on(known):
    """Under the policy ``flag``, an old cookie gets no rights from the user's new login."""
    running = LiveSession.of(login_of("alice"))
    known.learn(login_of("alice", state="expired", revision=1), from_server=True)
    known.learn(next_login())
    old = login_of("alice", state="expired", revision=1)
    late = LiveSession(old, known.place_of_message(old))
    assert (running.state, late.state) == ("active", "expired")
    known.learn(login_of("alice", revision=2), from_server=True)  # valid again by itself
    assert late.state == "active"


FIELDS = st.fixed_dictionaries(
    {
        "number": st.integers(1, 3),
        "name": st.sampled_from(["alice", "bob"]),
        "state": st.sampled_from(sorted(STATES)),
        "told": st.booleans(),
    }
)


@given(st.lists(FIELDS, max_size=12))
@settings(max_examples=200, deadline=None)
def test_never_without_a_live_login_of_the_same_person(steps):
    """For any updates in any order: a session that continues has a valid login.

    A live login always goes on; a revoked or signed-out one never does.
    """
    known, own = SessionStatuses(), {}
    for revision, step in enumerate(steps):
        told = step.pop("told")
        session = next_login(step["name"], step["number"], state=step["state"], revision=revision)
        known.learn(session, from_server=told)
        own[step["name"], step["number"]] = (step["state"], session)
        for (name, _), (state, latest) in own.items():
            seen = known.of(latest).state
            live = [s for (n, _), (s, _) in own.items() if n == name and s not in OVER]
            assert seen in OVER or live
            if state in {"revoked", "signed_out"}:
                assert seen == state
            elif state not in OVER:
                assert seen not in OVER


def test_clocks_decide_which_login_lasts(clocks, known):
    """If the better login ends first by its own clock, the next one counts."""
    hers = LiveSession.of(ending(seconds=10))
    known.learn(next_login(number=2, expires_at=EPOCH + timedelta(seconds=90), expiry_source="jwt"))
    clocks.wall -= 40
    known.learn(next_login(number=3, expires_at=EPOCH + timedelta(seconds=80), expiry_source="jwt"))
    assert hers.place.status.session.id == "login-3-of-alice"
    clocks.go(100)
    assert hers.state == "active"
    clocks.go(30)
    assert hers.state == "expired"


def test_an_estimate_is_no_end():
    """An estimated end in the past does not end a login."""
    known, soon = SessionStatuses(), datetime.now(timezone.utc) + timedelta(seconds=-5)
    hers = login_of("alice", state="expired")
    known.learn(hers)
    known.learn(next_login(expires_at=soon, expiry_source="estimated"))
    assert known.of(hers).state == "active"
