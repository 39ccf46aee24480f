"""Latest known state of each session, and its remaining time.

Stamps, answers and updates are stored here. Code that holds a session object, for example in a cell
that began hours ago, checks here whether the session is still valid. When the login has expired,
the cell continues with another login of the same user. It does not continue with another user's
login, nor after a revocation or a sign-out.

Time is measured by two clocks, and the earlier end counts: the wall clock may be set back, and
the other one may sleep with the machine.
"""

from __future__ import annotations

import copy
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakSet, WeakValueDictionary

from jupyter_session_user.core.clocks import deadline_of, seconds_until
from jupyter_session_user.core.session import MOVING, OVER, Session
from jupyter_session_user.errors import SessionExpired, SessionRevoked

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FINAL", "Place", "SessionStatus", "SessionStatuses", "refusal", "statuses"]

#: Limit of stored sessions. A shared kernel has as many sessions as its users have logins. Older
#: ones are dropped as soon as no code holds them.
MAX_SESSIONS = 1000

#: Seconds for which the hot path reads one clock only.
ONE_CLOCK_S = 1.0

#: The states that no other login can replace.
FINAL = OVER - {"expired"}

_NEVER = float("inf")
_TEXTS = {
    "expired": "This login has expired.",
    "revoked": "This login was revoked.",
    "signed_out": "The user of this login has logged out.",
}


class SessionStatus:
    """State of one session since the latest update; each update makes a new object.

    Attributes:
        session: The latest session object.
        revision: Its revision.
        expires_at: The end of the login; None if unknown.
        expiry_source: The source of that time.
        degraded: Whether the authority could not be asked.
        check_at: The time, by ``time.monotonic``, from which code has to check whether the session
            is over; None for never. It makes frequent calls cheap.
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

    def __init__(self, session: Session, before: SessionStatus | None = None) -> None:
        self.session = session
        self.revision = session.revision
        self.expiry_source = session.expiry_source
        self.degraded = session.degraded
        self.expires_at = session.expires_at
        self._exact = self.expires_at is not None and self.expiry_source not in MOVING
        self._until = self._wall = _NEVER
        if self.expires_at is not None:
            self._wall = self.expires_at.timestamp()
            self._until = deadline_of(self._wall, time.time(), time.monotonic())
        if before is not None and before.expires_at == self.expires_at:
            # The same end, read again after the wall clock was set back, is no later.
            self._until = min(self._until, before._until)  # noqa: SLF001 - one of us
        self._state = session.state
        self.check_at = self._next_check()

    # This object is never changed. A thread that has just found that the session is not over
    # postpones the next check, and must not postpone the end that another thread learns at that
    # moment.

    @property
    def state(self) -> str:
        """The present state."""
        return "expired" if self._state not in OVER and self.is_over() else self._state

    @property
    def seconds_left(self) -> float | None:
        """Remaining time in seconds; None if unknown."""
        if self._state in OVER:
            return 0.0
        if self.expires_at is None:
            return None
        return max(0.0, self._left())

    def is_over(self) -> bool:
        """Tell whether the session has ended."""
        if self._state in OVER:
            return True
        if not self._exact or self._left() > 0:
            self.check_at = self._next_check()
            return False
        return True

    def refuse_over(self) -> None:
        """Raise if the session is over.

        Raises:
            SessionExpired: It is over; SessionRevoked if it was revoked or ended by signing out.
        """
        if self.is_over():
            raise refusal(self.state)

    @property
    def lasts_until(self) -> float:
        """The end by time alone, in seconds since the epoch by the stricter clock; or never."""
        if not self._exact:
            return _NEVER
        return min(self._wall, self._until - time.monotonic() + time.time())

    def ended_as(self, state: str) -> SessionStatus:
        """Return a copy that is over in this way."""
        ended = copy.copy(self)
        ended._state, ended.check_at = state, -_NEVER  # noqa: SLF001 - one of us
        return ended

    def _left(self) -> float:
        return seconds_until(self._wall, self._until, time.time(), time.monotonic())

    def _next_check(self) -> float | None:
        if self._state in OVER:
            return -_NEVER
        return min(self._until, time.monotonic() + ONE_CLOCK_S) if self._exact else None


class Place:
    """Holds the state of one session; all objects of that session share it.

    Attributes:
        own: Latest known state of this session's own login.
        status: The state that counts: that of the user's best login, if this session may continue
            with it. It is replaced as a whole, so that readers see a complete state.
        principal: The user's sessions on this kernel; None if no server names the user.
    """

    __slots__ = ("__weakref__", "_apart", "_final", "own", "principal", "status")

    def __init__(self, own: SessionStatus, principal: _Principal | None) -> None:
        self.own = self.status = own
        self.principal = principal
        self._final = ""
        self._apart: Place | None = None

    def now(self) -> SessionStatus:
        """Return the state that counts now."""
        status = self.status
        if self.principal is None or not status.is_over():
            return status
        return self.principal.settled(self)

    def refuse_over(self) -> None:
        """Raise if the session is over.

        Raises:
            SessionExpired: It is over; SessionRevoked if it was revoked or ended by signing out.
        """
        self.now().refuse_over()

    def apart(self) -> Place:
        """Return the place for code of a message that arrived after the login had ended.

        The user's next login continues running code, and gives no new rights to an old cookie. The
        caller holds the lock.
        """
        if self._apart is None:
            self._apart = Place(self.own, None)
        return self._apart

    def take(self, own: SessionStatus) -> None:
        """Store a new state of this session's own login. The caller holds the lock."""
        self.own = own
        if self._apart is not None:
            self._apart.own = self._apart.status = own

    def settle(self, logins: _Logins) -> None:
        """Choose the state that counts. The caller holds the lock.

        Args:
            logins: Latest known state of all sessions of the user here, including this one.
        """
        if not self.own.is_over():
            self._final = ""
        elif self.own.state == "expired" and not self._final:
            self._final = self._end_with(logins)
        if self.own.state in FINAL:
            self.status = self.own
        elif self._final:
            self.status = self.own.ended_as(self._final)
        else:
            self.status = logins.best(self.own) or self._last_of(logins)

    def _end_with(self, logins: _Logins) -> str:
        """Return how the login ended that continued this session; empty if it did not end.

        A revocation ends the code that the login continued; after signing out, another login of the
        user still continues it.
        """
        carrier = self._last_of(logins)
        live = logins.best(self.own) is not None
        ends = carrier.state == "revoked" or (carrier.state == "signed_out" and not live)
        return carrier.state if ends and carrier is not self.own else ""

    def _last_of(self, logins: _Logins) -> SessionStatus:
        """Return the present state of the login that counted last."""
        return logins.by_id.get(self.status.session.id, self.own)


class _Logins:
    """Latest known state of each session of one user, read once for all of them."""

    def __init__(self, places: Iterable[Place]) -> None:
        known = [place.own for place in places]
        self.by_id = {one.session.id: one for one in known}
        live = [one for one in known if not one.is_over()]
        self._best = max(live, key=_lasts, default=None)

    def best(self, own: SessionStatus) -> SessionStatus | None:
        """Return the live login that lasts longest, ``own`` before its equals; else None."""
        if self._best is None or own.is_over() or _lasts(own) < _lasts(self._best):
            return self._best
        return own


def _lasts(status: SessionStatus) -> tuple[float, bool]:
    """Return the sort key of a live login: how long it lasts."""
    return status.lasts_until, status.state == "active"


class _Principal:
    """The sessions of one user on this kernel, and which of them counts for the others."""

    __slots__ = ("__weakref__", "_lock", "_places")

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._places: WeakSet[Place] = WeakSet()

    def add(self, place: Place) -> None:
        """Add a place. The caller holds the lock."""
        self._places.add(place)

    def places(self) -> list[Place]:
        """Return the places of all known sessions."""
        with self._lock:
            return list(self._places)

    def settle(self) -> None:
        """Choose the state that counts for each session, after a change."""
        with self._lock:
            places = list(self._places)
            logins = _Logins(places)
            for place in places:
                place.settle(logins)

    def settled(self, place: Place) -> SessionStatus:
        """Choose it for one session, and return it."""
        with self._lock:
            place.settle(_Logins(self._places))
            return place.status


class SessionStatuses:
    """The states of the sessions on this kernel."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Place] = WeakValueDictionary()
        self._principals: WeakValueDictionary[str, _Principal] = WeakValueDictionary()
        self._recent: dict[str, Place] = {}
        # Reentrant: a signal handler may ask for the user while this very thread is in here.
        self._lock = threading.RLock()

    def renew_lock(self) -> None:
        """Replace the lock; a forked child has only the thread that forked."""
        self._lock = threading.RLock()

    def of(self, session: Session) -> SessionStatus:
        """Return the latest known state of a session, including the object's own fields."""
        return self.place(session).status

    def place(self, session: Session) -> Place:
        """Return the place of a session; create it if needed."""
        place = self._known.get(session.id)
        if place is not None and not _counts(session, place.own, from_server=False):
            return place
        return self._take(session)

    def place_of_message(self, session: Session) -> Place:
        """Return the place of a session that a message's stamp names."""
        place = self.place(session)
        if session.state not in OVER:
            return place
        with self._lock:
            return place.apart()

    def of_principal(self, place: Place) -> list[Place]:
        """Return the places of all sessions of the same user, including this one."""
        return [place] if place.principal is None else place.principal.places()

    def is_known(self, session: Session) -> bool:
        """Tell whether a session is known."""
        return session.id in self._known

    def learn(self, session: Session, *, from_server: bool = False) -> bool:
        """Take the state of a session object, and tell whether it was new.

        Args:
            session: The session; the highest revision counts.
            from_server: Whether the server sent it just now. A stamp of the same revision may be
                older, and counts less.
        """
        place = self._known.get(session.id)
        if place is not None and not _counts(session, place.own, from_server=from_server):
            return False
        self._take(session)
        return True

    def _take(self, session: Session) -> Place:
        with self._lock:
            place = self._known.get(session.id)
            if place is None:
                place = self._known[session.id] = self._new(session)
            elif session.revision >= place.own.revision:  # which may be newer than a moment ago
                place.take(SessionStatus(session, place.own))
            if place.principal is None:
                place.status = place.own
            else:
                place.principal.settle()
            self._recent.pop(session.id, None)
            self._recent[session.id] = place
            while len(self._recent) > MAX_SESSIONS:
                del self._recent[next(iter(self._recent))]
            return place

    def _new(self, session: Session) -> Place:
        """Return a new place among those of the session's user."""
        # An agent's login neither continues its person's work, nor does the person's continue it.
        if not session.principal or session.actor is not None:
            return Place(SessionStatus(session), None)
        principal = self._principals.get(session.principal)
        if principal is None:
            principal = self._principals[session.principal] = _Principal(self._lock)
        place = Place(SessionStatus(session), principal)
        principal.add(place)
        return place


def _counts(session: Session, known: SessionStatus, *, from_server: bool) -> bool:
    return session.revision > known.revision or (from_server and session.revision == known.revision)


#: There is one kernel in a process, hence one collection.
statuses = SessionStatuses()


def refusal(state: str) -> SessionExpired:
    """Return the error for an ended session, with the fix."""
    kind = SessionExpired if state == "expired" else SessionRevoked
    return kind(
        f"{_TEXTS[state]} Log in again, then run the cell again. Code that must go on can pass "
        "allow_expired=True.",
        state=state,
    )
