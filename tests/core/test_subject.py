"""The provider's names of logins: a table of what ends, and of what another name does not end."""

from __future__ import annotations

import pytest

from jupyter_session_user.core.subject import (
    STATES,
    Target,
    at,
    how_it_ended,
    subject_of,
    target_names,
)

OP = "https://op.example.org"
OTHER = "https://other.example.org"


def ends(target, subject, before=100, began=None, state="signed_out"):
    """Return how a login ended after the provider's message."""
    named = target_names(target)
    sessions = dict.fromkeys(named.sessions, state)
    users = {at(user, state): before for user in named.users}
    return how_it_ended(subject, began, sessions.get, lambda name: users.get(name, -1))


ALICE_1 = subject_of(OP, "alice", "s1", since=90)
ALICE_2 = subject_of(OP, "alice", "s2", since=90)
ALICE_UNKNOWN = subject_of(OP, "alice", since=90)
ALICE_LATER = subject_of(OP, "alice", "s3", since=101)
BOB_1 = subject_of(OP, "bob", "s9", since=90)
BOB_SAME_SID = subject_of(OP, "bob", "s1", since=90)
ELSEWHERE = subject_of(OTHER, "alice", "s1", since=90)

TABLE = [
    # target                       the logins that end
    (Target(OP, sub="alice"), {"ALICE_1", "ALICE_2", "ALICE_UNKNOWN"}),
    (Target(OP, sid="s1"), {"ALICE_1", "BOB_SAME_SID"}),
    (Target(OP, sub="alice", sid="s1"), {"ALICE_1", "ALICE_UNKNOWN"}),
    (Target(OP, sub="bob", sid="s1"), {"BOB_SAME_SID"}),
    (Target(OP, sub="bob"), {"BOB_1", "BOB_SAME_SID"}),
    (Target(OP, sub="alice", sid="unknown"), {"ALICE_UNKNOWN"}),
    (Target(OTHER, sub="alice"), {"ELSEWHERE"}),
    (Target(OTHER, sid="s1"), {"ELSEWHERE"}),
    (Target(OP, sub="s1"), set()),
    (Target(OP, sid="alice"), set()),
    (Target(OP + "a", sub="lice"), set()),
]
LOGINS = {
    name: value
    for name, value in list(globals().items())
    if name.startswith(("ALICE", "BOB", "ELSE"))
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("target", "expected"), TABLE)
def test_which_logins_a_message_ends(target, expected, state):
    """Those of the table, in that state; no others."""
    found = {name: ends(target, login, state=state) for name, login in LOGINS.items()}
    assert found == {name: state if name in expected else None for name in LOGINS}


@pytest.mark.parametrize(
    ("since", "began", "ended"),
    [
        (99, None, True),
        (100, None, True),
        (100.9, None, True),  # the message's time is a whole second
        (101, None, False),
        (None, 100.9, True),
        (None, 101, False),
        (None, None, False),  # a new login, of which nothing is known
        (90, 101, True),  # it began at the provider before
        (101, 90, True),  # its token was renewed
        (101, 102, False),
    ],
)
def test_a_message_about_a_user_ends_logins_until_then(since, began, ended):
    """The earlier of both times counts; another user's login goes on."""
    for name in ("alice", "bob"):
        found = ends(Target(OP, "alice"), subject_of(OP, name, since=since), began=began)
        assert found == ("signed_out" if ended and name == "alice" else None)


def test_all_names_are_hashes_and_reach_the_login():
    """A name shows no id; each name of a message is one that another server's login knows."""
    for target, expected in TABLE:
        named = target_names(target)
        names = {*named.sessions, *(at(user, state) for user in named.users for state in STATES)}
        assert not any("alice" in name or "bob" in name or "s1" in name for name in names)
        known = {name for name, login in LOGINS.items() if names & set(login.names)}
        # The time decides about a login that began later.
        assert expected <= known <= expected | {"ALICE_LATER"}
