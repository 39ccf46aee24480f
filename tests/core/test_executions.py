"""What an audit reads from messages: the code that runs, forged stamps, and how it ended."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.executions import (
    Asked,
    asked,
    asked_by,
    hash_of,
    how_it_ended,
    is_forged,
)
from jupyter_session_user.core.frames import LEGACY, V1
from jupyter_session_user.core.stamp import KEY, unknown_stamp
from jupyter_session_user.errors import SessionUserError

HEADER = {"msg_id": "m1", "msg_type": "execute_request"}
STAMP = unknown_stamp("test")


def v1(header: object, metadata: object, content: object, *buffers: bytes) -> bytes:
    """Return a frame of the v1 format."""
    parts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, {}, metadata)]
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    whole = [b"shell", *parts, body, *buffers]
    table = 8 * (len(whole) + 2)
    offsets = [table + sum(map(len, whole[:at])) for at in range(len(whole) + 1)]
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(whole)


def text(header: object, metadata: object, content: object) -> str:
    """Return a legacy frame without buffers."""
    parts = {"header": header, "parent_header": {}, "metadata": metadata, "content": content}
    return json.dumps({**parts, "channel": "shell"})


def binary(header: object, metadata: object, content: object) -> bytes:
    """Return a legacy frame with a buffer."""
    body = text(header, metadata, content).encode()
    return struct.pack("!3I", 2, 12, 12 + len(body)) + body + b"buffer"


WAYS = pytest.mark.parametrize(
    ("make", "is_v1"), [(v1, True), (text, False), (binary, False)], ids=["v1", "text", "binary"]
)


@WAYS
def test_the_code_of_a_frame(make, is_v1):
    """Each format gives the id, the cell and the code; other types give nothing."""
    frame = make(HEADER, {"cellId": "c1"}, {"code": "é = 1"})
    assert asked_by(frame, v1=is_v1) == Asked("m1", "c1", "é = 1")
    assert asked_by(make(HEADER, {}, {}), v1=is_v1) == Asked("m1", None, None)
    other = {**HEADER, "msg_type": "complete_request"}
    assert asked_by(make(other, {}, {"code": "execute_request"}), v1=is_v1) is None


@WAYS
def test_strange_values(make, is_v1):
    """An id, a cell or a code of another type makes no execution vanish."""
    header = {**HEADER, "msg_id": [5]}
    frame = make(header, {"cellId": 3, "cell_id": "c2"}, {"code": ["x"]})
    assert asked_by(frame, v1=is_v1) == Asked("[5]", "c2", None)
    long = make({**HEADER, "msg_id": "x" * 10_000}, {"cellId": "y" * 10_000}, {"code": "1"})
    found = asked_by(long, v1=is_v1)
    assert (len(found.msg_id), len(found.cell_id)) == (200, 200)


@given(st.text(" \t\r\n"), st.text(" \t\r\n"))
def test_spaces_around_a_part(before, after):
    """The kernel reads JSON with spaces around it, and so does the audit."""
    parts = [f"{before}{json.dumps(part)}{after}".encode() for part in (HEADER, {}, {"code": "1"})]
    assert asked_by(v1(*parts), v1=True) == Asked("m1", None, "1")


@pytest.mark.parametrize("after", [b"}", b"{}", b" 1", b"\x00"])
def test_a_header_that_more_follows(after):
    """No kernel runs it; the audit says that it could not be read."""
    frame = v1(json.dumps(HEADER).encode() + after, {}, {"code": "1"})
    assert asked_by(frame, v1=True) == Asked("", None, None)


@given(st.sets(st.integers(0, len("execute_request") - 1)))
def test_every_spelling_of_the_type(escaped):
    """JSON can escape any letter of the type, and the kernel reads it: no code goes unseen."""
    letters = (f"\\u{ord(c):04x}" if at in escaped else c for at, c in enumerate("execute_request"))
    header = f'{{"msg_id":"m1","msg_type":"{"".join(letters)}"}}'.encode()
    frame = v1(header, {}, {"code": "1"})
    assert V1.stamp(frame, STAMP) is not None
    assert asked_by(frame, v1=True) == Asked("m1", None, "1")


def test_a_header_that_only_the_kernel_reads():
    """The kernel replaces bytes that are no UTF-8, and may read deeper JSON: all is seen."""
    odd = b'{"msg_id":"m1","msg_type":"execute_request","username":"\xff"}'
    assert V1.stamp(v1(odd, {}, {"code": "1"}), STAMP) is not None
    assert asked_by(v1(odd, {}, b'{"code":"\xff"}'), v1=True) == Asked("m1", None, "\ufffd")
    deep = b'{"msg_type":"execute_request","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    assert asked_by(v1(deep, {}, {"code": "1"}), v1=True) == Asked("", None, None)
    assert asked_by(v1(b"execute_request", {}, {}), v1=True) == Asked("", None, None)


@WAYS
def test_forged_stamps(make, is_v1):
    """A stamp in the client's metadata, and only there."""
    assert is_forged(make(HEADER, {KEY: {}}, {}), v1=is_v1)
    assert not is_forged(make(HEADER, {}, {"code": f"import {KEY}"}), v1=is_v1)
    assert not is_forged(make(HEADER, {"about": {KEY: 1}}, {}), v1=is_v1)


def test_a_forged_stamp_in_another_spelling():
    """JSON can escape the key, too."""
    spelled = b'{"\\u006aupyter_session_user":{}}'
    assert is_forged(v1(HEADER, spelled, {}), v1=True)


@given(st.binary(max_size=200), st.sampled_from([V1, LEGACY]))
def test_any_bytes(frame, kind):
    """What can be stamped can be read: no frame raises."""
    try:
        stamped = kind.stamp(frame, STAMP)
    except SessionUserError:
        return
    if stamped is not None:
        asked_by(frame, v1=kind is V1)
        is_forged(frame, v1=kind is V1)


def reply(content: object, kind: str = "execute_reply", parent: object = "m1") -> list[bytes]:
    """Return a kernel's message as ZMQ frames."""
    parts = ({"msg_type": kind}, {"msg_id": parent}, {}, content)
    return [b"<IDS|MSG>", b"signature", *(json.dumps(part).encode() for part in parts)]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"status": "ok"}, "ok"),
        ({"status": "error"}, "error"),
        ({"status": "aborted"}, "aborted"),
        ({"status": "abort"}, "aborted"),
        ({"status": "x\n" * 99}, "unknown"),
        ({"status": {}}, "unknown"),
        ([], "unknown"),
    ],
)
def test_how_it_ended(content, status):
    """The kernel states one of few words; anything else is unknown."""
    assert how_it_ended(reply(content)) == ("m1", status)
    assert how_it_ended([b"identity", *reply(content)]) == ("m1", status)
    whole = {
        "header": {"msg_type": "execute_reply"},
        "parent_header": {"msg_id": "m1"},
        "content": content,
    }
    assert how_it_ended(json.dumps(whole)) == ("m1", status)
    assert how_it_ended(json.dumps(whole).encode()) == ("m1", status)


@pytest.mark.parametrize(
    "message",
    [
        reply({"status": "ok"}, "complete_reply"),
        reply({"status": "ok"}, "x execute_reply"),
        [],
        [b"<IDS|MSG>"],
        [b"<IDS|MSG>", b"s", b"execute_reply"],
        "execute_reply",
        b"[]",
    ],
)
def test_what_ends_nothing(message):
    """Other messages, and what cannot be read."""
    assert how_it_ended(message) is None


def test_hashes():
    """The hash is that of UTF-8, also for lone surrogates; without code there is none."""
    assert hash_of("é") == hashlib.sha256("é".encode()).hexdigest()
    assert hash_of("\ud800") != hash_of("?")
    assert hash_of(None) is None


def test_expressions_beside_the_code_are_recorded():
    """The kernel evaluates them, too; without them, the record has the code alone."""
    header = {"msg_id": "m"}
    bare = asked(header, {}, {"code": "1", "user_expressions": {}})
    assert bare.code == "1"
    with_one = asked(header, {}, {"code": "", "user_expressions": {"x": "f()"}})
    assert with_one.code == '\n# user_expressions: {"x": "f()"}'
    assert asked(header, {}, {"code": 1, "user_expressions": {"x": "f()"}}).code is None
