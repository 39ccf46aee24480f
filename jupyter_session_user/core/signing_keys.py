"""When each key of a rotation signs, and how long verifiers can find it.

A rotation only adds a key with the time of its making. All else follows from these times, so that
several servers with the same file agree without a message: a new key is published before it signs,
since verifiers keep a copy of the keys for some minutes, and an old key is published until the last
token that it signed has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jupyter_session_user.core.bearer import MAX_LIFETIME_S

__all__ = ["AHEAD_S", "CACHE_S", "KEEP_S", "Made", "published", "signing"]

#: How long verifiers may keep a copy of the public keys, in seconds.
CACHE_S = 300
#: How long a new key is published before it signs: two lives of a copy, in seconds.
AHEAD_S = 2 * CACHE_S
#: How long a key is published after its last token was signed, in seconds. The surplus is for
#: verifiers whose clocks are slow.
KEEP_S = MAX_LIFETIME_S + 60


class Made(NamedTuple):
    """A key of the rotation.

    Attributes:
        kid: Its name: its RFC 7638 thumbprint.
        at: When it was made, in seconds since the epoch.
    """

    kid: str
    at: int


def signing(keys: Iterable[Made], now: float) -> str:
    """Return the key that signs now: the newest that verifiers know, else the oldest.

    Args:
        keys: At least one key.
        now: The time, in seconds since the epoch.
    """
    ordered = _in_order(keys)
    known = [key for key in ordered if key.at + AHEAD_S <= now]
    return (known[-1] if known else ordered[0]).kid


def published(keys: Iterable[Made], now: float) -> list[str]:
    """Return the keys that verifiers should know, oldest first.

    Args:
        keys: The keys.
        now: The time, in seconds since the epoch.
    """
    ordered = _in_order(keys)
    after = [*ordered[1:], None]
    return [
        key.kid
        for key, successor in zip(ordered, after, strict=True)
        if successor is None or now < successor.at + AHEAD_S + KEEP_S
    ]


def _in_order(keys: Iterable[Made]) -> list[Made]:
    return sorted(keys, key=lambda key: (key.at, key.kid))
