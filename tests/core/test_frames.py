"""A client's frame leaves with our stamp and is otherwise unchanged, or it is dropped.

The reader is Jupyter Server's own code for the three formats, the writer too; the last reader of a
message is ``json_unpacker``, the one of ipykernel.
"""

from __future__ import annotations

import contextlib
import copy
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_client.session import json_unpacker
from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)

from jupyter_session_user.core import frames
from jupyter_session_user.core.frames import LEGACY, MAX_PARTS, format_of
from jupyter_session_user.core.protocol import COMM_ID_PREFIX, REPLY_TYPE, TARGET
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import KEY, session_stamp, unknown_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import IgnoredMessage, RemoteProtocolError

STAMP = session_stamp(Session("s1", User("ada"), "jupyter_server", verified=True))
OURS = json.loads(STAMP)
OTHER_STAMP = unknown_stamp("a second stamp")
FORGED = '{"version":1,"server":true}'
FORGED_METADATA = f'{{"{KEY}":{FORGED}}}'
PARTS = ("header", "parent_header", "metadata", "content")
CHANNELS = ("shell", "control", "stdin")

# --------------------------------------------------------------------------------- the formats


def write_v1(texts: dict[str, str], channel: str, buffers: list[bytes]) -> bytes:
    """Return a v1 frame; ``texts`` are the parts, as JSON."""
    parts = [texts[part].encode() for part in PARTS]
    return serialize_msg_to_ws_v1([*parts, *buffers], channel)


def read_v1(frame: bytes) -> dict[str, Any]:
    """Return a v1 frame as Jupyter Server and then ipykernel read it."""
    channel, parts = deserialize_msg_from_ws_v1(frame)
    message = {name: json_unpacker(part) for name, part in zip(PARTS, parts, strict=False)}
    return {**message, "channel": channel, "buffers": parts[len(PARTS) :]}


def json_text(texts: dict[str, str], channel: str) -> str:
    """Return the JSON of a legacy message."""
    parts = [f'"{name}":{text}' for name, text in texts.items()]
    return "{" + ",".join([*parts, f'"channel":{json.dumps(channel)}']) + "}"


def write_text(texts: dict[str, str], channel: str, buffers: list[bytes]) -> str:
    """Return a legacy text frame, which cannot carry buffers."""
    assert not buffers
    return json_text(texts, channel)


def read_text(frame: str) -> dict[str, Any]:
    """Return a legacy text frame as Jupyter Server reads it."""
    return {**json.loads(frame), "buffers": []}


def write_binary(texts: dict[str, str], channel: str, buffers: list[bytes]) -> bytes:
    """Return a legacy binary frame; Jupyter's own writer takes no ready-made JSON."""
    return binary_frame(json_text(texts, channel).encode(), *buffers)


def binary_frame(*parts: bytes) -> bytes:
    """Return a legacy binary frame of these parts, of which the first should be JSON."""
    offsets = [4 * (len(parts) + 1)]
    for part in parts[:-1]:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"!{len(parts) + 1}I", len(parts), *offsets) + b"".join(parts)


@dataclass(frozen=True)
class Format:
    """A wire format, with its functions to write, stamp and read a frame."""

    name: str
    write: Callable[..., Any]
    stamp: Callable[[Any, bytes], Any]
    ask: Callable[[Any], Any]
    read: Callable[[Any], dict[str, Any]]
    type: type


V1 = Format("v1", write_v1, frames.V1.stamp, frames.V1.read, read_v1, bytes)
TEXT = Format("text", write_text, LEGACY.stamp, LEGACY.read, read_text, str)
BINARY = Format(
    "binary",
    write_binary,
    LEGACY.stamp,
    LEGACY.read,
    deserialize_binary_message,
    bytes,
)
FORMATS = (V1, TEXT, BINARY)

every_format = pytest.mark.parametrize("wire", FORMATS, ids=lambda wire: wire.name)
every_channel = pytest.mark.parametrize("channel", CHANNELS)


def texts(**changed: str) -> dict[str, str]:
    """Return the parts of an execute request, as JSON; ``changed`` replaces some."""
    header = '{"msg_id":"m1","msg_type":"execute_request","date":"2026-11-22T05:00:00.000Z"}'
    parts = {"header": header, "parent_header": "{}", "metadata": "{}", "content": '{"code":"1"}'}
    return {**parts, **changed}


def refused(wire: Format, frame: str | bytes) -> bool:
    """Tell whether a frame is refused; any other result must be valid.

    A valid result is None, or a frame of the format's own type in which readers see our stamp.
    """
    try:
        stamped = wire.stamp(frame, STAMP)
    except RemoteProtocolError as error:
        kind = type(error)
        with pytest.raises(kind) as other:
            wire.ask(frame)
        if other.type is not kind:  # the socket is handled the same way
            pytest.fail(f"stamping raises {kind}, reading {other.type}")
        return True
    assert_reading_agrees(wire, frame, dropped=stamped is None)
    assert stamped is None or type(stamped) is wire.type
    if stamped is not None:
        assert_readers_see_our_stamp(wire, stamped)
    return False


def assert_reading_agrees(wire: Format, frame: str | bytes, *, dropped: bool) -> None:
    """Assert that the reader of refused messages drops all frames that reach no kernel.

    It must read the header, which others pass on unread, hence may refuse more.
    """
    try:
        asked = wire.ask(frame)
    except RemoteProtocolError:
        return
    assert (asked is None) == dropped
    if asked is not None:
        assert isinstance(asked.header["msg_id"], str)
        assert isinstance(asked.header["msg_type"], str)


def assert_readers_see_our_stamp(wire: Format, stamped: str | bytes) -> None:
    """Assert that every reader of the frame's metadata finds our stamp in it."""
    if wire is not V1:
        assert wire.read(stamped)["metadata"][KEY] == OURS
        return
    metadata = deserialize_msg_from_ws_v1(stamped)[1][PARTS.index("metadata")]
    for reader in (json.loads, json_unpacker):
        try:
            seen = reader(metadata)
        except (ValueError, RecursionError):
            continue
        assert seen[KEY] == OURS


# ---------------------------------------------------------------------------------- strategies

#: JSON can encode halves of surrogate pairs; readers treat quotes and zeros differently.
ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\0\\\"'<&"), max_size=8)
KEYS = ANY_TEXT | st.just(KEY)
FLOATS = st.floats(allow_nan=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | ANY_TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=3)
MSG_TYPES = st.sampled_from(
    ["execute_request", "kernel_info_request", "input_reply", "comm_msg", "comm_info_request"]
)
HEADERS = st.builds(
    lambda extra, msg_type: {**extra, "msg_id": "m1", "msg_type": msg_type}, OBJECTS, MSG_TYPES
)
BUFFERS = st.lists(st.binary(max_size=20), max_size=3)


@st.composite
def messages(draw):
    """Return the four parts of an ordinary message, as JSON text."""
    compact = draw(st.booleans())
    values = {"header": draw(HEADERS), "parent_header": draw(OBJECTS | HEADERS)}
    values |= {"metadata": draw(OBJECTS), "content": draw(OBJECTS)}
    separators = (",", ":") if compact else None
    return {name: json.dumps(value, separators=separators) for name, value in values.items()}


@st.composite
def written(draw, wire: Format):
    """Return an ordinary frame of a format."""
    buffers = [] if wire is TEXT else draw(BUFFERS)
    return wire.write(draw(messages()), draw(st.sampled_from(CHANNELS)), buffers)


#: The pieces that damage a frame most: JSON's own characters, and our key.
PIECES = [b"{", b"}", b"[", b'"', b"\\", b"\0", b",", b"null", b"\xff", f'"{KEY}":1,'.encode()]


def put_number(draw, wire: Format, raw: bytearray) -> None:
    """Put a wrong number into the count or the offset table."""
    if wire is TEXT:
        return
    size, order = (8, "little") if wire is V1 else (4, "big")
    at = size * draw(st.integers(0, 8))
    lies = st.integers(0, 2 * len(raw)) | st.sampled_from([0, 2 ** (8 * size) - 1, 2**31, 10**4])
    raw[at : at + size] = draw(lies).to_bytes(size, order)


@st.composite
def damaged(draw, wire: Format):
    """Return a frame with some of its bytes or numbers replaced, or its end cut off."""
    frame = draw(written(wire))
    raw = bytearray(frame.encode() if isinstance(frame, str) else frame)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=4))
        raw[at : at + draw(st.sampled_from([0, 1, len(piece)]))] = piece
    for _ in range(draw(st.integers(0, 2))):
        put_number(draw, wire, raw)
    cut = raw[: draw(st.integers(0, len(raw)) | st.just(len(raw)))]
    return bytes(cut).decode("utf-8", "surrogateescape") if wire is TEXT else bytes(cut)


# ------------------------------------------------------------------- what does not change


@every_format
@given(data=st.data(), message=messages(), channel=st.sampled_from(CHANNELS))
@settings(max_examples=100, deadline=None)
def test_everything_but_our_key_is_as_the_client_sent_it(wire, data, message, channel):
    """The reader gets the client's message with exactly our stamp in its metadata."""
    frame = wire.write(message, channel, [] if wire is TEXT else data.draw(BUFFERS))
    before, after = wire.read(frame), wire.read(wire.stamp(frame, STAMP))
    assert after["metadata"][KEY] == OURS
    assert after["channel"] == channel
    before["metadata"][KEY] = OURS
    assert after == before


@given(messages(), st.sampled_from(CHANNELS), BUFFERS)
@settings(max_examples=50, deadline=None)
def test_v1_parts_are_byte_identical(message, channel, buffers):
    """In v1, only the metadata is rewritten: no space or escape elsewhere changes."""
    frame = write_v1(message, channel, buffers)
    sent_to, before = deserialize_msg_from_ws_v1(frame)
    arrives_at, after = deserialize_msg_from_ws_v1(frames.V1.stamp(frame, STAMP))
    del before[2], after[2]
    assert (arrives_at, after) == (sent_to, before)


@every_channel
def test_a_binary_frame_of_jupyter_itself_is_stamped(channel):
    """Jupyter's own writer and reader treat buffers as we do."""
    message = {name: json.loads(text) for name, text in texts().items()}
    message |= {"channel": channel, "buffers": [b"", b"\0" * 100, b"last"]}
    read = deserialize_binary_message(
        LEGACY.stamp(serialize_binary_message(copy.deepcopy(message)), STAMP)
    )
    assert read["buffers"] == message["buffers"]
    assert read["metadata"] == {KEY: OURS}
    assert read["channel"] == channel


@every_format
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_the_second_stamp_replaces_the_first(wire, data):
    """Stamping twice gives the second stamp: a connection may process a frame twice."""
    frame = data.draw(written(wire))
    twice = wire.stamp(wire.stamp(frame, STAMP), OTHER_STAMP)
    assert wire.read(twice) == wire.read(wire.stamp(frame, OTHER_STAMP))


def test_bytes_between_and_behind_the_parts_do_no_harm():
    """A frame may have a gap after its table and junk at its end: the junk is dropped."""
    offsets = [56 + 7 + step for step in (0, 5, 7, 9, 11, 13)]
    frame = struct.pack("<7Q", 6, *offsets) + b"gap-gap" + b"shell{}{}{}{}" + b"junk"
    stamped = frames.V1.stamp(frame, STAMP)
    assert read_v1(stamped)["metadata"] == {KEY: OURS}
    assert stamped[56:63] == b"gap-gap"
    assert stamped.endswith(b"{}")


@every_format
def test_half_surrogate_pairs_and_odd_numbers_pass(wire):
    """Values that Python reads and writes again are kept; NaN equals nothing, hence its repr."""
    content = r'{"\ud800":"\udfff","n":[NaN,-Infinity,1e999],"i":' + "9" * 4000 + "}"
    metadata = r'{"\ud800":NaN}'
    frame = wire.write(texts(content=content, metadata=metadata), "shell", [])
    read = wire.read(wire.stamp(frame, STAMP))
    assert repr(read["content"]) == repr(json.loads(content))
    assert repr(read["metadata"]) == repr({**json.loads(metadata), KEY: OURS})


@pytest.mark.parametrize("channel", ['"channel":null,', ""])
def test_a_legacy_message_without_a_channel_passes(channel):
    """Jupyter Server treats such a message as one for shell and logs it, so we add the channel."""
    message = json_text(texts(), "shell").replace('"channel":"shell"', channel + '"more":1')
    stamped = json.loads(LEGACY.stamp(message, STAMP))
    assert (stamped["metadata"], stamped["channel"]) == ({KEY: OURS}, "shell")
    binary = LEGACY.stamp(binary_frame(message.encode()), STAMP)
    assert deserialize_binary_message(binary)["channel"] == "shell"


def test_a_legacy_message_may_lack_metadata_and_content():
    """Jupyter Server adds missing content, and we add missing metadata."""
    message = '{"header":{"msg_type":"x"},"parent_header":{},"content":null,"buffers":[]}'
    read = json.loads(LEGACY.stamp(message, STAMP))
    assert read["metadata"] == {KEY: OURS}
    assert read["content"] is None


# ------------------------------------------------------------------------------ forged stamps


def escaped(text: str) -> str:
    """Return ``text`` with every letter as a JSON escape."""
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


FORGERIES = {
    "plain": f'{{"{KEY}":{FORGED}}}',
    "last": f'{{"a":1,"{KEY}":{FORGED}}}',
    "twice": f'{{"{KEY}":1,"{KEY}":{FORGED}}}',
    "escaped": f'{{"{escaped(KEY)}":{FORGED}}}',
    "one letter escaped": f'{{"jupyter\\u005Fsession_user":{FORGED}}}',
    "plain and escaped": f'{{"{KEY}":1,"{escaped(KEY)}":{FORGED}}}',
    "escaped and plain": f'{{"{escaped(KEY)}":{FORGED},"{KEY}":1}}',
    "blanks": f' \t\r\n{{ "{KEY}" : {FORGED} }} \t\r\n',
    "after a nested one": f'{{"a":{{"{KEY}":1}},"{KEY}":{FORGED}}}',
}


@every_format
@every_channel
@pytest.mark.parametrize("metadata", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_stamp_does_not_survive(wire, channel, metadata):
    """No format, channel or spelling lets a forged stamp through."""
    stamped = wire.stamp(wire.write(texts(metadata=metadata), channel, []), STAMP)
    assert_readers_see_our_stamp(wire, stamped)
    assert wire.read(stamped)["metadata"] == {**json.loads(metadata), KEY: OURS}


@pytest.mark.parametrize("name", [r"met\u0061data", "metadata"])
@pytest.mark.parametrize("wire", [TEXT, BINARY], ids=lambda wire: wire.name)
def test_a_second_metadata_does_not_survive(wire, name):
    """A repeated member of a legacy message is removed before another reader gets it."""
    twice = texts() | {name + " ": "{}"}
    frame = json_text(twice, "shell").replace(f"{name} ", name).replace("{}", FORGERIES["plain"])
    sent = frame if wire is TEXT else binary_frame(frame.encode())
    stamped = wire.stamp(sent, STAMP)
    assert (stamped if wire is TEXT else stamped.decode("latin-1")).count('"metadata"') == 1
    assert wire.read(stamped)["metadata"] == {KEY: OURS}


@every_format
@pytest.mark.parametrize("metadata", ["[]", "null", "1", '"x"', f'["{KEY}"]', f'"{KEY}"'])
def test_metadata_of_another_kind_is_ignored(wire, metadata):
    """A message whose metadata is no object cannot hold a stamp."""
    with pytest.raises(IgnoredMessage, match="metadata: not an object"):
        wire.stamp(wire.write(texts(metadata=metadata), "shell", []), STAMP)


HOSTILE_BYTES = {
    "UTF-16": FORGERIES["plain"].encode("utf-16"),
    "UTF-16, no mark": FORGERIES["plain"].encode("utf-16-le"),
    "UTF-32": FORGERIES["plain"].encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + FORGERIES["plain"].encode(),
    "zero byte": b"\0" + FORGERIES["plain"].encode(),
    "junk": FORGERIES["plain"].encode() + b"x",
    "two objects": b"{}" + FORGERIES["plain"].encode(),
    "not UTF-8": b'\xff{"a":1}',
    "empty": b"",
}


@pytest.mark.parametrize("metadata", HOSTILE_BYTES.values(), ids=HOSTILE_BYTES.keys())
def test_metadata_for_a_reader_that_guesses_is_refused(metadata):
    """Only UTF-8 without a byte order mark counts as JSON here."""
    frame = serialize_msg_to_ws_v1([b"{}", b"{}", metadata, b"{}"], "shell")
    with pytest.raises(RemoteProtocolError):
        frames.V1.stamp(frame, STAMP)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_a_legacy_binary_message_in_another_encoding_is_refused(encoding):
    """The same holds for the JSON of a legacy binary frame."""
    with pytest.raises(RemoteProtocolError):
        LEGACY.stamp(binary_frame(json_text(texts(), "shell").encode(encoding)), STAMP)


# ---------------------------------------------------------------------------- reserved messages


def header(msg_type: str) -> str:
    """Return a header; ``msg_type`` is JSON text without its quotes."""
    return f'{{"msg_id":"m1","msg_type":"{msg_type}"}}'


COMM_ID = COMM_ID_PREFIX + "0123"
RESERVED = {
    "reply": (REPLY_TYPE, "{}"),
    "reply, escaped": (escaped(REPLY_TYPE), "{}"),
    "reply, one letter escaped": (REPLY_TYPE.replace("_", r"\u005f", 1), '{"comm_id":"x"}'),
    "open": ("comm_open", f'{{"comm_id":"0123","target_name":"{TARGET}"}}'),
    "open, escaped type": ("comm\\u005fopen", f'{{"target_name":"{TARGET}"}}'),
    "open, escaped target": ("comm_open", f'{{"target_name":"{escaped(TARGET)}"}}'),
    "open, our id": ("comm_open", f'{{"comm_id":"{COMM_ID}","target_name":"x"}}'),
    "message": ("comm_msg", f'{{"comm_id":"{COMM_ID}","data":{{}}}}'),
    "message, all escaped": (escaped("comm_msg"), f'{{"comm_id":"{escaped(COMM_ID)}"}}'),
    "message, escaped name": ("comm_msg", f'{{"comm\\u005fid":"{COMM_ID}"}}'),
    "message, second id": ("comm_msg", f'{{"comm_id":"x","comm_id":"{COMM_ID}"}}'),
    "message, blanks": ("comm_msg", f' {{ "comm_id" :\n"{COMM_ID}" }} '),
    "close": ("comm_close", f'{{"comm_id":"{COMM_ID}"}}'),
    "close, capital hex": ("comm_close", f'{{"comm_id":"{COMM_ID}"}}'.replace("_", "\\u005F")),
}


@every_format
@every_channel
@pytest.mark.parametrize(("msg_type", "content"), RESERVED.values(), ids=RESERVED.keys())
def test_a_reserved_message_is_dropped(wire, channel, msg_type, content):
    """Clients can neither send the server's replies nor use our comm, in any spelling."""
    message = texts(header=header(msg_type), content=content)
    assert wire.stamp(wire.write(message, channel, []), STAMP) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize(("msg_type", "content"), RESERVED.values(), ids=RESERVED.keys())
def test_a_reserved_message_in_another_encoding_is_refused(encoding, msg_type, content):
    """A header or content in another encoding is refused."""
    parts = [header(msg_type).encode(encoding), b"{}", b"{}", content.encode(encoding)]
    with pytest.raises(RemoteProtocolError):
        frames.V1.stamp(serialize_msg_to_ws_v1(parts, "shell"), STAMP)
    if msg_type.startswith("comm_"):
        parts[0] = header(msg_type).encode()
        with pytest.raises(RemoteProtocolError):
            frames.V1.stamp(serialize_msg_to_ws_v1(parts, "shell"), STAMP)


PASSING = {
    "code about us": ("execute_request", f'{{"code":"import {KEY}; {COMM_ID}"}}'),
    "code with escapes": ("execute_request", f'{{"code":"{escaped(REPLY_TYPE)}\\n"}}'),
    "widget": ("comm_msg", '{"comm_id":"0123","data":{"method":"update"}}'),
    "widget that talks about us": ("comm_msg", f'{{"comm_id":"0","data":{{"x":"{COMM_ID}"}}}}'),
    "widget with escapes": ("comm_msg", r'{"comm_id":"0","data":{"x":"\u0041\n"}}'),
    "widget's open": ("comm_open", '{"comm_id":"0","target_name":"jupyter.widget"}'),
    "list of our comms": ("comm_info_request", f'{{"target_name":"{TARGET}"}}'),
    "similar type": (REPLY_TYPE + "_2", "{}"),
    "similar comm": ("comm_msg", f'{{"comm_id":"x{COMM_ID}"}}'),
    "escaped type": (r"execut\u0065_request", '{"code":"1"}'),
}


@every_format
@every_channel
@pytest.mark.parametrize(("msg_type", "content"), PASSING.values(), ids=PASSING.keys())
def test_an_ordinary_message_passes(wire, channel, msg_type, content):
    """Comms of other packages, and code that mentions our names, are stamped as usual."""
    message = texts(header=header(msg_type), content=content)
    read = wire.read(wire.stamp(wire.write(message, channel, []), STAMP))
    assert read["content"] == json.loads(content)
    assert read["metadata"] == {KEY: OURS}


@pytest.mark.parametrize("metadata", ["", "{", "}", '{"'])
@pytest.mark.parametrize(("parent", "content"), [("{}", '{"code":"1"}'), ("{", '"}'), ("{", "}")])
def test_metadata_is_not_completed_by_its_neighbours(metadata, parent, content):
    """The parts before and after the metadata never make an object of what is none."""
    parts = {**texts(), "parent_header": parent, "metadata": metadata, "content": content}
    with pytest.raises(IgnoredMessage, match="metadata: not an object"):
        V1.stamp(V1.write(parts, "shell", []), STAMP)


@every_format
@pytest.mark.parametrize(
    "channel", ["iopub", "hb", "heartbeat", "", "SHELL", "shell ", "shell\0", "shellcontrol"]
)
def test_other_channels_are_ignored(wire, channel):
    """Clients cannot send on iopub, and no channel of another name exists."""
    with pytest.raises(IgnoredMessage, match="not a channel"):
        wire.stamp(wire.write(texts(), channel, []), STAMP)


@pytest.mark.parametrize(
    ("channel", "kind"),
    [
        (0, IgnoredMessage),
        (False, IgnoredMessage),
        ([], RemoteProtocolError),
        (["shell"], RemoteProtocolError),
        ({"shell": 1}, RemoteProtocolError),
    ],
)
def test_a_channel_that_is_no_text_is_ignored_or_refused(channel, kind):
    """Legacy JSON may name any channel; an unknown one closes the socket."""
    with pytest.raises(RemoteProtocolError, match="channel") as refusal:
        LEGACY.stamp(json_text(texts(), channel), STAMP)
    assert type(refusal.value) is kind


def test_a_v1_channel_that_is_no_text_is_refused():
    """An unknown channel is treated as in Jupyter Server."""
    frame = serialize_msg_to_ws_v1([b"{}"] * 4, "shell").replace(b"shell", b"\xff\xfeell")
    with pytest.raises(RemoteProtocolError, match="no name"):
        frames.V1.stamp(frame, STAMP)


# ------------------------------------------------------------------------------- malformed ones


def v1_frame(*numbers: int, body: bytes = b"shell{}{}{}{}") -> bytes:
    """Return ``numbers``, which should be a count and offsets, and ``body``."""
    return struct.pack(f"<{len(numbers)}Q", *numbers) + body


HONEST = (6, 56, 61, 63, 65, 67, 69)
LYING_V1 = {
    "empty": b"",
    "half a count": b"\6\0\0",
    "count alone": v1_frame(6, body=b""),
    "no offsets": v1_frame(0),
    "too few offsets": v1_frame(5, 48, 53, 55, 57, 59),
    "count of more offsets than there are": v1_frame(15, *HONEST[1:]),
    "huge count": v1_frame(2**64 - 1, *HONEST[1:]),
    "more parts than allowed": write_v1(texts(), "shell", [b""] * (MAX_PARTS - 5)),
    "first part inside the table": v1_frame(6, 55, *HONEST[2:]),
    "first part at zero": v1_frame(6, 0, *HONEST[2:]),
    "end behind the frame": v1_frame(*HONEST[:-1], 70),
    "end far behind the frame": v1_frame(*HONEST[:-1], 2**64 - 1),
    "metadata ends before it starts": v1_frame(6, 56, 61, 63, 65, 64, 69),
    "backwards": v1_frame(6, *reversed(HONEST[1:])),
    "cut off": v1_frame(*HONEST)[:-1],
}


def test_the_honest_frame_passes():
    """The table of wrong offsets below changes one number at a time in this frame."""
    assert not refused(V1, v1_frame(*HONEST))


@pytest.mark.parametrize("frame", LYING_V1.values(), ids=LYING_V1.keys())
def test_a_lying_v1_frame_is_refused(frame):
    """Each length is checked before it is used."""
    with pytest.raises(RemoteProtocolError, match="offset"):
        frames.V1.stamp(frame, STAMP)


@pytest.mark.parametrize("offset", [56, 69])
def test_a_v1_frame_of_empty_parts_is_refused(offset):
    """The table is valid, but names no channel."""
    with pytest.raises(RemoteProtocolError, match="not a channel"):
        frames.V1.stamp(v1_frame(6, *[offset] * 6), STAMP)


def test_as_many_parts_as_allowed_pass():
    """The limit itself is valid, in both binary formats."""
    buffers = [b"x"] * (MAX_PARTS - 6)
    frame = write_v1(texts(), "shell", buffers)
    assert read_v1(frames.V1.stamp(frame, STAMP))["buffers"] == buffers
    buffers = [b"x"] * (MAX_PARTS - 1)
    frame = write_binary(texts(), "shell", buffers)
    assert deserialize_binary_message(LEGACY.stamp(frame, STAMP))["buffers"] == buffers


MESSAGE = json_text(texts(), "shell").encode()
LYING_BINARY = {
    "empty": b"",
    "half a count": b"\0\0",
    "no parts": struct.pack("!I", 0) + MESSAGE,
    "negative count": struct.pack("!i", -1) + MESSAGE,
    "count alone": struct.pack("!I", 1),
    "huge count": struct.pack("!I", 2**31 - 1) + MESSAGE,
    "more parts than allowed": binary_frame(MESSAGE, *[b""] * MAX_PARTS),
    "message inside the table": struct.pack("!2I", 1, 7) + MESSAGE,
    "message behind the frame": struct.pack("!2I", 1, 2**32 - 1) + MESSAGE,
    "buffer before the message": struct.pack("!3I", 2, 20, 12) + MESSAGE,
    "buffer behind the frame": struct.pack("!3I", 2, 12, 13 + len(MESSAGE)) + MESSAGE,
}


@pytest.mark.parametrize("frame", LYING_BINARY.values(), ids=LYING_BINARY.keys())
def test_a_lying_binary_frame_is_refused(frame):
    """The same for the legacy table."""
    with pytest.raises(RemoteProtocolError, match="offset"):
        LEGACY.stamp(frame, STAMP)


@pytest.mark.parametrize(
    "frame", [struct.pack("!3I", 2, 12, 12) + MESSAGE, binary_frame(MESSAGE)[:-1]]
)
def test_a_binary_frame_without_its_whole_message_is_refused(frame):
    """A valid table alone does not make a message."""
    with pytest.raises(RemoteProtocolError, match="not JSON"):
        LEGACY.stamp(frame, STAMP)


class Huge(bytes):
    """A frame may claim the maximum of a 32-bit table; it is refused without using the memory."""

    __slots__ = ()

    def __len__(self):
        return 2**32


def test_a_binary_frame_that_outgrows_its_table_is_refused():
    """The stamp may push the last buffer beyond 32 bits."""
    end = 16 + len(MESSAGE)
    frame = Huge(struct.pack("!4I", 3, 16, end, 2**32 - 1) + MESSAGE)
    with pytest.raises(RemoteProtocolError, match="longer than its table can say"):
        LEGACY.stamp(frame, STAMP)


@pytest.mark.parametrize(
    ("part", "text"),
    [("content", "[]"), ("content", '"{}"'), ("content", "0")],
)
def test_a_legacy_part_of_another_kind_is_refused(part, text):
    """A part that would make Jupyter Server fail does not reach it."""
    frame = json_text(texts(**{part: text}), "shell")
    assert refused(TEXT, frame)
    assert refused(BINARY, binary_frame(frame.encode()))


@pytest.mark.parametrize("text", ["[]", "null", '"comm_msg"', "0"])
def test_a_legacy_header_of_another_kind_is_passed_on(text):
    """Releases of Jupyter Server close the socket or not; no kernel takes it for a message."""
    frame = json_text(texts(header=text), "shell")
    for stamped in (
        json.loads(LEGACY.stamp(frame, STAMP)),
        json.loads(LEGACY.stamp(binary_frame(frame.encode()), STAMP)[8:]),
    ):
        assert stamped["metadata"] == {KEY: OURS}
        assert stamped["header"] == json.loads(text)


@pytest.mark.parametrize("buffers", [[bytes(2**20)], [b"", b"x", bytes(range(256)) * 5_000, b"y"]])
def test_large_buffers_are_not_copied(buffers):
    """Jupyter Server reads the same message from the slices as from the whole frame."""
    stamped = V1.stamp(write_v1(texts(metadata=FORGED_METADATA), "stdin", buffers), STAMP)
    assert isinstance(stamped, frames.Spliced)
    assert frames.V1.is_stdin(stamped)
    for read in (read_v1(stamped), read_v1(bytes(stamped))):
        assert read["metadata"] == {KEY: OURS}
        assert read["buffers"] == buffers
        assert read["channel"] == "stdin"
    assert stamped[0 : len(bytes(stamped))] == bytes(stamped)
    views = [part for part in read_v1(stamped)["buffers"] if part]
    assert all(isinstance(part, memoryview) for part in views)


@pytest.mark.parametrize("frame", ["", "[]", "null", "1", "{}", "{", '{"header":{}}', "\ufeff{}"])
def test_a_text_that_is_no_message_is_refused(frame):
    """Other JSON, or an object without headers, is no message."""
    assert refused(TEXT, frame)
    assert refused(BINARY, binary_frame(frame.encode()))


@pytest.mark.parametrize("parent", ["null", "[]", '"x"', "0", "{}"])
def test_a_legacy_parent_may_be_anything(parent):
    """Jupyter Server forwards any parent header unchanged; it cannot hold a stamp."""
    frame = json_text(texts(parent_header=parent), "shell")
    for stamped in (
        json.loads(LEGACY.stamp(frame, STAMP)),
        deserialize_binary_message(LEGACY.stamp(binary_frame(frame.encode()), STAMP)),
    ):
        assert stamped["metadata"] == {KEY: OURS}
        assert stamped["parent_header"] == json.loads(parent)


def test_buffers_in_a_text_frame_are_refused():
    """JSON cannot hold bytes; Jupyter Server would fail on them later."""
    with pytest.raises(RemoteProtocolError, match="buffers in JSON"):
        LEGACY.stamp(json_text(texts() | {"buffers": '["x"]'}, "shell"), STAMP)


def test_text_where_v1_was_agreed_is_refused():
    """The subprotocol is binary, so a text message is malformed."""
    assert refused(V1, json_text(texts(), "shell"))


@pytest.mark.parametrize("msg_type", ["comm_msg", REPLY_TYPE])
def test_a_v1_header_that_is_no_object_is_refused(msg_type):
    """A header that could name a reserved type must be readable."""
    for text in (f'["{msg_type}"]', f'"{msg_type}"', f'{{"msg_type":"{msg_type}"'):
        assert refused(V1, write_v1(texts(header=text), "shell", []))


@pytest.mark.parametrize(
    "content",
    [
        f'["{COMM_ID}"]',
        f'"{TARGET}"',
        f'{{"comm_id":"{COMM_ID}"',
        r'"\u0041"',
        "\0null",
    ],
)
def test_a_v1_comm_whose_content_may_hide_our_id_must_be_readable(content):
    """Content that may name our comm, but is no object, is refused."""
    message = texts(header=header("comm_msg"), content=content)
    assert refused(V1, write_v1(message, "shell", []))


def test_a_v1_comm_whose_content_cannot_name_us_is_not_read():
    """A widget may send megabytes many times a second: such buffers are not parsed."""
    message = texts(header=header("comm_msg"), content='{"comm_id":"0123", not JSON')
    assert not refused(V1, write_v1(message, "shell", []))


# ------------------------------------------------------------------- replies for the kernel


@every_format
@every_channel
@pytest.mark.parametrize("silent", [True, False])
def test_what_a_cell_asks_for_is_read(wire, channel, silent):
    """The reader returns channel, header and silence, which a reply needs, in every format."""
    content = json.dumps({"code": "1", "silent": silent})
    frame = wire.write(texts(content=content), channel, [])
    assert wire.ask(frame) == frames.ClientMessage(channel, json.loads(texts()["header"]), silent)


@every_format
@given(data=st.data(), message=messages(), channel=st.sampled_from(CHANNELS))
@settings(max_examples=50, deadline=None)
def test_the_header_is_read_as_the_client_sent_it(wire, data, message, channel):
    """The header becomes the reply's parent, by which a browser finds its request."""
    asked = wire.ask(wire.write(message, channel, [] if wire is TEXT else data.draw(BUFFERS)))
    assert (asked.channel, asked.header) == (channel, json.loads(message["header"]))


@every_format
@every_channel
@pytest.mark.parametrize(("msg_type", "content"), RESERVED.values(), ids=RESERVED.keys())
def test_a_reserved_message_is_not_answered(wire, channel, msg_type, content):
    """A frame that reaches no kernel gets no reply of the server, either."""
    message = texts(header=header(msg_type), content=content)
    assert wire.ask(wire.write(message, channel, [])) is None


@every_format
@pytest.mark.parametrize(
    "text", ["[]", "1", "{}", '{"msg_id":"m1"}', '{"msg_type":"x"}', '{"msg_id":1,"msg_type":"x"}']
)
def test_a_header_that_cannot_be_answered_is_refused(wire, text):
    """A message without an id and a type cannot get a reply."""
    with pytest.raises(RemoteProtocolError, match="header"):
        wire.ask(wire.write(texts(header=text), "shell", []))


def test_a_legacy_message_without_a_channel_is_one_to_shell():
    """A message without a channel is for shell, as in Jupyter Server."""
    message = {name: json.loads(text) for name, text in texts().items()}
    for more in ({}, {"channel": None}):
        assert LEGACY.read(json.dumps(message | more)).channel == "shell"


def test_only_code_is_looked_into():
    """A widget's megabytes are not parsed for the replies "busy" and "idle"."""
    message = texts(header=header("comm_msg"), content='{"comm_id":"0123", not JSON')
    assert frames.V1.read(write_v1(message, "shell", [])).header["msg_type"] == "comm_msg"


# ------------------------------------------------------------------------------------------ fuzz


@pytest.mark.parametrize("wire", [V1, BINARY], ids=lambda wire: wire.name)
@given(frame=st.binary(max_size=120))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_do_no_harm(wire, frame):
    """The result is bytes, None or RemoteProtocolError, and every reader gets our stamp."""
    refused(wire, frame)


@given(st.text(st.characters(), max_size=40) | JSON.map(json.dumps))
@settings(max_examples=100, deadline=None)
def test_arbitrary_text_does_no_harm(frame):
    """The result is text, None or RemoteProtocolError; v1 takes no text."""
    refused(TEXT, frame)
    refused(BINARY, binary_frame(frame.encode("utf-8", "surrogatepass")))
    assert refused(V1, frame)


@every_format
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_damaged_frames_do_no_harm(wire, data):
    """The same for changed bits, wrong tables, cut ends and JSON in other places."""
    refused(wire, data.draw(damaged(wire)))


def stamped_by(way: Callable[..., Any], frame: bytes) -> Any:
    """Return a frame as one way of stamping changes it, or the error that it raises."""
    try:
        return way(frame, STAMP)
    except RemoteProtocolError as error:
        return type(error), str(error)


@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_the_short_way_through_a_v1_frame_is_the_general_one(data):
    """Both ways give the same bytes and the same errors, for any content of the frame."""
    frame = data.draw(damaged(V1))
    assert stamped_by(frames.V1.stamp, frame) == stamped_by(frames._stamp_any_v1, frame)


@every_format
@given(data=st.data(), part=st.sampled_from(PARTS), value=JSON)
@settings(max_examples=60, deadline=None)
def test_any_json_in_any_part_does_no_harm(wire, data, part, value):
    """The same for well-formed frames with malformed parts."""
    message = data.draw(messages()) | {part: json.dumps(value)}
    refused(wire, wire.write(message, "shell", []))


@every_format
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("key", ["a", r"\u0061", "comm_", KEY])
def test_bottomless_parts_do_no_harm(wire, part, key):
    """Deep nesting ends in RemoteProtocolError, or the frame is forwarded."""
    for depth in (*range(940, 1000, 4), 100_000):
        deep = f'{{"{key}":{"[" * depth}{"]" * depth}}}'
        message = texts(header=header("comm_msg")) | {part: deep}
        with contextlib.suppress(RemoteProtocolError):
            assert type(wire.stamp(wire.write(message, "shell", []), STAMP)) is wire.type


def test_what_can_be_read_but_not_written_is_refused():
    """Python's JSON writer has a limit of its own, which may differ from the reader's."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RemoteProtocolError, match="nested too deeply"):
        frames._dump({"content": deep})


@every_format
@pytest.mark.parametrize("part", PARTS)
def test_numbers_of_many_digits_are_refused_where_they_are_read(wire, part):
    """Python refuses huge integers with a ValueError; v1 forwards parts that it need not read."""
    message = texts() | {part: '{"comm_":1,"n":' + "9" * 10_000 + "}"}
    assert refused(wire, wire.write(message, "shell", [])) == (wire is not V1 or part == "header")


@pytest.mark.parametrize("subprotocol", [None, "", "v2.kernel.websocket.jupyter.org"])
def test_only_the_agreed_subprotocol_makes_a_socket_v1(subprotocol):
    """Jupyter Server uses the legacy formats on every websocket without the subprotocol."""
    assert format_of("v1.kernel.websocket.jupyter.org") is frames.V1
    assert format_of(subprotocol) is LEGACY
