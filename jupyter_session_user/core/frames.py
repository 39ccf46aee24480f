"""Websocket frames of the kernel channels: check bounds, refuse reserved messages, stamp.

Three formats arrive at a kernel websocket:

``v1``      binary, subprotocol ``v1.kernel.websocket.jupyter.org``: a count and a table of
            64-bit little-endian offsets, then channel, header, parent_header, metadata,
            content and buffers. Never parsed as a whole.
text        legacy: one JSON object.
binary      legacy with buffers: a 32-bit big-endian table, one JSON object, buffers.

https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html

A frame can be stamped, to be forwarded, or read, to be answered in place of the kernel. Both refuse
and drop the same frames: those for which Jupyter Server closes a socket, and those that Jupyter
Server or the kernel ignores. :func:`format_of` chooses between v1 and legacy.

This file does not know the client: the caller passes the stamp. The client supplies all lengths in
a frame, so they are checked before any slicing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.protocol import is_reserved
from jupyter_session_user.core.stamp import PREFIX, load_json, may_spell_key, splice, stamp_mapping
from jupyter_session_user.errors import IgnoredMessage, RemoteProtocolError

__all__ = ["LEGACY", "MAX_PARTS", "V1", "ClientMessage", "Format", "Spliced", "format_of"]

_V1_PROTOCOL = "v1.kernel.websocket.jupyter.org"

#: A widget's state may carry hundreds of buffers; ipywidgets sends each array as one.
MAX_PARTS = 10_000

#: The channels that a client may write to; ``iopub`` is a SUB socket, which cannot send.
_CHANNELS = (b"shell", b"control", b"stdin")
_CHANNEL_NAMES = frozenset({"shell", "control", "stdin", None})  # None means shell (legacy)
_NO_CHANNEL = "message: not a channel that a client may use"

# Positions in the v1 offset table: each is the start of that part.
_CHANNEL, _HEADER, _PARENT, _METADATA, _CONTENT = range(5)
_V1_MIN_OFFSETS = 6  # the five starts above and the end of the content

_V1_FIRST = struct.Struct("<Q")
_V1_PLAIN = struct.Struct("<7Q")  # the count, and the six offsets of a frame without buffers
_V1_LATER = struct.Struct("<2Q")  # the two offsets that a longer metadata moves

_BRACE = ord("}")
_STDIN = '"channel": "stdin"'

#: Buffers of at least this many bytes are not copied; see :class:`Spliced`.
_LARGE = 2**20


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """The fields of a client's message that an answer in place of the kernel needs.

    Attributes:
        channel: ``shell``, ``control`` or ``stdin``.
        header: Has a ``msg_id`` and a ``msg_type``, both text.
        silent: Whether the message asks to run code without showing it.
    """

    channel: str
    header: dict[str, Any]
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Spliced:
    """A stamped v1 frame with large buffers, which still lie in the frame as it was received.

    Its slices are those of the whole frame. A reader who needs no more than slices saves a copy of
    the buffers, which would take as long as receiving them; ``bytes`` makes the whole frame.

    Attributes:
        head: The frame up to the end of the content, with the stamp.
        buffers: The buffers, one after the other.
    """

    head: bytes
    buffers: memoryview

    def __getitem__(self, part: slice) -> bytes | memoryview:
        """Return a part of the frame; a view if it is a part of the buffers."""
        start, stop, _ = part.indices(len(self.head) + len(self.buffers))
        first = len(self.head)
        if stop <= first:
            return self.head[start:stop]
        if start >= first:
            return self.buffers[start - first : stop - first]
        return bytes(self)[start:stop]

    def __bytes__(self) -> bytes:
        """Return the whole frame."""
        return b"".join((self.head, self.buffers))


@dataclass(frozen=True, slots=True)
class Format:
    """A format of the client's frames.

    Attributes:
        stamp: ``(frame, stamp) -> frame``: the frame with the stamp, which is a JSON object; None
            if the message is dropped. Raises RemoteProtocolError if the frame is malformed.
        read: ``frame -> message``: the request in a frame; None, or an error, as above.
        is_stdin: Tells whether a frame, as returned by stamping, goes to the stdin channel.
    """

    stamp: Callable[[str | bytes, bytes], str | bytes | Spliced | None]
    read: Callable[[str | bytes], ClientMessage | None]
    is_stdin: Callable[[Any], bool]


def _stamp_v1(frame: str | bytes, stamp: bytes) -> bytes | Spliced | None:
    """Stamp a v1 frame; nearly all have no buffers and need no parsing, which takes half the time.

    All others, and their errors, are for the general function.
    """
    if not isinstance(frame, bytes) or len(frame) < _V1_PLAIN.size:
        return _stamp_any_v1(frame, stamp)
    count, channel, header, parent, metadata, content, end = _V1_PLAIN.unpack_from(frame)
    if count != _V1_MIN_OFFSETS or not (
        _V1_PLAIN.size <= channel <= header <= parent <= metadata <= content <= end <= len(frame)
    ):
        return _stamp_any_v1(frame, stamp)
    heads = frame[header:content]
    if frame[channel:header] not in _CHANNELS or heads.find(b"comm_") >= 0 or may_spell_key(heads):
        return _stamp_any_v1(frame, stamp)
    # As JSON.stringify writes the metadata; every other object is for the general function.
    if not heads.startswith(b'{"', metadata - header) or heads[-1] != _BRACE:
        return _stamp_any_v1(frame, stamp)
    shift = len(PREFIX) + len(stamp)  # the comma replaces the bracket
    table, first = _V1_PLAIN.size - _V1_LATER.size, _V1_PLAIN.size
    later = _V1_LATER.pack(content + shift, end + shift)
    rest = frame[metadata + 1 : end]
    return b"".join((frame[:table], later, frame[first:metadata], PREFIX, stamp, b",", rest))


def _stamp_any_v1(frame: str | bytes, stamp: bytes) -> bytes | Spliced | None:
    frame, offsets = _v1_checked(frame)
    if _v1_is_reserved(frame, offsets):
        return None
    start, end = offsets[_METADATA], offsets[_CONTENT]
    metadata = splice(frame[start:end], stamp)
    shift = len(metadata) - (end - start)
    later = [offset + shift for offset in offsets[_CONTENT:]]
    table = 8 * (_CONTENT + 1)  # the count and the offsets before content stay as they are
    content_end = offsets[_CONTENT + 1]
    head = (
        frame[:table],
        struct.pack(f"<{len(later)}Q", *later),
        frame[8 * (len(offsets) + 1) : start],
        metadata,
        memoryview(frame)[end:content_end],
    )
    buffers = memoryview(frame)[content_end : offsets[-1]]
    if len(buffers) >= _LARGE:
        return Spliced(b"".join(head), buffers)
    return b"".join((*head, buffers))


def _read_v1(frame: str | bytes) -> ClientMessage | None:
    frame, offsets = _v1_checked(frame)
    if _v1_is_reserved(frame, offsets):
        return None
    splice(_v1_part(frame, offsets, _METADATA), b"{}")  # raises the same errors as stamping
    header = load_json(_v1_part(frame, offsets, _HEADER), "header")
    content: object = None
    if isinstance(header, dict) and header.get("msg_type") == "execute_request":
        content = load_json(_v1_part(frame, offsets, _CONTENT), "content")
    return _asked(_v1_part(frame, offsets, _CHANNEL).decode("ascii"), header, content)


def _is_stdin_v1(frame: bytes | Spliced) -> bool:
    """Tell whether a v1 frame, as returned by stamping, goes to the stdin channel."""
    if isinstance(frame, Spliced):
        frame = frame.head
    (channel,) = _V1_FIRST.unpack_from(frame, 8)
    return frame.startswith(b"stdin", channel)  # no other client channel begins like this


def _is_stdin_legacy(frame: str | bytes) -> bool:
    """Tell the same of a legacy frame, as returned by stamping: JSON written by this module."""
    if (_STDIN.encode() in frame) if isinstance(frame, bytes) else (_STDIN in frame):
        message = _read_legacy(frame)
        return message is not None and message.channel == "stdin"
    return False


def _v1_checked(frame: str | bytes) -> tuple[bytes, tuple[int, ...]]:
    if not isinstance(frame, bytes):
        raise RemoteProtocolError("v1 frame: text where binary was agreed")
    count = int.from_bytes(frame[:8], "little")
    table_end = 8 * (count + 1)
    if not _V1_MIN_OFFSETS <= count <= MAX_PARTS or table_end > len(frame):
        raise RemoteProtocolError("v1 frame: offset table does not fit")
    offsets: tuple[int, ...] = struct.unpack_from(f"<{count}Q", frame, 8)
    _check_monotone(offsets, table_end, len(frame))
    channel = frame[offsets[_CHANNEL] : offsets[_HEADER]]
    if channel not in _CHANNELS:
        try:  # Jupyter Server ignores any unknown name, if it is text
            channel.decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("v1 frame: the channel is no name") from None
        raise IgnoredMessage(_NO_CHANNEL)
    return frame, offsets


def _v1_part(frame: bytes, offsets: tuple[int, ...], part: int) -> bytes:
    return frame[offsets[part] : offsets[part + 1]]


def _check_monotone(offsets: tuple[int, ...], first: int, last: int) -> None:
    if offsets[0] < first or offsets[-1] > last or sorted(offsets) != [*offsets]:
        raise RemoteProtocolError("frame: offsets out of order or outside the frame")


def _v1_is_reserved(frame: bytes, offsets: tuple[int, ...]) -> bool:
    """Tell whether only the server may send this message to the helper.

    The header is parsed only if its bytes could spell such a type.
    """
    header = _v1_part(frame, offsets, _HEADER)
    if header.find(b"comm_") < 0 and not may_spell_key(header):
        return False
    parsed = load_json(header, "header")
    if not isinstance(parsed, dict):
        raise RemoteProtocolError("header: not an object")
    content = _v1_part(frame, offsets, _CONTENT)
    if not may_spell_key(content):
        content = b"{}"
    return is_reserved(parsed.get("msg_type"), content)


def _stamp_legacy(frame: str | bytes, stamp: bytes) -> str | bytes | None:
    message, offsets = _legacy_message(frame)
    if message is None:
        return None
    channel = message.get("channel") or "shell"
    # Without a channel, Jupyter Server logs the whole message, including our stamp.
    metadata = stamp_mapping(message.get("metadata", {}), stamp)
    text = _dump({**message, "channel": channel, "metadata": metadata})
    if isinstance(frame, str):
        return text
    end = offsets[1] if len(offsets) > 1 else len(frame)
    packed = text.encode("utf-8")
    shift = len(packed) - (end - offsets[0])
    later = [offset + shift for offset in offsets[1:]]
    if later and later[-1] >= 2**32:
        raise RemoteProtocolError("binary frame: longer than its table can say")
    table = struct.pack(f"!{len(offsets) + 1}I", len(offsets), offsets[0], *later)
    buffers = memoryview(frame)[end:]  # a view, since they may be large
    return b"".join((table, frame[len(table) : offsets[0]], packed, buffers))


def _read_legacy(frame: str | bytes) -> ClientMessage | None:
    message, _ = _legacy_message(frame)
    if message is None:
        return None
    return _asked(message.get("channel") or "shell", message["header"], message.get("content"))


def _legacy_message(frame: str | bytes) -> tuple[dict[str, Any] | None, tuple[int, ...]]:
    """Return the JSON of a legacy frame, and the offsets of a binary one; None to drop it."""
    if isinstance(frame, str):
        message = _checked(load_json(frame, "text frame"))
        if message is not None and message.get("buffers"):
            raise RemoteProtocolError("text frame: buffers in JSON")
        return message, ()
    count = int.from_bytes(frame[:4], "big")
    table_end = 4 * (count + 1)
    if not 1 <= count <= MAX_PARTS or table_end > len(frame):
        raise RemoteProtocolError("binary frame: offset table does not fit")
    offsets: tuple[int, ...] = struct.unpack_from(f"!{count}I", frame, 4)
    _check_monotone(offsets, table_end, len(frame))
    end = offsets[1] if len(offsets) > 1 else len(frame)
    return _checked(load_json(frame[offsets[0] : end], "binary frame")), offsets


def _checked(message: object) -> dict[str, Any] | None:
    if not isinstance(message, dict) or "header" not in message:
        raise RemoteProtocolError("message: no header")
    if "parent_header" not in message:  # any value passes
        raise RemoteProtocolError("message: no parent_header")
    channel = message.get("channel")
    if isinstance(channel, list | dict):
        raise RemoteProtocolError("message: the channel is no name")
    if channel not in _CHANNEL_NAMES:
        raise IgnoredMessage(_NO_CHANNEL)
    content = message.get("content", {})
    if isinstance(content, str):  # Jupyter would parse it as the JSON of a content
        raise IgnoredMessage("message: content is a text")
    if not isinstance(content, dict | None):
        raise RemoteProtocolError("message: content is not an object")
    # Releases of Jupyter Server treat other headers differently; the kernel ignores their message.
    header = message["header"]
    if isinstance(header, dict) and is_reserved(header.get("msg_type"), content or {}):
        return None
    if not isinstance(message.get("metadata", {}), dict):
        raise IgnoredMessage("metadata: not an object")
    return message


def _dump(message: dict[str, Any]) -> str:
    try:
        return json.dumps(message)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("message: nested too deeply") from None


def _asked(channel: str, header: object, content: object) -> ClientMessage:
    if not isinstance(header, dict):
        raise RemoteProtocolError("header: not an object")
    if not (isinstance(header.get("msg_id"), str) and isinstance(header.get("msg_type"), str)):
        raise RemoteProtocolError("header: no msg_id or no msg_type")
    silent = isinstance(content, dict) and bool(content.get("silent"))
    return ClientMessage(channel, header, silent)


V1 = Format(_stamp_v1, _read_v1, _is_stdin_v1)
LEGACY = Format(_stamp_legacy, _read_legacy, _is_stdin_legacy)


def format_of(subprotocol: str | None) -> Format:
    """Return the format of a websocket with this subprotocol; the legacy one if it has none."""
    return V1 if subprotocol == _V1_PROTOCOL else LEGACY
