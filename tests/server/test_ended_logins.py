"""The list of ended logins at one server's clock, and the accounts of its entries."""

from __future__ import annotations

import pytest

from jupyter_session_user.core.lifecycle import Moment
from jupyter_session_user.server.auth.ended_logins import COOKIE_LIMIT_S, MOST_ENDS, EndedLogins
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal

NOW = Moment(wall=1_000_000.0, monotonic=0.0)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Return a list that several servers share."""
    made = (
        MemoryEnded()
        if request.param == "memory"
        else SharedEnded(SqliteJournal(tmp_path / "ended.sqlite3"))
    )
    yield made
    made.close()


@pytest.fixture
def realms(store):
    """Return the list as servers of two identity providers see it, and a server without realm."""
    names = ("https://one.example", "https://two.example", "")
    return [EndedLogins(store, lambda: NOW, realm) for realm in names]


def over(ended, key="login", principal="alice", issued_at=999_999):
    """Return the server's state of a login, of all logins of a user, and of a renewed cookie."""
    return [
        ended.state(key),
        ended.seconds_missing(principal, issued_at) > 0,
        ended.canonical("new"),
    ]


def test_a_person_of_another_realm_is_somebody_else(realms):
    """Two providers have an ``alice``: if one signs out everywhere, the other stays logged in."""
    one, two, plain = realms
    one.renewed("login", "new")
    one.end("login", "alice", "revoked")
    one.end_principal("alice")
    assert over(one) == ["revoked", True, "login"]
    assert one.state("new") == "revoked"
    for other in (two, plain):
        assert over(other) == [None, False, "new"]
        assert other.state("new") is None


def test_letting_in_again_reaches_one_realm(realms):
    """An entry removed from the list of one realm stays on that of another."""
    one, two, _ = realms
    for each in (one, two):
        each.end("login", "alice", "signed_out")
    one.reopen("login")
    assert (one.state("login"), two.state("login")) == (None, "signed_out")


def test_servers_of_one_realm_share_what_ended(store):
    """Servers with the same realm have the same users."""
    first, second = (EndedLogins(store, lambda: NOW, "https://one.example") for _ in range(2))
    first.end_principal("alice")
    assert second.seconds_missing("alice", 999_999) > 0
    assert second.seconds_missing("bob", 999_999) == 0


def test_many_sign_outs_of_one_user_fill_no_memory_and_displace_nothing():
    """Alice signs out 100,000 times: each login stays refused; bob's revoked login does, too.

    Her entries do not grow with their number; bob's other login and her next one are valid.
    """
    store = MemoryEnded()
    now = [NOW]
    ended = EndedLogins(store, lambda: now[0])
    ended.end("bob's", "bob", "revoked", issued_at=5)
    for number in range(100_000):
        ended.end(f"key {number}", "alice", "signed_out", issued_at=number)
        if number % 20_000 == 0:
            ended.forget()
    refused = [
        ended.state(f"key {number}") is not None or ended.seconds_missing("alice", number) > 0
        for number in range(100_000)
    ]
    assert all(refused)
    assert ended.seconds_missing("alice", int(NOW.wall) + 1) == 0
    assert len(store.subjects()) < 1.1 * MOST_ENDS
    assert (ended.state("bob's"), ended.seconds_missing("bob", 6)) == ("revoked", 0)
    now[0] = Moment(NOW.wall + COOKIE_LIMIT_S - 1, 0.0)
    ended.forget()
    assert ended.state("bob's") == "revoked"
    now[0] = Moment(NOW.wall + COOKIE_LIMIT_S + 1, 0.0)
    ended.forget()
    assert store.subjects() == []


def test_the_number_of_ends_of_one_user_does_not_change_how_another_one_ends():
    """After alice's many sign-outs, bob's sign-out ends that login alone, also an earlier one."""
    ended = EndedLogins(MemoryEnded(), lambda: NOW)
    for number in range(MOST_ENDS + 5):
        ended.end(f"key {number}", "alice", "signed_out", issued_at=number)
    assert ended.end("bob's second", "bob", "signed_out", issued_at=20) is False
    assert ended.state("bob's second") == "signed_out"
    assert ended.state("bob's first") is None
    assert ended.seconds_missing("bob", 10) == 0


def test_a_login_whose_time_is_unknown_always_has_an_entry_of_its_own():
    """A token or a JWT carries no time of ours, so a point in time cannot end it."""
    ended = EndedLogins(MemoryEnded(), lambda: NOW)
    for number in range(MOST_ENDS + 5):
        ended.end(f"key {number}", "alice", "revoked")
    assert {ended.state(f"key {number}") for number in range(MOST_ENDS + 5)} == {"revoked"}
    assert ended.seconds_missing("alice", 0) == 0
