"""Reads what an audit needs from messages: which code a message runs, and how that ended.

The client writes the message. So nothing in it is trusted except the code, which is what the kernel
will run: the message id and the cell's id are the client's own. JSON allows many spellings of one
text, and this file finds them all, since the kernel does.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jupyter_session_user.core.stamp import KEY, may_spell_key

__all__ = ["Asked", "asked_by", "hash_of", "how_it_ended", "is_forged", "status_of", "storable"]

_EXECUTE = b"execute_request"
_REPLY = b"execute_reply"
_PLAIN_REPLY = b'"msg_type": "execute_reply"'
_IS_REPLY = {"msg_type": "execute_reply"}
#: ``json.loads`` looks at its options for each text, and at the encoding of bytes.
_decoder = json.JSONDecoder()
_BACKSLASH, _ZERO = b"\\\0"
_V1 = struct.Struct("<7Q")
_DELIMITER = b"<IDS|MSG>"
_STATUSES = frozenset({"ok", "error", "aborted"})
#: Front ends: JupyterLab writes cellId; nbclient and others write cell_id.
_CELL_IDS = ("cellId", "cell_id")
#: What stands before expressions that a message has beside its code.
_EXPRESSIONS = "# user_expressions: "
#: Characters: an id is 36 long, and a client may send any text.
_MAX_ID = 200


class Asked(NamedTuple):
    """The part of an ``execute_request`` that an audit keeps.

    Attributes:
        msg_id: Id of the message, as the client chose it.
        cell_id: The cell, as the client says; None if it does not.
        code: The code; None if the message holds no text there.
    """

    msg_id: str
    cell_id: str | None
    code: str | None


#: An execution whose header only the kernel may be able to read, for example since it is too deep.
_UNREADABLE = Asked("", None, None)


def asked_by(frame: str | bytes, *, v1: bool) -> Asked | None:
    """Return the code that a client's frame runs; None if it runs none.

    Args:
        frame: A frame that could be stamped, so its lengths are checked.
        v1: Whether its format is v1.
    """
    if not v1:
        return _asked_legacy(frame)
    assert isinstance(frame, bytes)  # noqa: S101 - stamping has refused any other
    _, _, header, parent, metadata, content, end = _V1.unpack_from(frame)
    head = frame[header:parent]
    if head.find(_EXECUTE) < 0 and _BACKSLASH not in head and _ZERO not in head:
        return None
    parsed = _read(head)
    if parsed is None:
        return _UNREADABLE
    if parsed.get("msg_type") != "execute_request":
        return None
    return asked(parsed, _load(frame[metadata:content]), _load(frame[content:end]))


def _asked_legacy(frame: str | bytes) -> Asked | None:
    message = _legacy(frame)
    header = _mapping(message.get("header"))
    if header.get("msg_type") != "execute_request":
        return None
    return asked(header, message.get("metadata"), message.get("content"))


def asked(header: Mapping[str, Any], metadata: object, content: object) -> Asked:
    """Return what the parts of an ``execute_request`` say."""
    about, code = _mapping(metadata), _mapping(content).get("code")
    # The kernel evaluates them after the code (Jupyter messaging, "Execute").
    expressions = _mapping(content).get("user_expressions")
    if isinstance(code, str) and isinstance(expressions, dict) and expressions:
        code = f"{code}\n{_EXPRESSIONS}{json.dumps(expressions, sort_keys=True)}"
    cell = next((about[name] for name in _CELL_IDS if isinstance(about.get(name), str)), None)
    return Asked(
        _text_of(header.get("msg_id")),
        None if cell is None else storable(cell[:_MAX_ID]),
        code if isinstance(code, str) else None,
    )


def is_forged(frame: str | bytes, *, v1: bool) -> bool:
    """Tell whether a client's frame has a stamp of its own, which stamping removes.

    Args:
        frame: A frame that could be stamped.
        v1: Whether its format is v1.
    """
    if not v1:
        raw = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else frame
        return may_spell_key(raw) and KEY in _mapping(_legacy(frame).get("metadata"))
    assert isinstance(frame, bytes)  # noqa: S101 - stamping has refused any other
    metadata = frame[slice(*_V1.unpack_from(frame)[4:6])]
    return may_spell_key(metadata) and KEY in _load(metadata)


def hash_of(code: str | None) -> str | None:
    """Return the SHA-256 of the code in UTF-8, in hexadecimal digits."""
    if code is None:
        return None
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def how_it_ended(message: Sequence[bytes] | str | bytes) -> tuple[str, str] | None:
    """Return the request's message id and the status of an ``execute_reply``; None for others.

    Args:
        message: A kernel's message: ZMQ frames, or one JSON text.
    """
    if isinstance(message, str | bytes):
        if (_REPLY if isinstance(message, bytes) else _REPLY.decode()) not in message:  # type: ignore[operator]
            return None
        whole = _load(message)
        header, parent = _mapping(whole.get("header")), _mapping(whole.get("parent_header"))
        content: object = whole.get("content")
    else:
        try:
            at = list(message).index(_DELIMITER) + 2
            head = bytes(message[at])
            if head.find(_REPLY) < 0:
                return None
            # As ipykernel writes it: no text inside JSON holds these quotes.
            header = _IS_REPLY if head.find(_PLAIN_REPLY) >= 0 else _load(head)
            parent = _load(bytes(message[at + 1]))
            content = _load(bytes(message[at + 3]))
        except (ValueError, IndexError):
            return None
    if header.get("msg_type") != "execute_reply":
        return None
    return _text_of(parent.get("msg_id")), status_of(content)


def status_of(content: object) -> str:
    """Return the status that a kernel's reply claims: ok, error, aborted or unknown."""
    status = _mapping(content).get("status")
    status = "aborted" if status == "abort" else status  # of kernels before protocol 5.1
    return str(status) if isinstance(status, str) and status in _STATUSES else "unknown"


def storable(text: str) -> str:
    """Return a text that every database can hold: without NUL, and without lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace("\0", "\ufffd")


def _text_of(value: object) -> str:
    """Return an id as text: a kernel runs code under an id that is no text, too."""
    text = value if isinstance(value, str) else json.dumps(value)
    return storable(text[:_MAX_ID])


def _legacy(frame: str | bytes) -> dict[str, Any]:
    if isinstance(frame, bytes):
        count = int.from_bytes(frame[:4], "big")
        offsets = struct.unpack_from(f"!{count}I", frame, 4)
        frame = frame[offsets[0] : offsets[1] if count > 1 else len(frame)]
    return _load(frame)


def _load(text: str | bytes) -> dict[str, Any]:
    return _read(text) or {}


def _read(text: str | bytes) -> dict[str, Any] | None:
    """Parse JSON as the kernel does, which replaces what is no UTF-8; None if that fails."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return _mapping(_decode(text))
    except (ValueError, RecursionError):
        return None


def _decode(text: str) -> object:
    """Parse JSON; faster where no space is around it, as clients and kernels write it."""
    if text[:1] == "{":
        value, end = _decoder.raw_decode(text)
        if end == len(text):
            return value
    return _decoder.decode(text)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
