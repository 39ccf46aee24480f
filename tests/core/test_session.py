"""A session survives the wire and pickle, keeps its times exact, and cannot be changed."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_session_user.core.session import OVER, STATES, Session, parse_time, write_time
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import RemoteProtocolError

UTC_TIMES = st.datetimes(timezones=st.just(timezone.utc))
MAYBE_TIMES = st.none() | UTC_TIMES
#: JSON can encode halves of surrogate pairs; readers treat quotes and zeros differently.
ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\0\\\"'<&"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
USERS = st.builds(
    User,
    username=ANY_TEXT.filter(bool),
    groups=st.lists(ANY_TEXT, max_size=2).map(tuple),
    claims=st.dictionaries(ANY_TEXT, st.integers(), max_size=2),
)
SESSIONS = st.builds(
    Session,
    id=ANY_TEXT,
    user=USERS,
    source=ANY_TEXT,
    verified=st.booleans(),
    kernel_id=st.none() | ANY_TEXT,
    authenticated_at=MAYBE_TIMES,
    last_seen_at=MAYBE_TIMES,
    expires_at=MAYBE_TIMES,
    expiry_source=ANY_TEXT,
    state=st.sampled_from(sorted(STATES)),
    degraded=st.booleans(),
    revision=st.integers(),
)
ADA = Session("s1", User("ada", name="Ada", claims={"canary": 1}), "jupyter_server", verified=True)
#: Input of an attacker: valid keys, any values, some left out.
NEAR_MISSES = st.builds(
    lambda wire, key, value: {**wire, key: value},
    SESSIONS.map(Session.to_wire),
    st.sampled_from(sorted(ADA.to_wire())),
    JSON,
)


@dataclass(frozen=True, slots=True)
class Child(Session):
    """A subclass, as the kernel has one."""


@given(SESSIONS)
@settings(deadline=None)
def test_the_wire_gives_the_same_session_back(session):
    """``from_wire`` undoes ``to_wire``, through real JSON, claims included."""
    twin = Session.from_wire(json.loads(json.dumps(session.to_wire())))
    assert twin == session
    assert twin.user.claims == session.user.claims


@given(SESSIONS)
@settings(max_examples=40, deadline=None)
def test_pickle_gives_the_same_session_back(session):
    """A session can be passed to another process."""
    twin = pickle.loads(pickle.dumps(session))  # noqa: S301 - our own bytes
    assert twin == session
    assert twin.user.claims == session.user.claims


@given(JSON | NEAR_MISSES)
@example({"session_id": "s", "source": "x", "user": {"username": "a"}, "revision": True})
@example({"session_id": "s", "source": "x", "user": {"username": "a"}, "expires_at": ""})
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_sound_session_or_a_protocol_error(wire):
    """An accepted session has fields of the documented types, and can be shown and hashed."""
    try:
        session = Session.from_wire(wire)
    except RemoteProtocolError:
        return
    assert isinstance(session.id, str)
    assert isinstance(session.source, str)
    assert isinstance(session.kernel_id, str | None)
    assert type(session.verified) is bool
    assert type(session.revision) is int
    assert isinstance(session.expiry_source, str)
    assert session.state in STATES
    assert type(session.degraded) is bool
    hash(session)
    assert session._repr_html_()


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": None},
        {"session_id": 7},
        {"source": None},
        {"source": ["jupyter_server"]},
        {"kernel_id": 7},
        {"revision": "1"},
        {"revision": True},
        {"revision": None},
        {"user": None},
        {"expires_at": 1_700_000_000},
        {"expiry_source": None},
        {"expiry_source": 7},
        {"state": "revived"},
        {"state": "Active"},
        {"state": ""},
        {"state": None},
        {"state": ["active"]},
        {"last_seen_at": "yesterday"},
    ],
)
def test_a_malformed_session_is_refused(change):
    """One wrong field is enough, and is not repaired."""
    with pytest.raises(RemoteProtocolError):
        Session.from_wire({**ADA.to_wire(), **change})


@pytest.mark.parametrize("value", [1, "true", None, [True]])
def test_only_true_makes_a_session_verified(value):
    """Only True means verified, not other true values."""
    assert not Session.from_wire({**ADA.to_wire(), "verified": value}).verified


def test_a_shorter_object_is_plainly_active():
    """A session without an end is active, and its end is unknown."""
    left_out = {"expiry_source", "state", "degraded", "expires_at"}
    wire = {key: value for key, value in ADA.to_wire().items() if key not in left_out}
    session = Session.from_wire(wire)
    assert session == ADA
    assert (session.state, session.expiry_source, session.degraded) == ("active", "", False)


def test_states():
    """All states are active, expiring, or those of an ended session."""
    assert {"active", "expiring"} == STATES - OVER
    assert OVER < STATES


def test_a_subclass_reads_itself():
    """``from_wire`` makes an object of the class that it is called on."""
    assert type(Child.from_wire(ADA.to_wire())) is Child


@pytest.mark.parametrize("name", [field.name for field in fields(Session)])
def test_no_field_can_be_set(name):
    """A session cannot be changed into another user's."""
    with pytest.raises(FrozenInstanceError):
        setattr(ADA, name, None)


def test_a_session_prints_who_and_on_whose_word():
    """``str`` names the user, the account, and whether a server has verified them."""
    assert str(ADA) == "Ada (ada), verified by jupyter_server"
    header = Session("s2", User("bob"), "header", verified=False)
    assert str(header) == "bob (bob), not verified by header"
    assert "canary" not in repr(ADA)


def test_the_public_model_holds_neither_claims_nor_revision():
    """The REST answer has user, source and end; the REST API itself adds what is of a kernel."""
    model = ADA.public_model()
    others = {"principal", "revision", "kernel_owner", "owns_kernel"}
    assert set(model) == {field.name for field in fields(Session)} - others
    assert "canary" not in json.dumps(model)


def test_the_cell_shows_the_user_and_the_provenance():
    """Verified, unverified and expiring sessions have different texts."""
    until = datetime(2030, 1, 2, 3, 4, tzinfo=timezone.utc)
    expiring = Session("s", User("ada"), "jupyter_server", verified=True, expires_at=until)
    time = '<time datetime="2030-01-02T03:04:00Z" title="2030-01-02 03:04 UTC">2030-01-02 03:04 UTC'
    assert f"verified by jupyter server · until {time}</time>" in expiring._repr_html_()
    assert expiring.user._repr_html_() in expiring._repr_html_()
    assert "until" not in ADA._repr_html_()
    guess = replace(expiring, expiry_source="estimated", state="expiring")
    assert f"until about {time}</time>" in guess._repr_html_()
    assert guess._repr_html_().endswith(" · expiring</div>")
    assert "· revoked" in replace(ADA, state="revoked")._repr_html_()
    unverified = Session("s", User("ada"), '"><script>', verified=False)
    assert "not verified; said by &quot;&gt;&lt;script&gt;" in unverified._repr_html_()


# --------------------------------------------------------------------------------------- times


@given(st.datetimes(timezones=st.just(timezone.utc)))
@settings(deadline=None)
def test_times_are_exact_to_the_microsecond(moment):
    """``parse_time`` undoes ``write_time``; the text sorts like the time."""
    text = write_time(moment)
    assert parse_time(text) == moment
    assert parse_time(text).tzinfo is timezone.utc
    assert len(text) == len("2026-11-22T05:00:00.000000Z")


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60),
)
@settings(max_examples=50, deadline=None)
def test_other_time_zones_are_written_in_utc(naive, minutes):
    """The same instant gives the same text from any time zone."""
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(write_time(moment)) == moment
    assert write_time(moment) == write_time(moment.astimezone(timezone.utc))


def test_no_time_stays_no_time():
    """An unknown end of the login stays unknown."""
    assert write_time(None) is None
    assert parse_time(None) is None


@given(JSON | ANY_TEXT.map(lambda text: text + "Z") | UTC_TIMES.map(lambda t: f"{t}Z"))
@example("9999-12-31T24:00:00Z")
@example("\ud800Z")
@settings(max_examples=120, deadline=None)
def test_any_value_is_a_utc_time_or_a_protocol_error(value):
    """Only None and aware UTC times come out of the parser."""
    try:
        moment = parse_time(value)
    except RemoteProtocolError:
        return
    assert moment is None or moment.tzinfo is timezone.utc


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2026-11-22T05:00:00.000000",
        "2026-11-22T05:00:00+00:00",
        "2026-11-22T05:00:00+01:00Z",
        "2026-13-22T05:00:00Z",
        "tomorrowZ",
        0,
        True,
        [],
    ],
)
def test_a_time_without_its_zone_or_its_form_is_refused(text):
    """A time that two readers could understand differently is refused."""
    with pytest.raises(RemoteProtocolError, match="time"):
        parse_time(text)
