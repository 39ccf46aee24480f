"""Reads messages of kernels: their headers, and whether they are for the server only.

A message comes as ZMQ frames, or from a gateway as one JSON text. This file does not validate
kernel messages: what cannot be read is empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.protocol import (
    LINK_TYPE,
    REPLY_TYPE,
    REQUEST_TYPE,
    TOPIC_PREFIX,
    UPDATE_TYPE,
    Request,
    is_comm_id,
)
from jupyter_session_user.core.stamp import KEY, load_json
from jupyter_session_user.errors import RemoteProtocolError

__all__ = [
    "HEADERS_END",
    "KernelHeaders",
    "Question",
    "channel_of_text",
    "is_private",
    "kernel_headers",
    "kernel_info_of_text",
    "kernel_question",
    "question_of_text",
    "with_topic",
]

#: Ends the topic or the identities, which precede a message's parts on ZMQ.
_DELIMITER = b"<IDS|MSG>"
#: Positions of a message's parts on iopub: after topic, delimiter and signature.
_PARTS, _PARTS_END = 3, 7
_PARENT = 4
#: How many frames on iopub contain the topic and both headers.
HEADERS_END = _PARENT + 1

#: A tuple: Python would evaluate ``str | bytes`` again for each message.
_TEXT = (str, bytes)

_OUR_PARENTS = frozenset({UPDATE_TYPE, REPLY_TYPE, LINK_TYPE})
_OUR_TYPES = _OUR_PARENTS | {REQUEST_TYPE}
_OUR_BYTES = f"{KEY}_".encode()  # all of them begin like this


@dataclass(frozen=True, slots=True)
class KernelHeaders:
    """The two headers of a kernel's message; empty if they cannot be read."""

    header: dict[str, Any]
    parent: dict[str, Any]


def is_private(message: Sequence[bytes] | str | bytes) -> bool:
    """Tell whether a kernel's message is for the server only.

    Args:
        message: ZMQ frames, with the topic first if they come from iopub; or one JSON text.
    """
    if isinstance(message, _TEXT):
        return _is_private_text(message)
    if bytes(message[0]).startswith(TOPIC_PREFIX):
        return True
    if len(message) <= _PARENT or _OUR_BYTES not in bytes(message[_PARENT]):
        return False
    try:
        kind = _mapping(json.loads(bytes(message[_PARENT]))).get("msg_type")
    except (ValueError, RecursionError):
        return False
    return isinstance(kind, str) and kind in _OUR_PARENTS  # a list has no hash


def with_topic(parts: Sequence[bytes]) -> list[bytes]:
    """Return the frames of a message from iopub whose topic and signature were read before.

    Args:
        parts: Header, parent header, metadata, content and buffers.
    """
    topic, header = b"", bytes(parts[0]) if parts else b""
    if _OUR_BYTES in header:
        try:
            kind = _mapping(json.loads(header)).get("msg_type")
        except (ValueError, RecursionError):
            kind = None
        topic = TOPIC_PREFIX if kind == REQUEST_TYPE else b""
    return [topic, _DELIMITER, b"", *parts]


def _is_private_text(message: str | bytes) -> bool:
    text = message.encode("utf-8", "replace") if isinstance(message, str) else message
    if _OUR_BYTES not in text:
        return False
    try:
        parsed = json.loads(text)
        types = {parsed["header"]["msg_type"], parsed["parent_header"].get("msg_type")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False  # not our message; the server handles it
    return not types.isdisjoint(_OUR_TYPES)


def kernel_headers(message: Sequence[bytes] | str | bytes) -> KernelHeaders:
    """Read the headers of a kernel's message.

    Args:
        message: Topic or identities, delimiter, signature, then the message's parts; or one JSON
            text.
    """
    try:
        if isinstance(message, _TEXT):
            parsed = _mapping(load_json(message, "message"))
            header, parent = parsed.get("header"), parsed.get("parent_header")
        else:
            at = list(message).index(_DELIMITER) + 2
            header, parent = load_json(message[at], "header"), load_json(message[at + 1], "parent")
    except (ValueError, LookupError, RemoteProtocolError):
        return KernelHeaders({}, {})
    return KernelHeaders(_mapping(header), _mapping(parent))


def channel_of_text(message: str | bytes) -> str:
    """Return the channel of a gateway's message about input; empty for other messages."""
    text = message if isinstance(message, str) else message.decode("utf-8", "replace")
    if "input_request" not in text and "_reply" not in text:
        return ""
    kind = str(kernel_headers(text).header.get("msg_type"))
    return "stdin" if kind == "input_request" else "shell" if kind.endswith("_reply") else ""


def kernel_info_of_text(message: str | bytes) -> tuple[dict[str, Any], str] | None:
    """Return the content of a ``kernel_info_reply`` and its session id; None for other types."""
    headers = kernel_headers(message)
    if headers.header.get("msg_type") != "kernel_info_reply":
        return None
    content = _mapping(load_json(message, "message").get("content"))
    return content, str(headers.header.get("session", ""))


def kernel_question(
    message: Sequence[bytes], is_signed: Callable[[bytes, Sequence[bytes]], bool]
) -> tuple[str, Request] | None:
    """Return the comm id and the request of a kernel's message; None if it is not for us.

    Args:
        message: Topic, delimiter, signature, then the message's parts.
        is_signed: ``(signature, parts) -> bool``: whether the kernel's key signed the parts.

    Raises:
        RemoteProtocolError: The message is not signed, or malformed.
    """
    if not message or not message[0].startswith(TOPIC_PREFIX):
        return None
    if len(message) < _PARTS_END or message[1] != _DELIMITER:
        raise RemoteProtocolError("request: frames are missing")
    parts = message[_PARTS:_PARTS_END]
    if not is_signed(message[_PARTS - 1], parts):
        raise RemoteProtocolError("request: not signed by the kernel, or sent twice")
    header, content = load_json(parts[0], "header"), load_json(parts[-1], "content")
    if _mapping(header).get("msg_type") != REQUEST_TYPE:
        return None
    comm_id = _mapping(content).get("comm_id")
    if not is_comm_id(comm_id):
        raise RemoteProtocolError("request: no comm_id of ours")
    return comm_id, Request.from_wire(content.get("data"))


@dataclass(frozen=True, slots=True)
class Question:
    """A kernel's request that came through a gateway.

    Attributes:
        msg_id: Id of the message.
        comm_id: Id of the kernel's comm.
        request: The request.
    """

    msg_id: str
    comm_id: str
    request: Request


def question_of_text(text: str | bytes) -> Question | None:
    """Return the request in a gateway's message; None if it is not for us.

    The gateway has checked the kernel's signature, and does not pass it on.

    Raises:
        RemoteProtocolError: The message is malformed.
    """
    message = _mapping(load_json(text, "message"))
    header, content = _mapping(message.get("header")), _mapping(message.get("content"))
    if header.get("msg_type") != REQUEST_TYPE or message.get("channel") != "iopub":
        return None
    msg_id, comm_id = header.get("msg_id"), content.get("comm_id")
    if not isinstance(msg_id, str) or not is_comm_id(comm_id):
        raise RemoteProtocolError("request: no msg_id, or no comm_id of ours")
    return Question(msg_id, str(comm_id), Request.from_wire(content.get("data")))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
