"""How an identity provider names a user and a session, and which logins it has ended.

A *subject* is what a login shows: the issuer (``iss``), the user there (``sub``), and the session
there (``sid``), if it is known. The same ``sub`` or ``sid`` of another issuer is another subject.
Only hashes are kept.

A token of the issuer ends these logins:

- with ``sub`` alone: all logins of that user that began until then;
- with ``sid`` alone: the logins of that session;
- with both: the logins of that session, if they are that user's. Also that user's logins with an
  unknown ``sid`` that began until then: each of them may be that session.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from jupyter_session_user.core.digest import digest

__all__ = ["STATES", "Subject", "Target", "at", "how_it_ended", "subject_of", "target_names"]

#: How a provider ends logins; the first counts most.
STATES = ("revoked", "signed_out")


class Subject(NamedTuple):
    """The names under which a provider may end one login.

    Attributes:
        sessions: Hashes that stand for its session at the provider; empty if that is unknown.
        users: Hashes that stand for its user.
        since: When it began, in seconds since the epoch; None if unknown.
    """

    sessions: tuple[str, ...]
    users: tuple[str, ...]
    since: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All names of entries in the list of ended logins that can end it."""
        return (*self.sessions, *(at(user, state) for user in self.users for state in STATES))


class Target(NamedTuple):
    """What a token of the provider ends.

    Attributes:
        issuer: The provider.
        sub: Id of the user there; empty if only a session is named.
        sid: Id of the session there; empty for all sessions of the user.
    """

    issuer: str
    sub: str = ""
    sid: str = ""


def subject_of(issuer: str, sub: str, sid: str = "", since: float | None = None) -> Subject:
    """Return the subject of a login.

    Args:
        issuer: The provider.
        sub: Id of the user there.
        sid: Id of the session there; empty if unknown.
        since: When the login began, in seconds since the epoch; None if unknown.
    """
    any_session = digest("provider-user", issuer, sub)
    if sid:
        return Subject(
            (_session(issuer, sid), _session_of(issuer, sub, sid)), (any_session,), since
        )
    return Subject((), (any_session, _unknown_session(issuer, sub)), since)


def target_names(target: Target) -> Subject:
    """Return the names that a token ends: sessions for good, and users until a time."""
    issuer, sub, sid = target
    if not sid:
        return Subject((), (digest("provider-user", issuer, sub),))
    if not sub:
        return Subject((_session(issuer, sid),), ())
    return Subject((_session_of(issuer, sub, sid),), (_unknown_session(issuer, sub),))


def at(user: str, state: str) -> str:
    """Return the name of the time until which a user's logins ended in this way."""
    return f"{user} {state}"


def how_it_ended(
    subject: Subject,
    began: float | None,
    state_of: Callable[[str], str | None],
    ended_until: Callable[[str], int],
) -> str | None:
    """Return how the provider ended a login; None if it did not.

    Args:
        subject: What the login shows.
        began: When this server first saw the login, in seconds since the epoch; None if it is new.
        state_of: Returns how a session ended.
        ended_until: Returns until when the logins under a name ended, in whole seconds.
    """
    for session in subject.sessions:
        state = state_of(session)
        if state is not None:
            return state
    times = [math.floor(time) for time in (subject.since, began) if time is not None]
    if not times:
        return None
    for state in STATES:
        if any(min(times) <= ended_until(at(user, state)) for user in subject.users):
            return state
    return None


def _session(issuer: str, sid: str) -> str:
    return digest("provider-session", issuer, sid)


def _session_of(issuer: str, sub: str, sid: str) -> str:
    return digest("provider-session-of", issuer, sub, sid)


def _unknown_session(issuer: str, sub: str) -> str:
    return digest("provider-user-unknown-session", issuer, sub)
