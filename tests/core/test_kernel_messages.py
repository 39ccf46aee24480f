"""The headers of kernels' messages, as ZMQ frames and as a gateway's text."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.kernel_messages import (
    KernelHeaders,
    channel_of_text,
    is_private,
    kernel_headers,
    kernel_info_of_text,
    question_of_text,
    with_topic,
)
from jupyter_session_user.core.protocol import (
    LINK_TYPE,
    REPLY_TYPE,
    REQUEST_TYPE,
    TOPIC_PREFIX,
    UPDATE_TYPE,
)
from jupyter_session_user.errors import RemoteProtocolError

SPELLINGS = ("header", "msg_type", "msg_id", "content", "comm_id", "data", "channel")
SENT = {"msg_id": "k1", "msg_type": "stream", "session": "kernel's"}
PARENT = {"msg_id": "m1", "msg_type": "execute_request", "session": "client's"}
PACKED = [b"signature", json.dumps(SENT).encode(), json.dumps(PARENT).encode(), b"{}", b"{}"]


@pytest.mark.parametrize("prefix", [[], [b"kernel.stream"], [b"identity", b"another"]])
def test_both_headers_of_a_kernels_message_are_read(prefix):
    """Headers of messages from shell, without a prefix, and from iopub, with a topic."""
    frames = [*prefix, b"<IDS|MSG>", *PACKED, b"buffer"]
    assert kernel_headers(frames) == KernelHeaders(SENT, PARENT)
    assert kernel_headers(tuple(frames[: len(prefix) + 4])) == KernelHeaders(SENT, PARENT)


def test_both_headers_of_a_gateways_message_are_read():
    """The same for text, and for its bytes."""
    text = json.dumps({"header": SENT, "parent_header": PARENT, "content": {}})
    for message in (text, text.encode()):
        assert kernel_headers(message) == KernelHeaders(SENT, PARENT)


NOTHING = KernelHeaders({}, {})


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"topic"],
        [b"<IDS|MSG>"],
        [b"<IDS|MSG>", b"", b"{}"],
        [b"<IDS|MSG>", b"", b"{", b"{}"],
        [b"<IDS|MSG>", b"", b"[]", b"null"],
        [b"<IDS|MSG>", b"", b"[" * 100_000, b"{}"],
    ],
)
def test_a_kernels_message_that_cannot_be_read_has_no_headers(frames):
    """An unreadable message of a kernel is not refused; its headers are empty."""
    assert kernel_headers(frames) == NOTHING


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "{}", '{"header":1,"parent_header":[]}'])
def test_a_gateways_message_that_cannot_be_read_has_no_headers(text):
    """The same for text, which is no ``kernel_info_reply``, either."""
    assert kernel_headers(text) == NOTHING
    assert kernel_info_of_text(text) is None


def test_what_a_kernel_says_of_itself_is_read():
    """Only the reply itself is found, not a message that mentions it."""
    info = {"status": "ok", "implementation": "ipython"}
    reply = {"header": SENT | {"msg_type": "kernel_info_reply"}, "parent_header": PARENT}
    assert kernel_info_of_text(json.dumps(reply | {"content": info})) == (info, "kernel's")
    talk = {"header": SENT, "parent_header": PARENT, "content": {"text": "kernel_info_reply"}}
    assert kernel_info_of_text(json.dumps(talk)) is None


@pytest.mark.parametrize(
    ("msg_type", "channel"),
    [("input_request", "stdin"), ("execute_reply", "shell"), ("stream", ""), ("status", "")],
)
def test_the_channel_of_a_gateways_message_about_input(msg_type, channel):
    """Messages that mention input, but are no input request, have no channel."""
    text = json.dumps({"header": {"msg_type": msg_type}, "content": "input_request x_reply"})
    for message in (text, text.encode()):
        assert channel_of_text(message) == channel


# ------------------------------------------------------------------------- for the server only


def test_a_message_with_our_topic_is_for_the_server_only():
    """A message with our topic is for the server only, with any content."""
    assert is_private([TOPIC_PREFIX + b"x", b"<IDS|MSG>", *PACKED])
    assert is_private([TOPIC_PREFIX])
    assert not is_private([b"kernel.stream", b"<IDS|MSG>", *PACKED])


OURS = (UPDATE_TYPE, REPLY_TYPE, REQUEST_TYPE, LINK_TYPE)


@pytest.mark.parametrize("kind", [*OURS, UPDATE_TYPE + "_2", 1])
@pytest.mark.parametrize("place", ["header", "parent_header"])
def test_a_gateways_message_of_our_types_is_for_the_server_only(kind, place):
    """Its own type or its parent's type decides; other mentions of the type do not."""
    message = {"header": SENT, "parent_header": PARENT, "content": {"text": UPDATE_TYPE}}
    message |= {place: {"msg_type": kind}}
    assert is_private(json.dumps(message)) is (kind in OURS)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8) | st.binary() | st.text())
def test_no_message_of_a_kernel_raises(message):
    """An unreadable message is not for the server only, so it is forwarded."""
    assert is_private(message) in {True, False}
    kernel_headers(message)
    if isinstance(message, str | bytes):
        channel_of_text(message)
        assert kernel_info_of_text(message) is None


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.just(REQUEST_TYPE),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(SPELLINGS), inner),
    ).map(json.dumps)
)
def test_a_gateways_text_is_a_question_or_not_or_malformed(text):
    """Whatever comes, reading it raises the protocol's error alone."""
    with contextlib.suppress(RemoteProtocolError):
        assert question_of_text(text) is None


@pytest.mark.parametrize("parent", [f'["{UPDATE_TYPE}"]', f'{{"msg_type":["{UPDATE_TYPE}"]}}', "["])
def test_a_parent_that_cannot_be_read_is_not_ours(parent):
    """A type that is a list, which has no hash, is not for the server only."""
    ours = f'"{UPDATE_TYPE}"'
    assert not is_private([b"t", b"<IDS|MSG>", b"", b"{}", parent.encode() + b" " + ours.encode()])
    assert not is_private([b"t", b"<IDS|MSG>", b"", b"{}", parent.encode()])


@pytest.mark.parametrize(
    ("header", "parent", "private"),
    [
        ({"msg_type": REQUEST_TYPE}, {}, True),
        ({"msg_type": "stream"}, {"msg_type": REPLY_TYPE}, True),
        ({"msg_type": "stream"}, {"msg_type": "execute_request"}, False),
        ({"msg_type": [REQUEST_TYPE]}, {}, False),
        ({"msg_type": "stream", "msg_id": REQUEST_TYPE}, {}, False),
    ],
)
def test_a_message_without_its_topic_is_private_all_the_same(header, parent, private):
    """Where the topic was read before, the message's type says whose it is."""
    parts = [json.dumps(part).encode() for part in (header, parent, {}, {})]
    frames = with_topic(parts)
    assert is_private(frames) is private
    assert kernel_headers(frames) == KernelHeaders(header, parent)


def test_a_message_that_cannot_be_read_has_no_topic():
    """It is no message of ours."""
    for header in (
        b"",
        b"{",
        f'["{REQUEST_TYPE}"]'.encode(),
        b"[" * 100_000 + REQUEST_TYPE.encode(),
    ):
        assert not is_private(with_topic([header, b"{}", b"{}", b"{}"]))
    assert not is_private(with_topic([]))
