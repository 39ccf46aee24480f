"""The time at which Tornado signed a cookie, and how it ends and distinguishes a user's logins.

The value is ``2|<length>:<key version>|<length>:<timestamp>|<length>:<name>|…``: its length
precedes each field. https://www.tornadoweb.org/en/stable/web.html#tornado.web.create_signed_value
"""

from __future__ import annotations

__all__ = [
    "MOST_LOGINS_IN_A_SECOND",
    "ended_until",
    "seconds_missing",
    "signed_at",
    "times_to_sign",
]

_MAX_DIGITS = 12

#: A signed cookie holds its time in whole seconds. Logins of one user in the same second get later
#: times to distinguish them, up to this many seconds.
MOST_LOGINS_IN_A_SECOND = 100

#: Tornado refuses a signed value with a time 31 days in the future.
_MOST_AHEAD_S = 30 * 86_400


def signed_at(value: str) -> int | None:
    """Return the time in a signed value, in seconds since the epoch; None for other values.

    Args:
        value: The cookie's value. The caller has already verified the signature.
    """
    version, _, rest = value.partition("|")
    if version != "2":
        return None
    _, _, rest = rest.partition("|")  # the version of the key
    length, _, rest = rest.partition(":")
    timestamp = rest.partition("|")[0]
    digits = length + timestamp
    if not (digits.isascii() and length.isdigit() and timestamp.isdigit()):
        return None
    if len(timestamp) > _MAX_DIGITS or len(length) > _MAX_DIGITS:
        return None
    return int(timestamp) if int(length) == len(timestamp) else None


def ended_until(now: int, before: int, ahead: int) -> int:
    """Return until when a user's cookies were signed if all the logins end now.

    Args:
        now: The time.
        before: The result of the last time.
        ahead: The latest time in a cookie that was signed with a later time.
    """
    if before >= now:  # the clock was set back, and later cookies carry later times
        before += MOST_LOGINS_IN_A_SECOND
    return max(now, before, ahead)


def seconds_missing(ended: int, issued_at: int | None) -> int:
    """Return how many seconds too early a cookie was signed to be valid; 0 if it is valid.

    Args:
        ended: :func:`ended_until` of its user.
        issued_at: When the cookie was signed; None if unknown.
    """
    return 0 if issued_at is None else max(0, ended + 1 - issued_at)


def times_to_sign(missing: int) -> range:
    """Return the delays with which to sign a cookie, until it differs from all others.

    Args:
        missing: :func:`seconds_missing` of a cookie that is signed with the present time.
    """
    first = min(missing, _MOST_AHEAD_S)
    return range(first, first + MOST_LOGINS_IN_A_SECOND)
