"""The life of a login: which states there are, what leads from one to the next, and when.

States:

``active``    the login is good.
``expiring``  its end is near, or an estimated end has passed: a warning, nothing else.
``expired``   the time is over, or the authority no longer accepts it.
``revoked``   somebody ended it on purpose.
``ended``     the person signed out.

Time is measured twice, by the wall clock and by one that nobody can set; what either says is
over, is over. So a clock that is set back prolongs nothing. Idle and absolute timeouts:
https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from jupyter_session_user.core.session import OVER

__all__ = [
    "EVENTS",
    "TABLE",
    "Expiry",
    "Limits",
    "Moment",
    "Standing",
    "begin",
    "diagram",
    "elapsed",
    "end_of",
    "learn",
    "move",
    "touch",
    "trigger_at",
]

#: ``(state, trigger) -> state``; what is not here cannot happen.
TABLE = {
    ("active", "near"): "expiring",
    ("active", "over"): "expired",
    ("active", "revoke"): "revoked",
    ("active", "sign_out"): "ended",
    ("expiring", "over"): "expired",
    ("expiring", "renew"): "active",
    ("expiring", "revoke"): "revoked",
    ("expiring", "sign_out"): "ended",
    ("expired", "renew"): "active",
    ("expired", "revoke"): "revoked",
    ("expired", "sign_out"): "ended",
    # A proxy's header tells no login from the next one: opening a page begins anew.
    ("expired", "come_back"): "active",
    ("revoked", "come_back"): "active",
    ("ended", "come_back"): "active",
}

#: What the world is told when a trigger has changed a state.
EVENTS = {
    "near": "expiring",
    "over": "expired",
    "renew": "renewed",
    "revoke": "revoked",
    "sign_out": "ended",
    "come_back": "started",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment, on two clocks.

    Attributes:
        wall: Seconds since the epoch, UTC; somebody may set that clock.
        monotonic: Seconds since some start; runs forward only, and may stand still while the
            machine sleeps.
    """

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Expiry:
    """When somebody says that a login ends.

    Attributes:
        at: Seconds since the epoch, UTC.
        source: Who says so. ``estimated`` is a guess, and ends nothing by itself.
    """

    at: float
    source: str

    @property
    def exact(self) -> bool:
        """Whether the login is over when this time has come."""
        return self.source != "estimated"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the administrator set.

    Attributes:
        warning: How long before its end a login counts as expiring, in seconds.
        idle: How long a login lasts without anything being done, in seconds.
        absolute: How long a login lasts whatever is done, in seconds.
    """

    warning: float = 300.0
    idle: float = math.inf
    absolute: float = math.inf


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one login.

    Attributes:
        since: When it was first seen.
        active_at: When the person last did something.
        state: One of the states above.
        expiry: What is known of its end.
        deadline: That end on the monotonic clock, as it was when it became known.
    """

    since: Moment
    active_at: Moment
    state: str = "active"
    expiry: Expiry | None = None
    deadline: float = math.inf

    @property
    def over(self) -> bool:
        """Whether nothing may be done in its name any more."""
        return self.state in OVER


def begin(now: Moment) -> Standing:
    """Return the standing of a login that is seen for the first time."""
    return Standing(since=now, active_at=now)


def elapsed(since: Moment, now: Moment) -> float:
    """Return the seconds that have passed, by the clock that says more."""
    return max(now.wall - since.wall, now.monotonic - since.monotonic)


def learn(standing: Standing, expiry: Expiry | None, now: Moment) -> Standing:
    """Return the standing with what a request has said about its end.

    The same end told again moves nothing, so that a clock set back gives no new deadline.
    """
    known = standing.expiry
    if expiry is None or expiry == known:
        return standing
    if known is not None and known.exact and not expiry.exact:
        return standing  # a guess does not undo what somebody said
    return replace(standing, expiry=expiry, deadline=now.monotonic + expiry.at - now.wall)


def touch(standing: Standing, now: Moment) -> Standing:
    """Return the standing after the person has done something."""
    return replace(standing, active_at=now)


def end_of(standing: Standing, limits: Limits) -> Expiry | None:
    """Return the end that a person should know of; None where there is none.

    The idle timeout counts only when it is near: it moves with everything that is done.
    """
    ends = [standing.expiry] if standing.expiry else []
    if limits.idle < math.inf and standing.state != "active":
        ends.append(Expiry(standing.active_at.wall + limits.idle, "idle"))
    if limits.absolute < math.inf:
        ends.append(Expiry(standing.since.wall + limits.absolute, "absolute"))
    return min(ends, key=lambda end: end.at, default=None)


def trigger_at(standing: Standing, limits: Limits, now: Moment) -> str | None:
    """Return what the time alone does to a login now: ``near``, ``over``, ``renew`` or None."""
    if standing.over:
        return None
    ends = _ends(standing, limits, now)
    if any(final and left <= 0 for left, _, final in ends):
        return "over"
    near = any(left <= warning for left, warning, _ in ends)
    if near == (standing.state == "expiring"):
        return None
    return "near" if near else "renew"


def _ends(standing: Standing, limits: Limits, now: Moment) -> tuple[tuple[float, float, bool], ...]:
    """Return for each end: seconds left, when to warn, and whether it is final.

    A timeout that is shorter than the warning would otherwise be near all the time.
    """
    exact = standing.expiry is not None and standing.expiry.exact
    idle, absolute = limits.idle, limits.absolute
    return (
        (_until(standing, now), limits.warning, exact),
        (idle - elapsed(standing.active_at, now), min(limits.warning, idle / 2), True),
        (absolute - elapsed(standing.since, now), min(limits.warning, absolute / 2), True),
    )


def _until(standing: Standing, now: Moment) -> float:
    """Return the seconds until the end that somebody told or guessed, by the stricter clock."""
    if standing.expiry is None:
        return math.inf
    return min(standing.expiry.at - now.wall, standing.deadline - now.monotonic)


def move(standing: Standing, trigger: str) -> Standing:
    """Return the standing after ``trigger``; the same one where the table has no such move."""
    state = TABLE.get((standing.state, trigger))
    return standing if state is None else replace(standing, state=state)


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    moves = [f"    {state} --> {to}: {trigger}" for (state, trigger), to in TABLE.items()]
    return "\n".join(("stateDiagram-v2", "    [*] --> active: log_in", *moves))
