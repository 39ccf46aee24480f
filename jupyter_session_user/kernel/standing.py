"""What is known last of each session: its state, and how much of its time is left.

Stamps, answers and news come here. Whoever holds a session object, in a cell that began hours
ago, looks here whether it still holds. Time is measured by two clocks, and the earlier end
counts: the wall clock may be set back, and the other one may sleep with the machine.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from jupyter_session_user.core.session import MOVING, OVER, Session
from jupyter_session_user.errors import SessionExpired, SessionRevoked

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Place", "Standing", "Standings", "refusal", "standings"]

#: A shared kernel sees as many sessions as people have logins. Older ones are forgotten, once
#: no code holds them any more.
MAX_SESSIONS = 1000

#: How long the hot path goes by one clock alone, in seconds.
ONE_CLOCK_S = 1.0

_NEVER = float("inf")
_TEXTS = {
    "expired": "This login has expired.",
    "revoked": "This login was revoked.",
    "ended": "The person of this login has signed out.",
}


class Standing:
    """What is known of one session since the last news; new ones make a new standing.

    Attributes:
        session: The session as it came last.
        revision: Its revision.
        expires_at: When it ends, as far as known.
        expiry_source: Who says so.
        degraded: Whether the authority could not be asked.
        check_at: From when on, by ``time.monotonic``, somebody has to look whether it is over;
            None for never. It makes the answer cheap for code that asks all the time.
    """

    __slots__ = (
        "_exact",
        "_state",
        "_until",
        "_wall",
        "check_at",
        "degraded",
        "expires_at",
        "expiry_source",
        "revision",
        "session",
    )

    def __init__(self, session: Session, before: Standing | None = None) -> None:
        self.session = session
        self.revision = session.revision
        self.expiry_source: str = _own(session, "expiry_source")
        self.degraded: bool = _own(session, "degraded")
        self.expires_at: datetime | None = _own(session, "expires_at")
        self._take_end(before)
        self._state: str = _own(session, "state")
        self.check_at = self._next_check()

    # A standing is never changed: a thread that has just found that it is not over, and puts
    # off the next check, must not put off what another thread learns at that moment.

    @property
    def state(self) -> str:
        """One of the states, now."""
        return "expired" if self._state not in OVER and self.is_over() else self._state

    @property
    def seconds_left(self) -> float | None:
        """How much time is left, in seconds; None where nobody knows."""
        if self._state in OVER:
            return 0.0
        if self.expires_at is None:
            return None
        return max(0.0, min(self._until - time.monotonic(), self._wall - time.time()))

    def is_over(self) -> bool:
        """Tell whether nothing is to be done for this session any more."""
        if self._state in OVER:
            return True
        if not self._exact or (time.monotonic() < self._until and time.time() < self._wall):
            self.check_at = self._next_check()
            return False
        return True

    def refuse_over(self) -> None:
        """Do nothing for a session that is not over.

        Raises:
            SessionExpired: It is over; SessionRevoked where it did not just run out.
        """
        if self.is_over():
            raise refusal(self.state)

    def _take_end(self, before: Standing | None) -> None:
        self._exact = self.expires_at is not None and self.expiry_source not in MOVING
        self._until = self._wall = _NEVER
        if self.expires_at is not None:
            self._wall = self.expires_at.timestamp()
            self._until = time.monotonic() + self._wall - time.time()
        if before is not None and before.expires_at == self.expires_at:
            # The same end, read again after the wall clock was set back, is no later.
            self._until = min(self._until, before._until)  # noqa: SLF001 - one of us

    def _next_check(self) -> float | None:
        if self._state in OVER:
            return -_NEVER
        return min(self._until, time.monotonic() + ONE_CLOCK_S) if self._exact else None


def _own(session: Session, name: str) -> Any:
    """Return a field as this object came with it; that of a live session reads from here."""
    return getattr(Session, name).__get__(session)


class Place:
    """Where the standing of one session is; all objects of that session share it.

    Attributes:
        standing: The latest; replaced as a whole, so that readers see all of it or nothing.
    """

    __slots__ = ("__weakref__", "standing")

    def __init__(self, standing: Standing) -> None:
        self.standing = standing


class Standings:
    """The standings of the sessions on this kernel."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Place] = WeakValueDictionary()
        self._recent: dict[str, Place] = {}
        # Reentrant: a signal handler may ask who it is while this very thread is in here.
        self._lock = threading.RLock()

    def of(self, session: Session) -> Standing:
        """Return what is known last of a session; what it says itself counts as well."""
        return self.place(session).standing

    def place(self, session: Session) -> Place:
        """Return where that is, and will be."""
        place = self._known.get(session.id)
        if place is not None and not _counts(session, place.standing, told=False):
            return place
        return self._take(session)

    def of_person(self, username: str) -> list[Standing]:
        """Return the standings of all sessions of one username."""
        with self._lock:
            known = [place.standing for place in self._recent.values()]
        return [standing for standing in known if standing.session.user.username == username]

    def is_known(self, session: Session) -> bool:
        """Tell whether anything is known of a session."""
        return session.id in self._known

    def learn(self, session: Session, *, told: bool = False) -> bool:
        """Take what a session object says, and tell whether that was news.

        Args:
            session: The session; the highest revision counts.
            told: Whether the server said so just now. A stamp of the same revision may be
                older, and says less.
        """
        place = self._known.get(session.id)
        if place is not None and not _counts(session, place.standing, told=told):
            return False
        self._take(session)
        return True

    def _take(self, session: Session) -> Place:
        with self._lock:
            place = self._known.get(session.id)
            if place is None:
                place = self._known[session.id] = Place(Standing(session))
            elif (
                session.revision >= place.standing.revision
            ):  # which may be newer than a moment ago
                place.standing = Standing(session, place.standing)
            self._recent.pop(session.id, None)
            self._recent[session.id] = place
            while len(self._recent) > MAX_SESSIONS:
                del self._recent[next(iter(self._recent))]
            return place


def _counts(session: Session, known: Standing, *, told: bool) -> bool:
    return session.revision > known.revision or (told and session.revision == known.revision)


#: There is one kernel in a process, hence one collection.
standings = Standings()


def refusal(state: str) -> SessionExpired:
    """Return the error for a session that is over, with what to do."""
    kind = SessionExpired if state == "expired" else SessionRevoked
    return kind(
        f"{_TEXTS[state]} Sign in again, then run the cell again. Code that must go on can pass "
        "allow_expired=True.",
        state=state,
    )
