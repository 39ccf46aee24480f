"""The actor of a session: read as written, bounded, and never left out."""

from __future__ import annotations

import json

import pytest
from logins import login_of

from jupyter_session_user.core.actor import MAX_NAME, Actor
from jupyter_session_user.core.agent_credential import (
    PREFIX,
    may_grant,
    permits_method,
    read_wish,
    token_in,
)
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import read_stamp, session_stamp
from jupyter_session_user.errors import RemoteProtocolError

ACTORS = {
    "alice": Actor("agent", "a1", "Alpha", verified=True),
    "bob": Actor("agent", "b2", "Büro <i>", verified=False),
}


@pytest.mark.parametrize("name", ACTORS)
def test_the_actor_survives_each_format(name):
    """A stamp and an answer have the same person, and the same actor; or none."""
    session = login_of(name, actor=ACTORS[name])
    for read in (
        Session.from_wire(json.loads(json.dumps(session.to_wire()))),
        read_stamp(json.loads(session_stamp(session))),
    ):
        assert (read.user.username, read.actor) == (name, ACTORS[name])
    plain = login_of(name)
    assert read_stamp(json.loads(session_stamp(plain))).actor is None
    assert b"actor" not in session_stamp(plain)  # each message carries the stamp
    assert session.public_model()["actor"] == ACTORS[name].to_wire()
    assert plain.public_model()["actor"] is None


@pytest.mark.parametrize(
    "wire",
    [
        [],
        "agent",
        {},
        {"kind": "robot", "client_id": "a", "name": "A", "verified": True},
        {"kind": "agent", "name": "A", "verified": True},
        {"kind": "agent", "client_id": "a", "name": 1},
        {"kind": "agent", "client_id": "", "name": "A"},
        {"kind": "agent", "client_id": "a", "name": "x" * (MAX_NAME + 1)},
        {"kind": "agent", "client_id": "a", "name": "line\nbreak"},
        {"kind": "agent", "client_id": "a", "name": " A"},
    ],
)
def test_a_malformed_actor_is_an_error(wire):
    """It never becomes a session without an actor: that would be the person's own."""
    for name in ACTORS:
        stamp = {**json.loads(session_stamp(login_of(name))), "actor": wire}
        with pytest.raises(RemoteProtocolError, match="actor"):
            read_stamp(stamp)


def test_the_actor_is_shown_and_its_name_is_no_markup():
    """All ways to show a session name the agent; the person's own session shows none."""
    for name, actor in ACTORS.items():
        session = login_of(name, actor=actor)
        assert actor.name in str(session) and actor.name in repr(session)
        assert "acts" in session._repr_html_() and "<i>" not in session._repr_html_()
        plain = login_of(name)
        assert not any("act" in text for text in (str(plain), repr(plain)))
    assert "not verified" in str(ACTORS["bob"]) and "verified" not in str(ACTORS["alice"])


def test_two_tokens_are_an_error():
    """An agent's token is found in both places; beside any other token, none counts."""
    token = f"{PREFIX}a"
    assert token_in([f"Bearer {token}"], []) == token
    assert token_in([f"token  {token}"], [token]) == token
    assert token_in([], ["", token]) == token
    for none in ([], ["Bearer other"], ["Basic abc"], [f"Basic {token}"]):
        assert token_in(none, ["other"] * bool(none)) is None
    for headers, parameters in (
        ([f"Bearer {token}"], ["other"]),
        ([f"Bearer {token}", "Bearer other"], []),
        ([f"Bearer {token}"], [f"{token}b"]),
        (["Basic abc"], [token]),
    ):
        with pytest.raises(RemoteProtocolError, match="send one"):
            token_in(headers, parameters)


def test_who_may_grant():
    """A person's own verified login may; an agent, a service and a shared token may not."""
    for credential in ("cookie", "hub", "resolver", ""):
        assert may_grant(credential, "user:alice", verified=True, anonymous=False)
    for credential in ("agent", "token", "open"):
        assert not may_grant(credential, "user:alice", verified=True, anonymous=False)
    assert not may_grant("hub", "service:alice", verified=True, anonymous=False)
    assert not may_grant("cookie", "user:alice", verified=False, anonymous=False)
    assert not may_grant("cookie", "anonymous:x", verified=True, anonymous=True)


def test_a_wish_has_defaults():
    """A name is enough: the token is good for an hour, and for all that its person may do."""
    wish = read_wish({"name": "Alpha"})
    assert (wish.name, wish.lifetime, wish.scopes) == ("Alpha", 3600, {"read", "write", "execute"})
    for wrong in (None, [], {"name": 1}, {"name": "A", "lifetime": float("nan")}):
        with pytest.raises(RemoteProtocolError, match="write"):
            read_wish(wrong)


def test_a_wish_may_name_lifetime_and_scopes():
    """Both count as the person wrote them; the lifetime is above 0 s, and at most ten years."""
    wish = read_wish({"name": "Alpha", "lifetime": 0.5, "scopes": ["read"]})
    assert (wish.lifetime, wish.scopes) == (0.5, {"read"})
    assert read_wish({"name": "Alpha", "lifetime": 315_360_000}).lifetime == 315_360_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"lifetime": 0},
        {"lifetime": -1},
        {"lifetime": 315_360_001},
        {"lifetime": float("inf")},
        {"lifetime": True},
        {"lifetime": "60"},
        {"lifetime": None},
        {"scopes": []},
        {"scopes": ["read", "admin"]},
        {"scopes": "read"},
        {"scopes": None},
        {"scopes": {"read": 1}},
        {"user": "bob"},
        {"scope": ["read"]},
    ],
)
def test_a_malformed_wish_is_refused(wrong):
    """No value is corrected in silence: a misspelt field would give an agent all scopes."""
    (field,) = wrong
    with pytest.raises(RemoteProtocolError, match=field):
        read_wish({"name": "Alpha", **wrong})


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({"read"}, {"GET"}),
        ({"write"}, {"POST", "WS"}),
        ({"execute"}, {"POST", "WS"}),
        ({"read", "execute"}, {"GET", "POST", "WS"}),
    ],
)
def test_scopes_before_the_authorizer(scopes, allowed):
    """To read is not to open a websocket, which may carry anything."""
    found = {m for m in ("GET", "POST") if permits_method(scopes, m, handshake=False)}
    found |= {"WS"} if permits_method(scopes, "GET", handshake=True) else set()
    assert found == allowed
