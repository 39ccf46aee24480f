"""The stamp: the server's word on who sent a message, in the message's metadata.

Rules of this file:
- the client's own key never survives, whatever spelling JSON allows for it;
- stamping is strip-and-stamp: doing it twice gives the second stamp, never the first;
- metadata that is not a JSON object is refused, not repaired.

Messages and metadata: https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_session_user.core.session import Session, write_time
from jupyter_session_user.errors import RemoteProtocolError

__all__ = [
    "KEY",
    "SERVER_STAMP",
    "VERSION",
    "dump_json",
    "is_server_stamp",
    "load_json",
    "may_ask",
    "may_spell_key",
    "read_stamp",
    "session_stamp",
    "splice",
    "stamp_mapping",
    "unknown_reason",
    "unknown_stamp",
]

#: Metadata key, comm target and package name are one word, so that one search finds them all.
KEY = "jupyter_session_user"
VERSION = 1

_KEY_BYTES = KEY.encode()
_PREFIX = b'{"' + _KEY_BYTES + b'":'


def dump_json(value: object) -> bytes:
    """Return compact JSON, in ASCII, so that no reader can see another text than we wrote."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def load_json(text: str | bytes, what: str) -> Any:
    """Parse JSON of the other side.

    Args:
        text: JSON; bytes must be UTF-8 (``json.loads`` would guess UTF-16 and UTF-32 too, and
            a kernel in another language would then read something else).
        what: What is being read, for the error.

    Raises:
        RemoteProtocolError: It is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError):
        failure = RemoteProtocolError(f"{what}: not JSON")
    raise failure  # outside the except block: JSONDecodeError keeps the whole text


def session_stamp(session: Session) -> bytes:
    """Return the stamp that names ``session``, as JSON."""
    return dump_json(
        {
            "version": VERSION,
            "session_id": session.id,
            "user": session.user.to_wire(),
            "source": session.source,
            "verified": session.verified,
            "expires_at": write_time(session.expires_at),
            "expiry_source": session.expiry_source,
            "state": session.state,
            "revision": session.revision,
        }
    )


def unknown_stamp(reason: str, *, ask: bool = False) -> bytes:
    """Return the stamp of a message whose sender the server itself does not know.

    Args:
        reason: A sentence for a person.
        ask: Whether the server may know by the time the message is handled, and can be asked.
    """
    stamp: dict[str, Any] = {"version": VERSION, "unknown": reason}
    return dump_json({**stamp, "ask": True} if ask else stamp)


#: On the bridge's own messages; no client can produce it, since its key is always replaced.
SERVER_STAMP = dump_json({"version": VERSION, "server": True})


def may_spell_key(text: bytes) -> bool:
    """Tell whether JSON bytes could hold our key, for some reader, in some spelling.

    A backslash can hide any letter. A zero byte stands for UTF-16 or UTF-32, for a reader
    that guesses the encoding.
    """
    return _KEY_BYTES in text or b"\\" in text or b"\0" in text


def splice(metadata: bytes, stamp: bytes) -> bytes:
    """Return ``metadata`` with ``stamp`` as its only value of our key.

    Most metadata cannot hold our key, and is not parsed: the stamp goes in front.

    Args:
        metadata: A JSON object, UTF-8, as it stands on the wire.
        stamp: A JSON object, as made by this file.

    Raises:
        RemoteProtocolError: ``metadata`` is not a JSON object.
    """
    if may_spell_key(metadata):
        return _rebuilt(load_json(metadata, "metadata"), stamp)
    if metadata == b"{}":
        return _PREFIX + stamp + b"}"
    body = metadata.strip(b" \t\r\n")
    if not (body.startswith(b"{") and body.endswith(b"}")):
        raise RemoteProtocolError("metadata: not an object")
    rest = body[1:].lstrip(b" \t\r\n")
    return _PREFIX + stamp + (rest if rest == b"}" else b"," + rest)


def _rebuilt(metadata: object, stamp: bytes) -> bytes:
    try:
        return dump_json(stamp_mapping(metadata, stamp))
    except RecursionError:  # a writer's limit may lie below the reader's
        raise RemoteProtocolError("metadata: nested too deeply") from None


def stamp_mapping(metadata: object, stamp: bytes) -> dict[str, Any]:
    """Return a copy of the parsed ``metadata`` that holds ``stamp`` under our key.

    Raises:
        RemoteProtocolError: ``metadata`` is not an object.
    """
    if not isinstance(metadata, dict):
        raise RemoteProtocolError("metadata: not an object")
    return {**metadata, KEY: json.loads(stamp)}


def read_stamp(stamp: object) -> Session:
    """Return the session that a stamp names.

    Raises:
        RemoteProtocolError: It names none, or is of a version that this code does not know.
    """
    if not isinstance(stamp, dict) or stamp.get("version") != VERSION:
        raise RemoteProtocolError("stamp: not an object of version 1")
    return Session.from_wire(stamp)


def unknown_reason(stamp: object) -> str | None:
    """Return why the server could not tell who sent the message; None if it could."""
    reason = stamp.get("unknown") if isinstance(stamp, dict) else None
    return reason if isinstance(reason, str) else None


def may_ask(stamp: object) -> bool:
    """Tell whether the server can be asked who it is, where the stamp does not say."""
    return isinstance(stamp, dict) and stamp.get("ask") is True


def is_server_stamp(stamp: object) -> bool:
    """Tell whether the stamp is that of the server's own bridge."""
    return isinstance(stamp, dict) and stamp.get("server") is True
