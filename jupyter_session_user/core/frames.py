"""Websocket frames of the kernel channels: bound-check, refuse what is ours, stamp.

Three formats arrive at a kernel websocket:

``v1``      binary, subprotocol ``v1.kernel.websocket.jupyter.org``: a count and a table of
            64-bit little-endian offsets, then channel, header, parent_header, metadata,
            content and buffers. Never parsed as a whole.
text        legacy: one JSON object.
binary      legacy with buffers: a 32-bit big-endian table, one JSON object, buffers.

https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html

This file does not know who the client is: it is handed the stamp. All lengths in a frame
are the client's claims, and are checked before anything is sliced by them.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from jupyter_session_user.core.protocol import is_reserved
from jupyter_session_user.core.stamp import load_json, may_spell_key, splice, stamp_mapping
from jupyter_session_user.errors import RemoteProtocolError

__all__ = ["MAX_PARTS", "stamp_legacy_binary", "stamp_legacy_text", "stamp_v1"]

#: A widget's state may carry hundreds of buffers; ipywidgets sends each array as one.
MAX_PARTS = 10_000

#: The channels that a client may write to; ``iopub`` is a SUB socket, which cannot send.
_CHANNELS = (b"shell", b"control", b"stdin")
_CHANNEL_NAMES = frozenset({"shell", "control", "stdin", None})  # None means shell (legacy)

# Positions in the v1 offset table: each is where that part starts.
_CHANNEL, _HEADER, _PARENT, _METADATA, _CONTENT = range(5)
_V1_MIN_OFFSETS = 6  # the five starts above and the end of the content


def stamp_v1(frame: str | bytes, stamp: bytes) -> bytes | None:
    """Return a v1 frame that carries ``stamp``, or None if the message is to be dropped.

    Args:
        frame: One websocket message of the client.
        stamp: A JSON object.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    if not isinstance(frame, bytes):
        raise RemoteProtocolError("v1 frame: text where binary was agreed")
    offsets = _v1_offsets(frame)
    if frame[offsets[_CHANNEL] : offsets[_HEADER]] not in _CHANNELS:
        raise RemoteProtocolError("v1 frame: not a channel that a client may use")
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
    header = frame[offsets[_HEADER] : offsets[_PARENT]]
    if b"comm_" not in header and not may_spell_key(header):
        return False
    parsed = load_json(header, "header")
    if not isinstance(parsed, dict):
        raise RemoteProtocolError("header: not an object")
    content = frame[offsets[_CONTENT] : offsets[_CONTENT + 1]]
    if not may_spell_key(content):
        content = b"{}"
    return is_reserved(parsed.get("msg_type"), content)


def stamp_legacy_text(frame: str, stamp: bytes) -> str | None:
    """Return a legacy text frame that carries ``stamp``, or None to drop it.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    message = _stamped(load_json(frame, "text frame"), stamp)
    if message is not None and message.get("buffers"):
        raise RemoteProtocolError("text frame: buffers in JSON")
    return None if message is None else _dump(message)


def stamp_legacy_binary(frame: bytes, stamp: bytes) -> bytes | None:
    """Return a legacy binary frame that carries ``stamp``, or None to drop it.

    Raises:
        RemoteProtocolError: The frame is malformed.
    """
    offsets = _legacy_offsets(frame)
    end = offsets[1] if len(offsets) > 1 else len(frame)
    message = _stamped(load_json(frame[offsets[0] : end], "binary frame"), stamp)
    if message is None:
        return None
    text = _dump(message).encode("utf-8")
    shift = len(text) - (end - offsets[0])
    later = [offset + shift for offset in offsets[1:]]
    if later and later[-1] >= 2**32:
        raise RemoteProtocolError("binary frame: longer than its table can say")
    table = struct.pack(f"!{len(offsets) + 1}I", len(offsets), offsets[0], *later)
    return b"".join((table, frame[len(table) : offsets[0]], text, frame[end:]))


def _legacy_offsets(frame: bytes) -> tuple[int, ...]:
    count = int.from_bytes(frame[:4], "big")
    table_end = 4 * (count + 1)
    if not 1 <= count <= MAX_PARTS or table_end > len(frame):
        raise RemoteProtocolError("binary frame: offset table does not fit")
    offsets: tuple[int, ...] = struct.unpack_from(f"!{count}I", frame, 4)
    _check_monotone(offsets, table_end, len(frame))
    return offsets


def _stamped(message: object, stamp: bytes) -> dict[str, Any] | None:
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
    return {**message, "metadata": stamp_mapping(message.get("metadata", {}), stamp)}


def _is_channel(name: object) -> bool:
    return isinstance(name, str | None) and name in _CHANNEL_NAMES


def _dump(message: dict[str, Any]) -> str:
    try:
        return json.dumps(message)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("message: nested too deeply") from None
