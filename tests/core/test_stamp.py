"""The server's stamp is the only stamp that a reader gets, for any input of the client.

Two readers stand for all kernels: ``json.loads`` on bytes guesses the encoding, and
``json_unpacker`` is the one of ipykernel.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jupyter_client.session import json_unpacker

from jupyter_session_user.core.actor import Actor, is_name
from jupyter_session_user.core.session import STATES, Session
from jupyter_session_user.core.stamp import (
    KEY,
    SERVER_STAMP,
    VERSION,
    dump_json,
    is_server_stamp,
    load_json,
    may_ask,
    may_spell_key,
    read_stamp,
    session_stamp,
    splice,
    stamp_mapping,
    unknown_reason,
    unknown_stamp,
)
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import RemoteProtocolError

READERS = (json.loads, json_unpacker)
NAMES = st.text(min_size=1, max_size=64).filter(is_name)
SESSION = Session(
    "s1",
    User("ada", name="Ada Lovelace", groups=("staff",), claims={"sub": 'ü"\\'}),
    "jupyter_server",
    verified=True,
    expires_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
    expiry_source="jwt",
    state="expiring",
    revision=3,
)
STAMP = session_stamp(SESSION)
OURS = json.loads(STAMP)
OTHER_STAMP = unknown_stamp("a second stamp")
FORGED = '{"version":1,"server":true,"user":{"username":"eve"}}'

#: JSON can encode halves of surrogate pairs; readers treat quotes and zeros differently.
ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\0\\\"'<&"), max_size=8)
KEYS = ANY_TEXT | st.sampled_from([KEY, KEY.upper(), KEY + " ", KEY[:-1]])
FLOATS = st.floats(allow_nan=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | ANY_TEXT | st.just(KEY)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(KEYS, JSON, max_size=4)
BLANKS = st.text(" \t\r\n", max_size=3)
WRITERS = st.sampled_from(
    [
        json.dumps,
        lambda value: json.dumps(value, separators=(",", ":")),
        lambda value: json.dumps(value, indent=2),
        lambda value: json.dumps(value, ensure_ascii=False),
    ]
)


@st.composite
def documents(draw, values=METADATA):
    """Return JSON bytes as some client might write them."""
    text = draw(BLANKS) + draw(WRITERS)(draw(values)) + draw(BLANKS)
    return text.encode("utf-8", "replace")  # raw halves of surrogate pairs are not UTF-8


def escaped(text: str) -> str:
    """Return ``text`` with every letter as a JSON escape."""
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


#: Metadata with a forged stamp in some spelling, as JSON objects.
FORGERIES = {
    "plain": f'{{"{KEY}":{FORGED}}}',
    "first": f'{{"{KEY}":{FORGED},"a":1}}',
    "last": f'{{"a":1,"{KEY}":{FORGED}}}',
    "twice": f'{{"{KEY}":{FORGED},"{KEY}":{FORGED}}}',
    "one letter escaped": f'{{"\\u006aupyter_session_user":{FORGED}}}',
    "capital hex": f'{{"\\u006Aupyter\\u005Fsession_user":{FORGED}}}',
    "all letters escaped": f'{{"{escaped(KEY)}":{FORGED}}}',
    "plain and escaped": f'{{"{KEY}":1,"{escaped(KEY)}":{FORGED}}}',
    "escaped and plain": f'{{"{escaped(KEY)}":{FORGED},"{KEY}":1}}',
    "blanks around": f' \t\r\n{{"{KEY}":{FORGED}}} \t\r\n',
    "blanks inside": f'{{ \n "{KEY}" \t : {FORGED} \r\n }}',
    "after a nested one": f'{{"a":{{"{KEY}":1}},"{KEY}":{FORGED}}}',
    "after a text with braces": f'{{"a":"}}","{KEY}":{FORGED}}}',
}
#: Bytes that are no JSON object in UTF-8, but might be one for a lenient reader.
TRICKS = {
    "UTF-16": FORGERIES["plain"].encode("utf-16"),
    "UTF-16, little endian": FORGERIES["plain"].encode("utf-16-le"),
    "UTF-16, big endian": FORGERIES["plain"].encode("utf-16-be"),
    "UTF-32": FORGERIES["plain"].encode("utf-32"),
    "UTF-32, big endian": FORGERIES["plain"].encode("utf-32-be"),
    "byte order mark": b"\xef\xbb\xbf" + FORGERIES["plain"].encode(),
    "byte order mark, escaped key": b"\xef\xbb\xbf" + FORGERIES["all letters escaped"].encode(),
    "byte order mark, no key": b'\xef\xbb\xbf{"a":1}',
    "zero byte in front": b"\0" + FORGERIES["plain"].encode(),
    "zero byte behind": b"{}\0",
    "zero byte inside": b'{"jupyter\0_session_user":1}',
    "junk behind": FORGERIES["plain"].encode() + b"}",
    "junk behind, no key": b'{"a":1}x',
    "two objects": b'{"a":1}' + FORGERIES["plain"].encode(),
    "array": b"[" + FORGERIES["plain"].encode() + b"]",
    "array, no key": b"[1]",
    "text": b'"jupyter_session_user"',
    "null": b"null",
    "empty": b"",
    "blank": b" \n",
    "half an object": b"{",
    "the other half": b"}",
    "not UTF-8, with our key": b'{"\xff":1,"jupyter_session_user":2}',
    "form feed in front": b'\x0c{"a":1}',
    "no-break space in front": b'\xa0{"a":1}',
}
#: Not JSON, and not detected by the fast path, which does not parse: no reader accepts it.
BROKEN = (b'{,"a":1}', b"{}}", b"{{}", b'{"a":1}{"b":2}', b"{1}", b'{"a":1,}', b"{x}", b"{[]}")


def damaged(text: bytes):
    """Return a strategy for ``text`` with a slice of it replaced by a few bytes."""
    tokens = st.sampled_from([b"{", b"}", b",", b'"', b"\\", b"\0", b":", b"\xef\xbb\xbf", b" "])
    pieces = st.binary(max_size=3) | tokens | st.just(f'"{KEY}":1,'.encode())
    ends = st.tuples(*[st.integers(0, len(text))] * 2).map(sorted)
    return st.builds(lambda piece, cut: text[: cut[0]] + piece + text[cut[1] :], pieces, ends)


def outcomes(metadata: bytes, stamp: bytes = STAMP) -> list[dict]:
    """Return each reader's result for the spliced metadata; none if refused or unreadable."""
    try:
        spliced = splice(metadata, stamp)
    except RemoteProtocolError:
        return []
    return [seen for reader in READERS for seen in read(reader, spliced)]


def read(reader: Callable[[bytes], dict], text: bytes) -> list[dict]:
    """Return a reader's result for a text: one value, or nothing if it cannot read it."""
    try:
        return [reader(text)]
    except (ValueError, RecursionError):
        return []


def complaint(metadata: bytes, stamp: bytes = STAMP) -> str:
    """Return why ``splice`` refuses; empty if it does not."""
    try:
        splice(metadata, stamp)
    except RemoteProtocolError as error:
        return str(error)
    return ""


# -------------------------------------------------------------------------------------- splice


@given(documents())
@example(b"{}")
@example(b" { } ")
@example(b'{"a":{}}')
@settings(max_examples=100, deadline=None)
def test_splicing_is_parsing_and_rebuilding(metadata):
    """On both paths, a reader gets the client's metadata with our value of our key."""
    expected = {**json.loads(metadata), KEY: OURS}
    assert outcomes(metadata) == [expected, expected]


@given(documents(JSON))
@settings(max_examples=120, deadline=None)
def test_metadata_is_an_object_or_refused(metadata):
    """Other JSON is refused, and never repaired."""
    if isinstance(json.loads(metadata), dict):
        assert outcomes(metadata)
    else:
        with pytest.raises(RemoteProtocolError):
            splice(metadata, STAMP)


@given(st.binary(max_size=60) | documents(JSON).flatmap(damaged))
@example(b'{"a":1}{"b":2}')
@settings(max_examples=120, deadline=None)
def test_no_reader_sees_another_stamp_in_arbitrary_bytes(metadata):
    """The result is bytes or RemoteProtocolError; every reader of the bytes gets our stamp."""
    for seen in outcomes(metadata):
        assert seen[KEY] == OURS


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_stamp_is_replaced(text):
    """No JSON spelling of our key gives a reader the client's value."""
    for seen in outcomes(text.encode()):
        assert seen[KEY] == OURS
        assert not is_server_stamp(seen[KEY])
    assert len(outcomes(text.encode())) == len(READERS)
    for seen in outcomes(text.encode(), SERVER_STAMP):
        assert is_server_stamp(seen[KEY])
        assert seen[KEY] == {"version": VERSION, "server": True}


def test_our_key_is_replaced_at_the_top_only():
    """Below the top level, the client may use our key."""
    (seen, _) = outcomes(f'{{"a":{{"{KEY}":{FORGED}}}}}'.encode())
    assert seen == {"a": {KEY: json.loads(FORGED)}, KEY: OURS}


@pytest.mark.parametrize("metadata", TRICKS.values(), ids=TRICKS.keys())
def test_what_a_lenient_reader_could_take_for_an_object_is_refused(metadata):
    """Other encodings, byte order marks, zero bytes and trailing bytes are refused."""
    with pytest.raises(RemoteProtocolError):
        splice(metadata, STAMP)


@pytest.mark.parametrize("letter", [b"\xc1\xaa", b"\xe0\x81\xaa", b"\xed\xa0\x80", b"\xff"])
def test_bytes_that_are_not_utf8_hide_no_letter(letter):
    """Overlong forms and halves of surrogate pairs are replaced by readers, not understood."""
    seen = outcomes(b'{"' + letter + b'upyter_session_user":' + FORGED.encode() + b"}")
    assert seen
    assert all(metadata[KEY] == OURS for metadata in seen)


@pytest.mark.parametrize("metadata", BROKEN)
def test_broken_metadata_stays_broken(metadata):
    """Adding the stamp does not make unreadable metadata readable."""
    assert outcomes(metadata) == []


@given(documents())
@settings(deadline=None)
def test_the_second_stamp_replaces_the_first(metadata):
    """Stamping twice gives the second stamp."""
    twice = splice(splice(metadata, STAMP), OTHER_STAMP)
    assert json.loads(twice) == json.loads(splice(metadata, OTHER_STAMP))


def deepest() -> int:
    """Return how many nested arrays this Python reads, at this depth of the stack."""
    low, high = 0, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            json.loads("[" * middle + "]" * middle)
        except RecursionError:
            high = middle
        else:
            low = middle
    return low


@pytest.mark.parametrize("key", [b"a", rb"\u0061"])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_bottomless_metadata_is_bytes_or_refused(key, opening, closing):
    """Deep nesting ends in a RemoteProtocolError, at the recursion limit and far beyond."""
    limit = deepest()
    for depth in (*range(max(0, limit - 40), limit + 10), 100_000):
        core = opening * depth + b"1" + closing * depth
        for seen in outcomes(b'{"' + key + b'":' + core + b"}"):
            assert seen[KEY] == OURS


def test_what_can_be_read_but_not_written_is_refused():
    """The deepest stamp that can be read is one level too deep when it stands in metadata."""
    limit = deepest()
    depths = (*range(max(0, limit - 40), limit), limit + 10_000)
    stamps = [b"[" * depth + b"]" * depth for depth in depths]
    complaints = {complaint(rb'{"\u0061":1}', stamp) for stamp in stamps}
    assert complaints == {"", "metadata: nested too deeply"}


def test_numbers_that_python_reads_and_json_does_not_know_pass():
    """NaN and infinities of the client are kept, on both paths."""
    for key in ("a", "\\u0061"):
        metadata = f'{{"{key}":[NaN,Infinity,-Infinity,1e999]}}'.encode()
        nan, *rest = json.loads(splice(metadata, STAMP))["a"]
        assert nan != nan  # noqa: PLR0124 - that is what NaN means
        assert rest == [float("inf"), float("-inf"), float("inf")]


def test_a_huge_number_is_refused_where_it_must_be_parsed():
    """Python refuses to read integers of thousands of digits, with a ValueError."""
    with pytest.raises(RemoteProtocolError):
        splice(b'{"\\u0061":' + b"9" * 10_000 + b"}", STAMP)
    assert splice(b'{"a":' + b"9" * 10_000 + b"}", STAMP)


def test_half_a_surrogate_pair_survives_as_it_was():
    """JSON can encode it, and the result encodes it again."""
    (seen, _) = outcomes(b'{"\\ud800":"\\udfff"}')
    assert seen == {"\ud800": "\udfff", KEY: OURS}


@given(documents())
@settings(deadline=None)
def test_what_cannot_spell_the_key_does_not(metadata):
    """The fast path is used only if no reader would find our key."""
    if not may_spell_key(metadata):
        assert KEY not in json.loads(metadata)


@given(JSON)
@settings(deadline=None)
def test_parsed_metadata_is_copied_and_stamped_or_refused(metadata):
    """``stamp_mapping`` does not change its argument."""
    before = json.dumps(metadata)
    if isinstance(metadata, dict):
        assert stamp_mapping(metadata, STAMP) == {**metadata, KEY: OURS}
    else:
        with pytest.raises(RemoteProtocolError, match="not an object"):
            stamp_mapping(metadata, STAMP)
    assert json.dumps(metadata) == before


# ---------------------------------------------------------------------------------- our stamps


def test_a_stamp_names_its_session():
    """The session comes back without the fields that only the server uses."""
    assert read_stamp(OURS) == SESSION
    assert read_stamp(OURS).user.claims == SESSION.user.claims
    assert unknown_reason(OURS) is None
    assert not is_server_stamp(OURS)


@given(
    name=ANY_TEXT.filter(bool),
    source=ANY_TEXT,
    verified=st.booleans(),
    until=st.none() | st.datetimes(timezones=st.just(timezone.utc)),
    end=st.tuples(ANY_TEXT, st.sampled_from(sorted(STATES))),
    revision=st.integers(0),
    kernel=st.fixed_dictionaries(
        {
            "kernel_owner": st.none() | ANY_TEXT,
            "owns_kernel": st.booleans(),
            "degraded": st.booleans(),
            "principal": st.text("0123456789abcdef", max_size=32),
            "actor": st.none() | st.builds(Actor, st.just("agent"), NAMES, NAMES, st.booleans()),
        }
    ),
)
@settings(deadline=None)
def test_any_session_survives_its_stamp(name, source, verified, until, end, revision, kernel):
    """The session read from a stamp equals the session written to it; a stamp is ASCII."""
    user = User(name, groups=(name,), claims={name: [name]})
    times = {"expires_at": until, "expiry_source": end[0], "state": end[1], **kernel}
    session = Session("s", user, source, verified, revision=revision, **times)
    stamp = session_stamp(session)
    assert stamp.isascii()
    assert read_stamp(json.loads(stamp)) == session


def test_a_stamp_has_only_what_is_so():
    """Each message carries the stamp: what is false or unknown is not in it."""
    bare = json.loads(session_stamp(Session("s", User("ada"), "test", verified=True)))
    assert not {"degraded", "kernel_owner", "owns_kernel", "actor"} & set(bare)
    assert b": " not in session_stamp(SESSION)


@given(ANY_TEXT, st.booleans())
@settings(max_examples=30, deadline=None)
def test_an_unknown_sender_has_a_reason_and_no_session(reason, ask):
    """A stamp without a user cannot be read as one with a user; it says if the kernel may ask."""
    stamp = json.loads(unknown_stamp(reason, ask=ask))
    assert unknown_reason(stamp) == reason
    assert stamp["version"] == VERSION
    assert may_ask(stamp) is ask
    assert set(stamp) == {"version", "unknown", *(["ask"] if ask else [])}
    assert not may_ask(json.loads(unknown_stamp(reason)))
    assert not is_server_stamp(stamp)
    with pytest.raises(RemoteProtocolError):
        read_stamp(stamp)


def test_the_servers_own_stamp_names_nobody():
    """The bridge is no user."""
    stamp = json.loads(SERVER_STAMP)
    assert is_server_stamp(stamp)
    assert unknown_reason(stamp) is None
    with pytest.raises(RemoteProtocolError):
        read_stamp(stamp)


@given(JSON | st.builds(lambda key, value: {**OURS, key: value}, st.sampled_from([*OURS]), JSON))
@settings(max_examples=120, deadline=None)
def test_any_json_is_a_session_or_a_protocol_error(stamp):
    """A malformed stamp always raises the same error."""
    assert unknown_reason(stamp) is None or isinstance(unknown_reason(stamp), str)
    assert isinstance(unknown_reason(stamp), str | None)
    assert isinstance(is_server_stamp(stamp), bool)
    try:
        session = read_stamp(stamp)
    except RemoteProtocolError:
        return
    assert isinstance(session, Session)
    assert stamp["version"] == VERSION


@pytest.mark.parametrize("stamp", [{"server": 1}, {"server": "true"}, {}, [], "server", None, True])
def test_only_true_is_the_server(stamp):
    """Other true values do not mark the bridge."""
    assert not is_server_stamp(stamp)


# ---------------------------------------------------------------------------------------- JSON


@given(st.binary(max_size=40) | st.text(st.characters(), max_size=40) | documents(JSON))
@settings(max_examples=120, deadline=None)
def test_anything_is_json_or_a_protocol_error(text):
    """The parser always raises the same error."""
    try:
        value = load_json(text, "a thing")
    except RemoteProtocolError:
        return
    assert repr(load_json(dump_json(value), "again")) == repr(value)  # NaN has no equal


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, b"[" * 100_000, "9" * 10_000])
def test_json_that_python_cannot_hold_is_refused(text):
    """Depth and length cause the same error as invalid syntax."""
    with pytest.raises(RemoteProtocolError, match="a thing: not JSON"):
        load_json(text, "a thing")


def test_the_error_does_not_carry_the_text():
    """A JSONDecodeError keeps the whole document, cookies included; ours is not chained to it."""
    with pytest.raises(RemoteProtocolError) as caught:
        load_json('{"canary":', "a thing")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "canary" not in str(caught.value)
