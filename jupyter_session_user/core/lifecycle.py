"""The life cycle of a login: its states, and the triggers that change them.

States:

``active``      the login is valid.
``expiring``    the login ends soon, or an estimated end has passed: only a warning.
``expired``     the login timed out, or the authority no longer accepts it.
``revoked``     an administrator or the user revoked the login.
``signed_out``  the user signed out.

Two clocks measure time: the wall clock, and a monotonic clock that cannot be set. A login ends as
soon as either clock says so, so setting a clock back prolongs nothing. Idle and absolute timeouts:
https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from jupyter_session_user.core.clocks import deadline_of, seconds_until
from jupyter_session_user.core.session import OVER

__all__ = [
    "EVENTS",
    "TABLE",
    "Expiry",
    "Limits",
    "LoginStatus",
    "Moment",
    "begin",
    "can_renew",
    "diagram",
    "elapsed",
    "end_of",
    "is_timed",
    "learn",
    "move",
    "stays_over",
    "timed_out",
    "touch",
    "trigger_at",
]

#: ``(state, trigger) -> state``; all other combinations have no effect.
TABLE = {
    ("active", "near"): "expiring",
    ("active", "over"): "expired",
    ("active", "revoke"): "revoked",
    ("active", "sign_out"): "signed_out",
    ("expiring", "over"): "expired",
    ("expiring", "renew"): "active",
    ("expiring", "revoke"): "revoked",
    ("expiring", "sign_out"): "signed_out",
    ("expired", "renew"): "active",
    ("expired", "revoke"): "revoked",
    ("expired", "sign_out"): "signed_out",
    # A proxy's header does not distinguish two logins: opening a page starts a new login.
    ("expired", "come_back"): "active",
    ("revoked", "come_back"): "active",
    ("signed_out", "come_back"): "active",
}

#: The event that listeners get after a trigger has changed a state.
EVENTS = {
    "near": "expiring",
    "over": "expired",
    "renew": "renewed",
    "revoke": "revoked",
    "sign_out": "signed_out",
    "come_back": "started",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment, on two clocks.

    Attributes:
        wall: Seconds since the epoch, UTC; this clock can be set.
        monotonic: Seconds since an arbitrary start; only moves forward, and may stop while the
            machine sleeps.
    """

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Expiry:
    """The end of a login, according to one source.

    Attributes:
        at: Seconds since the epoch, UTC.
        source: Where the time comes from. ``estimated`` is a guess, and never ends a login.
    """

    at: float
    source: str

    @property
    def exact(self) -> bool:
        """Whether the login ends at this time."""
        return self.source != "estimated"


@dataclass(frozen=True, slots=True)
class Limits:
    """The administrator's timeouts.

    Attributes:
        warning: Time before its end at which a login becomes ``expiring``, in seconds.
        idle: Maximum time without user activity, in seconds.
        absolute: Maximum lifetime of a login, in seconds.
        block: How long to refuse a revoked login that has no credential of its own, in seconds. The
            user's next login would look the same.
    """

    warning: float = 300.0
    idle: float = math.inf
    absolute: float = math.inf
    block: float = 600.0


@dataclass(frozen=True, slots=True)
class LoginStatus:
    """The state of one login.

    Attributes:
        since: Time of the first request.
        active_at: Time of the last user activity.
        state: One of the states above.
        expiry: The known end of the login, if any.
        deadline: That end on the monotonic clock, computed when it became known.
    """

    since: Moment
    active_at: Moment
    state: str = "active"
    expiry: Expiry | None = None
    deadline: float = math.inf

    @property
    def over(self) -> bool:
        """Whether the login has ended."""
        return self.state in OVER


def begin(now: Moment) -> LoginStatus:
    """Return the initial state of a new login."""
    return LoginStatus(since=now, active_at=now)


def elapsed(since: Moment, now: Moment) -> float:
    """Return the elapsed seconds, by the clock that shows more."""
    return max(now.wall - since.wall, now.monotonic - since.monotonic)


def learn(status: LoginStatus, expiry: Expiry | None, now: Moment) -> LoginStatus:
    """Return the login's state after a request stated its end.

    Repeating the same end changes nothing, so a clock that was set back gives no new deadline.
    """
    known = status.expiry
    if expiry is None or expiry == known:
        return status
    if known is not None and known.exact and not expiry.exact:
        return status  # an estimate does not replace an exact end
    return replace(status, expiry=expiry, deadline=deadline_of(expiry.at, now.wall, now.monotonic))


def touch(status: LoginStatus, now: Moment) -> LoginStatus:
    """Return the login's state after user activity."""
    return replace(status, active_at=now)


def end_of(status: LoginStatus, limits: Limits) -> Expiry | None:
    """Return the end to show to the user; None if there is none.

    The idle timeout counts only when it is near: any user activity moves it.
    """
    ends = [status.expiry] if status.expiry else []
    if limits.idle < math.inf and status.state != "active":
        ends.append(Expiry(status.active_at.wall + limits.idle, "idle"))
    if limits.absolute < math.inf:
        ends.append(Expiry(status.since.wall + limits.absolute, "absolute"))
    return min(ends, key=lambda end: end.at, default=None)


def trigger_at(status: LoginStatus, limits: Limits, now: Moment) -> str | None:
    """Return the trigger that is due by time alone: ``near``, ``over``, ``renew`` or None."""
    if status.over:
        return None
    ends = _ends(status, limits, now)
    if any(final and left <= 0 for left, _, final in ends):
        return "over"
    near = any(left <= warning for left, warning, _ in ends)
    if near == (status.state == "expiring"):
        return None
    return "near" if near else "renew"


def next_change(status: LoginStatus, limits: Limits, now: Moment) -> float:
    """Return the seconds until time alone may change the state; infinite if it never does.

    User activity may move the change to a later time, and a clock that is set may move it.
    """
    if status.over:
        return math.inf
    nearing = status.state != "expiring"
    changes = [
        left - warning if nearing and left > warning else left if final else math.inf
        for left, warning, final in _ends(status, limits, now)
    ]
    return max(0.0, min(changes))


def timed_out(status: LoginStatus, limits: Limits, now: Moment) -> bool:
    """Tell whether one of our timeouts has ended a login: no authority can undo that."""
    return trigger_at(replace(status, expiry=None, state="active"), limits, now) == "over"


def can_renew(
    status: LoginStatus, limits: Limits, now: Moment, expiry: Expiry | None = None
) -> bool:
    """Tell whether an expired login would be valid if the authority accepts it now.

    Args:
        status: The login.
        limits: Its timeouts.
        now: The time.
        expiry: The end that the request states, if any.
    """
    renewed = learn(move(status, "renew"), expiry, now)
    return trigger_at(renewed, limits, now) != "over"


def stays_over(
    status: LoginStatus, limits: Limits, now: Moment, expiry: Expiry | None, *, distinct: bool
) -> bool:
    """Tell whether a login has ended, and a request that the authority accepts cannot renew it.

    Args:
        status: The login.
        limits: Its timeouts.
        now: The time.
        expiry: The end that the request states, if any.
        distinct: Whether the login differs from the user's next one.
    """
    if status.state == "expired":
        return not can_renew(status, limits, now, expiry)
    return distinct and status.over


def is_timed(status: LoginStatus, limits: Limits) -> bool:
    """Tell whether a login can end by time alone."""
    exact = status.expiry is not None and status.expiry.exact
    return exact or min(limits.idle, limits.absolute) < math.inf


def _ends(
    status: LoginStatus, limits: Limits, now: Moment
) -> tuple[tuple[float, float, bool], ...]:
    """Return for each end: seconds left, when to warn, and whether it is final.

    The warning is capped at half of a timeout: a shorter timeout would always be near.
    """
    stated, exact = math.inf, False
    if status.expiry is not None:  # by the stricter clock
        stated = seconds_until(status.expiry.at, status.deadline, now.wall, now.monotonic)
        exact = status.expiry.exact
    idle, absolute = limits.idle, limits.absolute
    return (
        (stated, limits.warning, exact),
        (idle - elapsed(status.active_at, now), min(limits.warning, idle / 2), True),
        (absolute - elapsed(status.since, now), min(limits.warning, absolute / 2), True),
    )


def move(status: LoginStatus, trigger: str) -> LoginStatus:
    """Return the login's state after ``trigger``; unchanged if the table has no such step."""
    state = TABLE.get((status.state, trigger))
    return status if state is None else replace(status, state=state)


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    moves = [f"    {state} --> {to}: {trigger}" for (state, trigger), to in TABLE.items()]
    return "\n".join(("stateDiagram-v2", "    [*] --> active: log_in", *moves))
