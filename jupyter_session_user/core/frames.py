"""Websocket frames of the kernel channels: bound-check, refuse what is ours, stamp.

Three formats arrive at a kernel websocket:

``v1``      binary, subprotocol ``v1.kernel.websocket.jupyter.org``: a count and a table of
            64-bit little-endian offsets, then channel, header, parent_header, metadata,
            content and buffers. Never parsed as a whole.
text        legacy: one JSON object.
binary      legacy with buffers: a 32-bit big-endian table, one JSON object, buffers.

https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html

Each can be stamped, to be passed on, or read, to be answered in the kernel's place; both
refuse and drop the same frames. What a kernel sends is read, too, as far as its headers.

This file does not know who the client is: it is handed the stamp. All lengths in a frame
are the client's claims, and are checked before anything is sliced by them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.protocol import is_reserved
from jupyter_session_user.core.stamp import load_json, may_spell_key, splice, stamp_mapping
from jupyter_session_user.errors import RemoteProtocolError

__all__ = [
    "MAX_PARTS",
    "ClientMessage",
    "KernelHeaders",
    "kernel_headers",
    "kernel_headers_of_text",
    "kernel_info_of_text",
    "read_legacy_binary",
    "read_legacy_text",
    "read_v1",
    "stamp_legacy_binary",
    "stamp_legacy_text",
    "stamp_v1",
]

#: A widget's state may carry hundreds of buffers; ipywidgets sends each array as one.
MAX_PARTS = 10_000

#: The channels that a client may write to; ``iopub`` is a SUB socket, which cannot send.
_CHANNELS = (b"shell", b"control", b"stdin")
_CHANNEL_NAMES = frozenset({"shell", "control", "stdin", None})  # None means shell (legacy)

# Positions in the v1 offset table: each is where that part starts.
_CHANNEL, _HEADER, _PARENT, _METADATA, _CONTENT = range(5)
_V1_MIN_OFFSETS = 6  # the five starts above and the end of the content

#: Ends the topic or the identities that stand in front of a message's parts on ZMQ.
_DELIMITER = b"<IDS|MSG>"


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """What must be known of a client's message to answer it in the kernel's place.

    Attributes:
        channel: ``shell``, ``control`` or ``stdin``.
        header: With a ``msg_id`` and a ``msg_type``, both text.
        silent: Whether it asks to run code that nobody is to see.
    """

    channel: str
    header: dict[str, Any]
    silent: bool = False


@dataclass(frozen=True, slots=True)
class KernelHeaders:
    """The two headers of a kernel's message; empty where they cannot be read."""

    header: dict[str, Any]
    parent: dict[str, Any]


def stamp_v1(frame: str | bytes, stamp: bytes) -> bytes | None:
    """Return a v1 frame that carries ``stamp``, or None if the message is to be dropped.

    Args:
        frame: One websocket message of the client.
        stamp: A JSON object.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    frame, offsets = _v1_checked(frame)
    if _v1_is_reserved(frame, offsets):
        return None
    start, end = offsets[_METADATA], offsets[_CONTENT]
    metadata = splice(frame[start:end], stamp)
    shift = len(metadata) - (end - start)
    later = [offset + shift for offset in offsets[_CONTENT:]]
    table = 8 * (_CONTENT + 1)  # the count and the offsets before content stay as they are
    return b"".join(
        (
            frame[:table],
            struct.pack(f"<{len(later)}Q", *later),
            frame[8 * (len(offsets) + 1) : start],
            metadata,
            frame[end : offsets[-1]],
        )
    )


def read_v1(frame: str | bytes) -> ClientMessage | None:
    """Return what a v1 frame asks for, or None if the message is to be dropped.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    frame, offsets = _v1_checked(frame)
    if _v1_is_reserved(frame, offsets):
        return None
    splice(_v1_part(frame, offsets, _METADATA), b"{}")  # raises what stamping raises
    header = load_json(_v1_part(frame, offsets, _HEADER), "header")
    content: object = None
    if isinstance(header, dict) and header.get("msg_type") == "execute_request":
        content = load_json(_v1_part(frame, offsets, _CONTENT), "content")
    return _asked(_v1_part(frame, offsets, _CHANNEL).decode("ascii"), header, content)


def _v1_checked(frame: str | bytes) -> tuple[bytes, tuple[int, ...]]:
    if not isinstance(frame, bytes):
        raise RemoteProtocolError("v1 frame: text where binary was agreed")
    offsets = _v1_offsets(frame)
    if _v1_part(frame, offsets, _CHANNEL) not in _CHANNELS:
        raise RemoteProtocolError("v1 frame: not a channel that a client may use")
    return frame, offsets


def _v1_part(frame: bytes, offsets: tuple[int, ...], part: int) -> bytes:
    return frame[offsets[part] : offsets[part + 1]]


def _v1_offsets(frame: bytes) -> tuple[int, ...]:
    count = int.from_bytes(frame[:8], "little")
    table_end = 8 * (count + 1)
    if not _V1_MIN_OFFSETS <= count <= MAX_PARTS or table_end > len(frame):
        raise RemoteProtocolError("v1 frame: offset table does not fit")
    offsets: tuple[int, ...] = struct.unpack_from(f"<{count}Q", frame, 8)
    _check_monotone(offsets, table_end, len(frame))
    return offsets


def _check_monotone(offsets: tuple[int, ...], first: int, last: int) -> None:
    if offsets[0] < first or offsets[-1] > last or sorted(offsets) != list(offsets):
        raise RemoteProtocolError("frame: offsets out of order or outside the frame")


def _v1_is_reserved(frame: bytes, offsets: tuple[int, ...]) -> bool:
    """Tell whether the message is one that only the server may send to the helper.

    The header is parsed only when its bytes could spell such a type.
    """
    header = _v1_part(frame, offsets, _HEADER)
    if b"comm_" not in header and not may_spell_key(header):
        return False
    parsed = load_json(header, "header")
    if not isinstance(parsed, dict):
        raise RemoteProtocolError("header: not an object")
    content = _v1_part(frame, offsets, _CONTENT)
    if not may_spell_key(content):
        content = b"{}"
    return is_reserved(parsed.get("msg_type"), content)


def stamp_legacy_text(frame: str, stamp: bytes) -> str | None:
    """Return a legacy text frame that carries ``stamp``, or None to drop it.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    message = _text_message(frame)
    return None if message is None else _dump(_stamped(message, stamp))


def read_legacy_text(frame: str) -> ClientMessage | None:
    """Return what a legacy text frame asks for, or None to drop it.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    message = _text_message(frame)
    return None if message is None else _legacy_asked(message)


def _text_message(frame: str) -> dict[str, Any] | None:
    message = _checked(load_json(frame, "text frame"))
    if message is not None and message.get("buffers"):
        raise RemoteProtocolError("text frame: buffers in JSON")
    return message


def stamp_legacy_binary(frame: bytes, stamp: bytes) -> bytes | None:
    """Return a legacy binary frame that carries ``stamp``, or None to drop it.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    offsets = _legacy_offsets(frame)
    end = offsets[1] if len(offsets) > 1 else len(frame)
    message = _checked(load_json(frame[offsets[0] : end], "binary frame"))
    if message is None:
        return None
    text = _dump(_stamped(message, stamp)).encode("utf-8")
    shift = len(text) - (end - offsets[0])
    later = [offset + shift for offset in offsets[1:]]
    if later and later[-1] >= 2**32:
        raise RemoteProtocolError("binary frame: longer than its table can say")
    table = struct.pack(f"!{len(offsets) + 1}I", len(offsets), offsets[0], *later)
    return b"".join((table, frame[len(table) : offsets[0]], text, frame[end:]))


def read_legacy_binary(frame: bytes) -> ClientMessage | None:
    """Return what a legacy binary frame asks for, or None to drop it.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    offsets = _legacy_offsets(frame)
    end = offsets[1] if len(offsets) > 1 else len(frame)
    message = _checked(load_json(frame[offsets[0] : end], "binary frame"))
    return None if message is None else _legacy_asked(message)


def _legacy_offsets(frame: bytes) -> tuple[int, ...]:
    count = int.from_bytes(frame[:4], "big")
    table_end = 4 * (count + 1)
    if not 1 <= count <= MAX_PARTS or table_end > len(frame):
        raise RemoteProtocolError("binary frame: offset table does not fit")
    offsets: tuple[int, ...] = struct.unpack_from(f"!{count}I", frame, 4)
    _check_monotone(offsets, table_end, len(frame))
    return offsets


def _checked(message: object) -> dict[str, Any] | None:
    if not isinstance(message, dict) or not isinstance(message.get("header"), dict):
        raise RemoteProtocolError("message: no header")
    if not isinstance(message.get("parent_header"), dict):
        raise RemoteProtocolError("message: no parent_header")
    content = message.get("content", {})
    if not isinstance(content, dict | None):
        raise RemoteProtocolError("message: content is not an object")
    if not _is_channel(message.get("channel")):
        raise RemoteProtocolError("message: not a channel that a client may use")
    if is_reserved(message["header"].get("msg_type"), content or {}):
        return None
    if not isinstance(message.get("metadata", {}), dict):
        raise RemoteProtocolError("metadata: not an object")
    return message


def _stamped(message: dict[str, Any], stamp: bytes) -> dict[str, Any]:
    return {**message, "metadata": stamp_mapping(message.get("metadata", {}), stamp)}


def _is_channel(name: object) -> bool:
    return isinstance(name, str | None) and name in _CHANNEL_NAMES


def _dump(message: dict[str, Any]) -> str:
    try:
        return json.dumps(message)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("message: nested too deeply") from None


def _legacy_asked(message: dict[str, Any]) -> ClientMessage:
    return _asked(message.get("channel") or "shell", message["header"], message.get("content"))


def _asked(channel: str, header: object, content: object) -> ClientMessage:
    if not isinstance(header, dict):
        raise RemoteProtocolError("header: not an object")
    if not (isinstance(header.get("msg_id"), str) and isinstance(header.get("msg_type"), str)):
        raise RemoteProtocolError("header: no msg_id or no msg_type")
    silent = isinstance(content, dict) and bool(content.get("silent"))
    return ClientMessage(channel, header, silent)


def kernel_headers(message: Sequence[bytes]) -> KernelHeaders:
    """Read a kernel's message, as ZMQ frames.

    What a kernel sends is not ours to judge: what cannot be read is empty.

    Args:
        message: Topic or identities, delimiter, signature, then the message's parts.
    """
    try:
        at = list(message).index(_DELIMITER) + 2
        header, parent = load_json(message[at], "header"), load_json(message[at + 1], "parent")
    except (ValueError, LookupError, RemoteProtocolError):
        return KernelHeaders({}, {})
    return KernelHeaders(_mapping(header), _mapping(parent))


def kernel_headers_of_text(message: str | bytes) -> KernelHeaders:
    """Read the same from a gateway's message, a JSON text."""
    try:
        parsed = _mapping(load_json(message, "message"))
    except RemoteProtocolError:
        return KernelHeaders({}, {})
    return KernelHeaders(_mapping(parsed.get("header")), _mapping(parsed.get("parent_header")))


def kernel_info_of_text(message: str | bytes) -> tuple[dict[str, Any], str] | None:
    """Return what a kernel said of itself in this message, if it did, and its session's id."""
    headers = kernel_headers_of_text(message)
    if headers.header.get("msg_type") != "kernel_info_reply":
        return None
    content = _mapping(load_json(message, "message").get("content"))
    return content, str(headers.header.get("session", ""))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
