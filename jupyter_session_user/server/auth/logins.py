"""The logins of one server: their states, and the listeners for changes.

A login is identified by the credential that a browser or client sends with every request
(``server/auth/capture.py``). It has one session per kernel, and all of them change together. The
rules are in ``core/lifecycle.py``.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core import lifecycle
from jupyter_session_user.core.lifecycle import EVENTS, Expiry, Limits, Moment
from jupyter_session_user.core.login import KINDS, Login, begins_anew, blocks_the_next, is_refused
from jupyter_session_user.core.socket_state import LOGIN_OVER
from jupyter_session_user.server.auth.ended_logins import COOKIE_LIMIT_S
from jupyter_session_user.server.auth.known_login import KnownLogin, Socket
from jupyter_session_user.server.auth.known_logins import KnownLogins
from jupyter_session_user.server.auth.listeners import Listeners
from jupyter_session_user.server.auth.login_sessions import LoginSessions
from jupyter_session_user.server.auth.refused import End

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.ended_logins import EndedLogins
    from jupyter_session_user.server.auth.listeners import Listener
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["Logins"]

#: A larger change of the clocks' difference than drift explains, in seconds.
_CLOCK_JUMP_S = 0.25
_TRIGGERS = {"revoked": "revoke", "signed_out": "sign_out", "expired": "over"}


class Logins:
    """Keeps the state of all logins of one server.

    Args:
        store: The session records.
        ended: The logins that have ended for good.
        clock: Returns the time on both clocks.
        limits: The administrator's timeouts.
        log: Log for listeners that fail.
        limit: How many logins without open websockets are remembered.
    """

    def __init__(
        self,
        store: SessionStore,
        ended: EndedLogins,
        clock: Callable[[], Moment],
        limits: Limits,
        log: logging.Logger,
        *,
        limit: int = 10_000,
    ) -> None:
        self._store = store
        self.sessions = LoginSessions(store)
        self.ended = ended
        self._clock = clock
        self._limits = limits
        self.known = KnownLogins(limit)
        #: The difference of the clocks at the last look at all logins, in seconds.
        self._offset = math.inf
        self._listeners = Listeners(log)

    def on_change(self, listener: Listener) -> None:
        """Call ``listener`` for each session of a login that changes."""
        self._listeners.add(listener)

    # ------------------------------------------------------------------------- known logins

    def __iter__(self) -> Iterator[KnownLogin]:
        """Iterate over the known logins."""
        return iter(self.known)

    def get(self, key: str) -> KnownLogin | None:
        """Return the state of a login; None if it is unknown."""
        return self.known.get(key)

    def is_known(self, key: str) -> bool:
        """Tell whether a login with this key exists, or has existed."""
        known = key in self.known or self.canonical(key) != key
        return known or self.ended.state(key) is not None

    def canonical(self, key: str) -> str:
        """Return the first key of a login; its cookie may have been renewed since."""
        return self.ended.canonical(key)

    def is_same(self, key: str, other: str) -> bool:
        """Tell whether two cookies belong to the same login."""
        return self.canonical(key) == self.canonical(other)

    def status_fields(self, key: str) -> dict[str, Any]:
        """Return the fields of ``Session`` that describe its login."""
        login = self.known.get(key)
        if login is None:
            return {}
        end = lifecycle.end_of(login.status, self._limits_of(login))
        return {
            "state": login.status.state,
            "expires_at": None if end is None else datetime.fromtimestamp(end.at, timezone.utc),
            "expiry_source": "" if end is None else end.source,
            "degraded": login.degraded,
        }

    def of_principal(self, principal: str) -> list[KnownLogin]:
        """Return the known logins of a user."""
        return self.known.of_principal(principal)

    def over(self, key: str, *, active: bool = True) -> str | None:
        """Return how the login ended, or None; called for every message to a kernel.

        Args:
            key: Hash of the login.
            active: Whether the call is due to user activity.
        """
        login = self.known.get(key)
        if login is None:
            return self.ended.state(key)
        if login.parent:  # its end comes first
            self.over(login.parent, active=False)
        if login.timed and not login.status.over:
            now = self._clock()
            self._advance(login, now)
            if active:
                self._touch(login, now)
        return login.status.state if login.status.over else None

    # ----------------------------------------------------------------------------- requests

    def refuses(self, shown: Login, *, navigation: bool) -> bool:
        """Tell whether to refuse a request that the authority accepts.

        Args:
            shown: The request's login.
            navigation: Whether the user opens a page. If only a proxy names the user, opening a
                page starts a new login.
        """
        now = self._clock()
        if shown.expiry is not None and shown.expiry.exact and shown.expiry.at <= now.wall:
            return True
        login, stays_over = self.known.get(shown.key), False
        if login is not None:
            self._advance(login, now)
            lasting = KINDS[login.credential].distinct and not login.barred
            limits, end = self._limits_of(login), shown.expiry
            stays_over = lifecycle.stays_over(login.status, limits, now, end, distinct=lasting)
        ended = self.ended.state(shown.key)
        anew = begins_anew(shown.credential, navigation=navigation)
        refused = is_refused(ended, anew=anew, stays_over=stays_over)
        if ended is not None and not refused:
            self.ended.reopen(shown.key)
        return refused

    def end_of(self, shown: Login) -> End:
        """Return how a refused login ended."""
        ended = self.ended.how(shown.key)
        if ended is None:
            login = self.known.get(shown.key)
            return End("expired", None if login is None else login.over_since)
        blocks = blocks_the_next(ended.state, shown.credential)
        return End(ended.state, ended.since, ended.until if blocks else None)

    def saw(self, shown: Login, snapshot: Any = None, *, active: bool = True) -> KnownLogin:
        """Record a request that was accepted.

        Args:
            shown: The request's login.
            snapshot: The request, for asking the authority again.
            active: Whether the request is due to user activity, not to the page's own script.
        """
        now = self._clock()
        login = self.known.get(shown.key)
        if login is None:
            login = self._new(shown, now)
        self.known.seen(login)
        self.keep_snapshot(login, snapshot)
        if login.status.over and self.ended.state(shown.key) is None:
            self._come_back(login, now)
        if active:
            self._touch(login, now)
        self._learn(login, shown.expiry, now)
        self.accepted(login)
        return login

    def keep_snapshot(self, login: KnownLogin, snapshot: Any) -> None:
        """Keep the latest request of a login, for asking the authority again."""
        login.snapshot = snapshot or login.snapshot

    def renewed(self, old: str, new: str) -> None:
        """Note that the response to a request of login ``old`` sets the cookie of ``new``."""
        key = self.canonical(old)
        if new != key and new not in self.known:
            self.ended.renewed(key, new)

    def attach(self, key: str, socket: Socket) -> None:
        """Follow an open kernel websocket of this login, through a weak reference."""
        login = self.known.get(key)
        if login is not None:
            login.add_socket(socket)
            self.known.follow(login, socket)

    def attach_other(self, login: KnownLogin, handler: Any) -> None:
        """Close another open websocket when its login ends, through a weak reference."""
        login.add_other(handler)
        self.known.follow(login, handler)

    def detach(self, key: str, socket: Socket) -> None:
        """Stop following a websocket; harmless when repeated."""
        self.known.closed(key, socket)

    # ------------------------------------------------------------------------ ending logins

    def end(self, key: str, state: str) -> None:
        """End a login for good.

        Args:
            key: Hash of the login.
            state: ``revoked``; ``signed_out`` if the user signed out; ``expired`` if another login
                of the user replaces it.
        """
        key = self.canonical(key)
        login = self.known.get(key)
        known = login or next(iter(self._store.of_login(key)), None)
        credential, principal = (
            ("cookie", "") if known is None else (known.credential, known.principal)
        )
        blocks = blocks_the_next(state, credential)
        seconds = self._limits.block if blocks else COOKIE_LIMIT_S
        issued_at = None if login is None else login.issued_at
        others = self.ended.end(key, principal, state, seconds, issued_at)
        if login is not None:
            self._trigger(login, _TRIGGERS[state])
        if others:
            self.ended_elsewhere([self.ended.name_of(principal)])

    def replace(self, key: str, principal: str) -> None:
        """End a browser's login after a user has signed in again in that browser.

        If it is the same user, the browser's open websockets reconnect, with the new cookie.

        Args:
            key: Hash of the former login.
            principal: Id of the user that has signed in.
        """
        former = self.known.get(self.canonical(key))
        if former is not None and former.status.over:
            return
        if former is None or former.principal != principal:
            self.end(key, "signed_out")
            return
        for socket in list(former.sockets):
            socket.login_back()
        self.end(key, "expired")

    def end_principal(self, principal: str, state: str) -> int:
        """End all logins of a user, and return how many of them were known.

        Login cookies that were signed until now are refused as well, even if they have never been
        used at this server.
        """
        self.ended.end_principal(principal)
        keys = {login.key for login in self.of_principal(principal)}
        keys |= {record.key for record in self._store if record.principal == principal}
        keys = {key for key in keys if self.ended.state(key) in {None, "expired"}}
        for key in keys:
            self.end(key, state)
        return len(keys)

    def ended_elsewhere(self, names: Collection[str]) -> None:
        """Apply what other servers have ended to the known logins and their open websockets.

        Args:
            names: See ``EndedLogins.names_of``.
        """
        for login in self.known.named(names):
            state = self.ended.state(login.key)
            if state is None and self.ended.seconds_missing(login.principal, login.issued_at):
                state = "revoked"
            if state is not None:
                self._trigger(login, _TRIGGERS[state])

    def accepted(self, login: KnownLogin, *, authorized: bool = False) -> None:
        """Record that the authority accepts a login.

        Args:
            login: The login.
            authorized: Whether the authorizer was asked, too.
        """
        was_barred = login.barred
        login.barred = login.barred and not authorized
        self._set_degraded(login, degraded=False)
        now = self._clock()
        if was_barred and not login.barred and login.status.state == "revoked":
            late = self.ended.seconds_missing(login.principal, login.issued_at)
            if self.ended.state(login.key) is None and not late:
                self.sessions.begin_anew(login.key, now.wall)
                self._trigger(login, "come_back")
                self._advance(login, now)  # its timeouts went on
            return
        if login.status.state != "expired" or login.barred:
            return
        if self.ended.state(login.key) is not None:
            return
        if lifecycle.can_renew(login.status, self._limits_of(login), now):
            self._trigger(login, "renew")
            self._advance(login, now)

    def refused(self, login: KnownLogin, *, barred: bool = False) -> None:
        """Record that the authority no longer accepts a login.

        Args:
            login: The login.
            barred: Whether the user is known, and has lost access: nothing may pass any more.
        """
        login.barred = login.barred or barred
        self._set_degraded(login, degraded=False)
        self._advance(login, self._clock())  # the authority cannot renew a login that timed out
        self._trigger(login, "revoke" if barred else "over")

    def undecided(self, login: KnownLogin) -> None:
        """Record that the authority was unreachable: the login stays as it is."""
        self._set_degraded(login, degraded=True)

    def tick(self) -> None:
        """Apply timeouts, also to logins without requests; costs nothing while none is due."""
        now = self._clock()
        due = self.known.agenda.take(now.monotonic)
        offset = now.wall - now.monotonic
        if abs(offset - self._offset) > _CLOCK_JUMP_S:  # a clock was set, or the machine slept
            self._offset, due = offset, [login.key for login in self]
        for key in due:
            login = self.known.get(key)
            if login is not None:
                self._advance(login, now)
                self._schedule(login, now)

    # ----------------------------------------------------------------------------- inside

    def _new(self, shown: Login, now: Moment) -> KnownLogin:
        status = lifecycle.begin(now)
        login = KnownLogin(
            *(shown.key, shown.principal, shown.credential, status),
            issued_at=shown.issued_at,
            names=self.ended.names_of(shown.key, shown.principal),
            parent=shown.parent,
        )
        ended = self.ended.state(shown.key)
        if ended is not None:  # it ended while its request was being handled
            login.status = dataclasses.replace(status, state=ended)
        self.known.add(login)
        self._schedule(login, now)
        return login

    def _schedule(self, login: KnownLogin, now: Moment) -> None:
        """Note when to look at a login next; an earlier look costs little, a late one is wrong."""
        limits = self._limits_of(login)
        login.timed = lifecycle.is_timed(login.status, limits)
        seconds = lifecycle.next_change(login.status, limits, now)
        self.known.agenda.put_earlier(login.key, now.monotonic + seconds)

    def _come_back(self, login: KnownLogin, now: Moment) -> None:
        """Start a new login, if nothing distinguishes a user's next login from the last one."""
        timed_out = lifecycle.timed_out(login.status, self._limits_of(login), now)
        can_renew = login.status.state == "expired" and not timed_out
        if can_renew or login.barred or KINDS[login.credential].distinct:
            return
        login.status = dataclasses.replace(login.status, since=now, active_at=now)
        if login.status.state != "expired":
            self.sessions.begin_anew(login.key, now.wall)
        self._trigger(login, "come_back")

    def _limits_of(self, login: KnownLogin) -> Limits:
        """Return the limits; the server's own token is not a user's login, and has no timeouts."""
        if KINDS[login.credential].personal:
            return self._limits
        return Limits(warning=self._limits.warning)

    def _learn(self, login: KnownLogin, expiry: Expiry | None, now: Moment) -> None:
        before = login.status
        login.status = lifecycle.learn(before, expiry, now)
        if login.status is not before:
            self._schedule(login, now)
        self._advance(login, now)
        after = login.status
        if after.expiry is before.expiry or after.state != before.state:
            return
        later = after.expiry and before.expiry and after.expiry.at > before.expiry.at
        self._tell(login, "renewed" if later else "")

    def _touch(self, login: KnownLogin, now: Moment) -> None:
        if self._limits.idle < math.inf and not login.status.over:
            login.status = lifecycle.touch(login.status, now)
            self._advance(login, now)

    def _advance(self, login: KnownLogin, now: Moment) -> None:
        """Apply timeouts to a login."""
        if login.status.expiry is None and not login.timed:
            return  # it does not end by time alone
        limits = self._limits_of(login)
        trigger = lifecycle.trigger_at(login.status, limits, now)
        is_over = trigger == "over" or login.status.state == "expired"
        if is_over and lifecycle.timed_out(login.status, limits, now):
            # It is final, even if the clock is set back.
            self.ended.end(login.key, login.principal, "expired", issued_at=login.issued_at)
        if trigger is not None:
            self._trigger(login, trigger)

    def _set_degraded(self, login: KnownLogin, *, degraded: bool) -> None:
        if login.degraded != degraded:
            login.degraded = degraded
            self._tell(login, "")

    def _trigger(self, login: KnownLogin, trigger: str) -> None:
        before = login.status
        login.status = lifecycle.move(before, trigger)
        if login.status is before:
            return
        self._schedule(login, self._clock())
        self._tell(login, EVENTS[trigger])
        if login.status.state == "expired" and login.sockets:
            self.known.expired_in_use(login)
        if login.status.over and not before.over:
            login.over_since = self._clock().wall
            for socket in list(login.sockets):
                socket.login_over(login.status.state)
            for other in list(login.others):
                other.close(LOGIN_OVER, "the login is over")
        elif before.over and not login.status.over:
            for socket in list(login.sockets):
                socket.login_back()

    def _tell(self, login: KnownLogin, event: str) -> None:
        """Update the sessions of a login, and call the listeners."""
        for record in self.sessions.update(login.key, self.status_fields(login.key)):
            if event:
                self.announce(event, record)

    def announce(self, event: str, record: Record) -> None:
        """Call the listeners."""
        self._listeners.tell(event, record)
