"""Requests and replies survive the comm; malformed and reserved messages are refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_session_user.core.bearer import MAX_LIFETIME_S
from jupyter_session_user.core.protocol import (
    COMM_ID_PREFIX,
    EVENTS,
    LINK_TYPE,
    OPERATIONS,
    REPLY_TYPE,
    TARGET,
    TOPIC_PREFIX,
    UPDATE_TYPE,
    LinkState,
    Reply,
    Request,
    Update,
    is_reserved,
)
from jupyter_session_user.core.session import STATES, Session
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import LocalProtocolError, RemoteProtocolError

#: JSON can encode halves of surrogate pairs; readers treat quotes and zeros differently.
ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\0\\\"'<&"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
IDS = st.text(max_size=128)
REQUESTS = st.builds(
    Request,
    id=IDS,
    operation=st.sampled_from(sorted(OPERATIONS)),
    session_id=IDS,
    name=st.text(max_size=40),
    max_age_days=st.floats(0, 36_500),
    lifetime=st.floats(1, MAX_LIFETIME_S),
)
RESULTS = st.builds(
    Reply, id=IDS, result=st.dictionaries(ANY_TEXT, st.integers() | ANY_TEXT, max_size=3)
)
FAILURES = st.builds(
    Reply,
    id=IDS,
    error=st.text(min_size=1, max_size=40),
    message=st.text(max_size=40),
    login_url=st.text(max_size=40),
)
UPDATES = st.builds(
    Update,
    event=st.sampled_from(sorted(EVENTS)),
    session=st.builds(
        Session,
        id=ANY_TEXT,
        user=st.builds(User, username=ANY_TEXT.filter(bool)),
        source=ANY_TEXT,
        verified=st.booleans(),
        state=st.sampled_from(sorted(STATES)),
        revision=st.integers(),
    ),
)
COMM_TYPES = ("comm_open", "comm_msg", "comm_close")
REQUEST = Request("r1", "signed", "s1", name="token", max_age_days=7.0)


def spoilt(wires):
    """Return a strategy for such objects with one field replaced, and perhaps one left out."""
    return wires.flatmap(
        lambda wire: st.builds(
            lambda key, value, gone: {k: v for k, v in {**wire, key: value}.items() if k != gone},
            st.sampled_from(sorted(wire)),
            JSON,
            st.none() | st.sampled_from(sorted(wire)),
        )
    )


@given(REQUESTS)
@settings(deadline=None)
def test_the_wire_gives_the_same_request_back(request):
    """``from_wire`` undoes ``to_wire``, through real JSON."""
    assert Request.from_wire(json.loads(json.dumps(request.to_wire()))) == request


@given(RESULTS | FAILURES)
@settings(deadline=None)
def test_the_wire_gives_the_same_reply_back(reply):
    """A result and an error are transported in the same way."""
    assert Reply.from_wire(json.loads(json.dumps(reply.to_wire()))) == reply


def test_an_error_travels_without_a_result():
    """A reply that refuses has no result."""
    wire = Reply("r1", {"cookies": "canary"}, error="refused", message="no").to_wire()
    assert "canary" not in json.dumps(wire)


def test_a_reply_does_not_show_its_result():
    """Cookies in a result do not reach a log through a repr."""
    assert "canary" not in repr(Reply("r1", {"cookies": "canary"}))


def test_an_operation_of_nobody_is_our_own_mistake():
    """The kernel side cannot send an operation that the protocol does not define."""
    with pytest.raises(LocalProtocolError, match="no such operation: 'delete'"):
        Request("r1", "delete", "s1").to_wire()


@given(JSON | spoilt(REQUESTS.map(Request.to_wire)))
@example({**REQUEST.to_wire(), "max_age_days": 7})
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_sound_request_or_a_protocol_error(wire):
    """An accepted request has bounded fields of the documented types."""
    try:
        request = Request.from_wire(wire)
    except RemoteProtocolError:
        return
    assert request.operation in OPERATIONS
    assert max(len(request.id), len(request.session_id)) <= 128
    assert type(request.max_age_days) is float
    assert 0 <= request.max_age_days <= 36_500
    assert Request.from_wire(request.to_wire()) == request


@given(JSON | spoilt((RESULTS | FAILURES).map(Reply.to_wire)))
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_sound_reply_or_a_protocol_error(wire):
    """An accepted reply has fields of the documented types."""
    try:
        reply = Reply.from_wire(wire)
    except RemoteProtocolError:
        return
    assert isinstance(reply.result, dict)
    assert all(isinstance(text, str) for text in (reply.id, reply.error, reply.message))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"id": 1},
        {"id": "x" * 129},
        {"session_id": "x" * 129},
        {"session_id": None},
        {"name": "x" * 4097},
        {"operation": "delete"},
        {"operation": ["cookies"]},
        {"max_age_days": -1},
        {"max_age_days": 36_501},
        {"max_age_days": 10**400},
        {"max_age_days": float("nan")},
        {"max_age_days": float("inf")},
        {"max_age_days": True},
        {"max_age_days": "7"},
    ],
)
def test_a_malformed_request_is_refused(change):
    """One wrong field is enough; no field is repaired or cut."""
    with pytest.raises(RemoteProtocolError):
        Request.from_wire({**REQUEST.to_wire(), **change})


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        {},
        {"version": "1"},
        {"version": 1, "result": []},
        {"version": 1, "id": 1},
        {"version": 1, "error": 1},
        {"version": 1, "message": "x" * 4097},
    ],
)
def test_a_malformed_reply_is_refused(wire):
    """The kernel refuses incomplete answers."""
    with pytest.raises(RemoteProtocolError):
        Reply.from_wire(wire)


@given(UPDATES)
@settings(max_examples=50, deadline=None)
def test_updates_survive_the_wire(update):
    """``from_wire`` undoes ``to_wire``, through real JSON."""
    assert Update.from_wire(json.loads(json.dumps(update.to_wire()))) == update


@given(JSON | spoilt(UPDATES.map(Update.to_wire)))
@settings(max_examples=100, deadline=None)
def test_any_json_is_sound_updates_or_a_protocol_error(wire):
    """An accepted update has an event and a session; other input raises only our error."""
    try:
        update = Update.from_wire(wire)
    except RemoteProtocolError:
        return
    assert update.event in EVENTS
    assert update.session.state in STATES


def test_no_other_events_are_sent():
    """Our own side can send only the listed events."""
    session = Session("s", User("ada"), "test", verified=True)
    with pytest.raises(LocalProtocolError):
        Update("promoted", session).to_wire()


def test_one_prefix_names_our_comm_everywhere():
    """The topic, the comm id, the target and the reply's type start with the package's name."""
    assert TOPIC_PREFIX == b"comm-jupyter_session_user."
    assert TARGET + "." == COMM_ID_PREFIX
    assert REPLY_TYPE == "jupyter_session_user_reply"
    assert UPDATE_TYPE == "jupyter_session_user_update"
    assert LINK_TYPE == "jupyter_session_user_link"


# ------------------------------------------------------------------------------------- reserved


@given(JSON)
@settings(max_examples=50, deadline=None)
def test_the_server_s_types_are_reserved_whatever_they_carry(content):
    """Only the server sends replies and updates."""
    for msg_type in (REPLY_TYPE, UPDATE_TYPE, LINK_TYPE):
        assert is_reserved(msg_type, content)
        assert is_reserved(msg_type, json.dumps(content).encode())


@pytest.mark.parametrize("msg_type", COMM_TYPES)
@pytest.mark.parametrize(
    "content",
    [
        {"comm_id": COMM_ID_PREFIX},
        {"comm_id": COMM_ID_PREFIX + "0123", "data": {}},
        {"comm_id": "other", "target_name": TARGET},
        {"target_name": TARGET},
        {"comm_id": None, "target_name": TARGET},
    ],
)
def test_our_comm_is_reserved(msg_type, content):
    """Our comm id and our target are reserved, parsed or as bytes, escaped or not."""
    escaped = json.dumps(content).replace("_user", r"\u005fuser")
    assert is_reserved(msg_type, content)
    assert is_reserved(msg_type, json.dumps(content).encode())
    assert is_reserved(msg_type, escaped.encode())


@pytest.mark.parametrize("msg_type", COMM_TYPES)
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"comm_id": "0123", "target_name": "jupyter.widget"},
        {"comm_id": "0123", "data": {"comm_id": COMM_ID_PREFIX + "0123", "target_name": TARGET}},
        {"comm_id": "x" + COMM_ID_PREFIX},
        {"comm_id": [COMM_ID_PREFIX], "target_name": [TARGET]},
        {"target_name": TARGET + "_of_somebody_else"},
    ],
)
def test_other_comms_are_not_reserved(msg_type, content):
    """Other widgets are not affected, even if their messages mention our names."""
    assert not is_reserved(msg_type, content)
    assert not is_reserved(msg_type, json.dumps(content).encode())


@given(msg_type=JSON, content=JSON)
@example(msg_type="execute_request", content={"code": "import jupyter_session_user"})
@example(msg_type="comm_info_request", content={"target_name": TARGET})
@example(msg_type=["comm_msg"], content={"comm_id": COMM_ID_PREFIX})
@example(msg_type="", content=[])
@settings(max_examples=50, deadline=None)
def test_messages_that_are_no_comms_are_not_looked_into(msg_type, content):
    """Only comm types and the server's own types are reserved."""
    assert not is_reserved(msg_type, content)


@pytest.mark.parametrize("msg_type", COMM_TYPES)
@pytest.mark.parametrize("content", [b"[]", b"x", b"", b"\xff{}", None, [], "{}", 7])
def test_a_comm_whose_content_is_no_object_is_refused(msg_type, content):
    """Content that a kernel could not read is not forwarded."""
    with pytest.raises(RemoteProtocolError):
        is_reserved(msg_type, content)


@given(st.booleans(), st.integers())
def test_the_state_of_a_link_survives(connected, serial):
    """What the server says arrives as it was said."""
    state = LinkState(connected, serial)
    assert LinkState.from_wire(json.loads(json.dumps(state.to_wire()))) == state


@pytest.mark.parametrize(
    "wire",
    [
        None,
        {"connected": True, "serial": 1},
        {"version": 2, "connected": True, "serial": 1},
        {"version": 1, "connected": 1, "serial": 1},
        {"version": 1, "connected": False, "serial": True},
        {"version": 1, "connected": False, "serial": 1.0},
        {"version": 1, "connected": False},
    ],
)
def test_a_malformed_state_of_a_link_is_refused(wire):
    """It is an error of the other side, never a state."""
    with pytest.raises(RemoteProtocolError):
        LinkState.from_wire(wire)
