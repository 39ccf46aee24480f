"""The stamp: the server's statement about a message's sender, in the message's metadata.

Rules of this file:
- the client's own value of our key is always removed, in every spelling that JSON allows;
- stamping replaces: stamping twice gives the second stamp, never the first;
- metadata that is not a JSON object is refused, not repaired: a kernel ignores such a message.

Messages and metadata: https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_session_user.core.session import Session, write_time
from jupyter_session_user.errors import IgnoredMessage, RemoteProtocolError

__all__ = [
    "KEY",
    "PREFIX",
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

#: Metadata key, comm target and package name are the same, so that one search finds them all.
KEY = "jupyter_session_user"
VERSION = 1


_KEY_BYTES = KEY.encode()
# Integers: searching for them is five times as fast as for bytes. The last one is the key's letter
# that most texts do not have.
_BACKSLASH, _ZERO, _RARE = b"\\\0j"
#: What precedes the stamp in metadata that begins with it.
PREFIX = b'{"' + _KEY_BYTES + b'":'


def dump_json(value: object) -> bytes:
    """Return compact JSON in ASCII, so that every reader decodes the same text."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def load_json(text: str | bytes, what: str) -> Any:
    """Parse JSON from the other side.

    Args:
        text: JSON; bytes must be UTF-8. (``json.loads`` would also guess UTF-16 and UTF-32, and a
            kernel in another language would then read something else.)
        what: Name of the part, for the error message.

    Raises:
        RemoteProtocolError: The text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError):
        failure = RemoteProtocolError(f"{what}: not JSON")
    raise failure  # outside the except block: JSONDecodeError keeps the whole text


def session_stamp(session: Session) -> bytes:
    """Return the stamp that names ``session``, as JSON."""
    # Only what is so: each message carries it.
    degraded = {"degraded": True} if session.degraded else {}
    owner = {} if session.kernel_owner is None else {"kernel_owner": session.kernel_owner}
    owns = {"owns_kernel": True} if session.owns_kernel else {}
    actor = {} if session.actor is None else {"actor": session.actor.to_wire()}
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
            "principal": session.principal,
            **degraded,
            **owner,
            **owns,
            **actor,
        }
    )


def unknown_stamp(reason: str, *, ask: bool = False) -> bytes:
    """Return the stamp of a message with a sender that the server does not know.

    Args:
        reason: The reason, a sentence for the user.
        ask: Whether the kernel can ask the server again while it handles the message.
    """
    stamp: dict[str, Any] = {"version": VERSION, "unknown": reason}
    return dump_json({**stamp, "ask": True} if ask else stamp)


#: Marks the bridge's own messages. Clients cannot send it, since the server replaces our key.
SERVER_STAMP = dump_json({"version": VERSION, "server": True})


def may_spell_key(text: bytes) -> bool:
    """Tell whether JSON bytes could hold our key in any spelling, for any reader.

    A backslash can hide any letter. A zero byte indicates UTF-16 or UTF-32, for a reader that
    guesses the encoding.
    """
    plain = _BACKSLASH not in text and _ZERO not in text
    return not plain or (_RARE in text and text.find(_KEY_BYTES) >= 0)


def splice(metadata: bytes, stamp: bytes) -> bytes:
    """Return ``metadata`` with ``stamp`` as its only value of our key.

    Most metadata cannot hold our key. It is not parsed: the stamp goes in front.

    Args:
        metadata: A JSON object, UTF-8, as received.
        stamp: A JSON object made by this file.

    Raises:
        RemoteProtocolError: ``metadata`` is not JSON.
        IgnoredMessage: ``metadata`` is not an object.
    """
    if not may_spell_key(metadata):
        return _prepend(metadata, stamp)
    try:
        return dump_json(stamp_mapping(load_json(metadata, "metadata"), stamp))
    except RecursionError:  # the encoder's limit may be below the decoder's
        raise RemoteProtocolError("metadata: nested too deeply") from None


def _prepend(metadata: bytes, stamp: bytes) -> bytes:
    """Return ``metadata``, which cannot hold our key, with ``stamp`` in front.

    Raises:
        IgnoredMessage: ``metadata`` is not an object.
    """
    body = metadata.strip(b" \t\r\n")
    if not (body.startswith(b"{") and body.endswith(b"}")):
        raise IgnoredMessage("metadata: not an object")
    rest = body[1:].lstrip(b" \t\r\n")
    return PREFIX + stamp + (rest if rest == b"}" else b"," + rest)


def stamp_mapping(metadata: object, stamp: bytes) -> dict[str, Any]:
    """Return a copy of the parsed ``metadata`` that holds ``stamp`` under our key.

    Raises:
        IgnoredMessage: ``metadata`` is not an object.
    """
    if not isinstance(metadata, dict):
        raise IgnoredMessage("metadata: not an object")
    return {**metadata, KEY: json.loads(stamp)}


def read_stamp(stamp: object) -> Session:
    """Return the session that a stamp names.

    Args:
        stamp: The parsed stamp.

    Raises:
        RemoteProtocolError: The stamp names none, or has an unknown version.
    """
    if not isinstance(stamp, dict) or stamp.get("version") != VERSION:
        raise RemoteProtocolError("stamp: not an object of version 1")
    return Session.from_wire(stamp)


def unknown_reason(stamp: object) -> str | None:
    """Return why the server does not know the sender; None if it does."""
    reason = stamp.get("unknown") if isinstance(stamp, dict) else None
    return reason if isinstance(reason, str) else None


def may_ask(stamp: object) -> bool:
    """Tell whether the kernel can ask the server for the user that the stamp lacks."""
    return isinstance(stamp, dict) and stamp.get("ask") is True


def is_server_stamp(stamp: object) -> bool:
    """Tell whether the server's own bridge sent the message."""
    return isinstance(stamp, dict) and stamp.get("server") is True
