"""The logins of one server: how it stands with each, and who is told when that changes.

A login is what a browser or client shows at every request (``server/capture.py``). Its
sessions, one for each kernel, share its fate. The rules are in ``core/lifecycle.py``.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_session_user.core import lifecycle
from jupyter_session_user.core.lifecycle import EVENTS, Expiry, Limits, Moment, Standing
from jupyter_session_user.core.stamp import session_stamp

if TYPE_CHECKING:
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["Credentials", "KnownLogin", "Listener", "Logins", "Socket"]

#: ``(event, record)``
Listener = Callable[[str, "Record"], None]

#: RFC 6265bis section 5.5: no browser keeps a cookie for longer. In seconds.
COOKIE_LIMIT_S = 400 * 86_400.0

_TRIGGERS = {"revoked": "revoke", "ended": "sign_out"}


class Socket(Protocol):
    """An open kernel websocket, as far as its login is concerned."""

    def login_over(self, state: str) -> None:
        """Take note that the login is over."""

    def login_back(self) -> None:
        """Take note that the same login is good again after it had expired."""


class Credentials(Protocol):
    """What a request shows of its login: ``capture.Login`` is one."""

    @property
    def key(self) -> str:
        """Hash of it."""

    @property
    def person(self) -> str:
        """Whom things belong to."""

    @property
    def credential(self) -> str:
        """What kind it is; empty where a proxy's header tells no login from the next one."""

    @property
    def expiry(self) -> Expiry | None:
        """When it ends, as far as the request says."""


@dataclass(eq=False, slots=True)
class KnownLogin:
    """One login.

    Attributes:
        key: Hash of what it shows.
        person: Whom things belong to.
        credential: Its kind.
        standing: How it stands with it.
        evidence: Its latest request, to ask the authority again with.
        sockets: Its open kernel websockets.
        others: Its other open websockets; they are closed when it is over.
        degraded: Whether the authority could not be asked the last time.
        barred: Whether the authorizer said no; only its own yes lifts that.
        due: When to ask the authority again, in monotonic seconds.
        timed: Whether time alone can end it.
    """

    key: str
    person: str
    credential: str
    standing: Standing
    evidence: Any = None
    sockets: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    others: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    degraded: bool = False
    barred: bool = False
    due: float = math.inf
    timed: bool = False


class Logins:
    """Follows the logins of one server.

    Args:
        store: Their records, and the list of those that are over.
        clock: Gives the time on both clocks.
        limits: The administrator's timeouts.
        log: For listeners that fail.
        proxy_block: How long a revoked login is refused that shows nothing of its own, in
            seconds: the next one could not be told from it.
        limit: How many logins without open websockets are remembered.
    """

    def __init__(
        self,
        store: SessionStore,
        clock: Callable[[], Moment],
        limits: Limits,
        log: logging.Logger,
        *,
        proxy_block: float = 600.0,
        limit: int = 10_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._log = log
        self._proxy_block = proxy_block
        self._limit = limit
        self._known: OrderedDict[str, KnownLogin] = OrderedDict()
        self._aliases: OrderedDict[str, str] = OrderedDict()
        self._listeners: list[Listener] = []

    def on_change(self, listener: Listener) -> None:
        """Call ``listener`` for each session whose login has changed."""
        self._listeners.append(listener)

    # ------------------------------------------------------------------------ what is known

    def __iter__(self) -> Iterator[KnownLogin]:
        """Go through the known logins."""
        return iter(list(self._known.values()))

    def get(self, key: str) -> KnownLogin | None:
        """Return what is known of a login."""
        return self._known.get(key)

    def is_known(self, key: str) -> bool:
        """Tell whether anybody has, or had, a login with this key."""
        known = key in self._known or key in self._aliases
        return known or self._store.ended(key, self._clock().wall) is not None

    def canonical(self, key: str) -> str:
        """Return the key under which a login was first seen; its cookie may have been renewed."""
        return self._aliases.get(key, key)

    def face(self, key: str) -> dict[str, Any]:
        """Return what a session says of its login: the fields of ``Session``."""
        login = self._known.get(key)
        if login is None:
            return {}
        end = lifecycle.end_of(login.standing, self._limits_of(login))
        return {
            "state": login.standing.state,
            "expires_at": None if end is None else datetime.fromtimestamp(end.at, timezone.utc),
            "expiry_source": "" if end is None else end.source,
            "degraded": login.degraded,
        }

    def over(self, key: str, *, active: bool = True) -> str | None:
        """Return how the login came to its end, or None; for every message to a kernel.

        Args:
            key: Hash of the login.
            active: Whether a person did something just now.
        """
        login = self._known.get(key)
        if login is None:
            return self._store.ended(key, self._clock().wall)
        if login.timed and not login.standing.over:
            now = self._clock()
            self._advance(login, now)
            if active:
                self._touch(login, now)
        return login.standing.state if login.standing.over else None

    # -------------------------------------------------------------------- what a request does

    def refuses(self, shown: Credentials, *, navigation: bool) -> bool:
        """Tell whether a request that the authority accepts is refused all the same.

        Args:
            shown: What the request shows.
            navigation: Whether a person opens a page. Where a proxy alone says who somebody
                is, this is how a new login begins.
        """
        now = self._clock()
        if shown.expiry is not None and shown.expiry.exact and shown.expiry.at <= now.wall:
            return True
        login = self._known.get(shown.key)
        if login is not None:
            self._advance(login, now)
        ended = self._store.ended(shown.key, now.wall)
        if ended is None:
            begins_anew = navigation and not shown.credential
            return not begins_anew and login is not None and self._stays_over(login, shown, now)
        if shown.credential or ended == "revoked" or not navigation:
            return True
        self._store.reopen(shown.key)
        return False

    def saw(self, shown: Credentials, evidence: Any = None, *, active: bool = True) -> KnownLogin:
        """Take note of a request that was let in.

        Args:
            shown: What it shows.
            evidence: The request, to ask the authority again with.
            active: Whether a person did something, and not a page by itself.
        """
        now = self._clock()
        login = self._known.get(shown.key)
        if login is None:
            login = self._new(shown, now)
        self._known.move_to_end(shown.key)
        login.evidence = evidence or login.evidence
        if login.standing.over and self._store.ended(shown.key, now.wall) is None:
            self._come_back(login, now)
        if active:
            self._touch(login, now)
        self._learn(login, shown.expiry, now)
        self.accepted(login)
        return login

    def renewed(self, old: str, new: str) -> None:
        """Take note that the answer to a request of login ``old`` sets the cookie of ``new``."""
        key = self.canonical(old)
        if new == key or new in self._known:
            return
        self._aliases[new] = key
        if len(self._aliases) > 4 * self._limit:
            self._aliases.popitem(last=False)

    def attach(self, key: str, socket: Socket) -> None:
        """Follow an open kernel websocket of this login, without keeping it alive."""
        login = self._known.get(key)
        if login is not None:
            login.sockets.add(socket)

    def detach(self, key: str, socket: Socket) -> None:
        """Stop following; harmless when repeated."""
        login = self._known.get(key)
        if login is not None:
            login.sockets.discard(socket)

    # ------------------------------------------------------------------------- what ends it

    def end(self, key: str, state: str) -> None:
        """End a login for good.

        Args:
            key: Hash of the login.
            state: ``revoked``, or ``ended`` where the person signed out.
        """
        key = self.canonical(key)
        login = self._known.get(key)
        blocks_the_next = state == "revoked" and not self._credential(key)
        self._close_for_good(key, state, self._proxy_block if blocks_the_next else COOKIE_LIMIT_S)
        if login is not None:
            self._trigger(login, _TRIGGERS[state])

    def end_person(self, person: str, state: str) -> int:
        """End all logins of a person, and return how many there were."""
        keys = {login.key for login in self if login.person == person}
        keys |= {record.key for record in self._store if record.person == person}
        now = self._clock().wall
        keys = {key for key in keys if self._store.ended(key, now) in {None, "expired"}}
        for key in keys:
            self.end(key, state)
        return len(keys)

    def accepted(self, login: KnownLogin, *, authorized: bool = False) -> None:
        """Take note that the authority accepts a login.

        Args:
            login: The login.
            authorized: Whether the authorizer has been asked, too.
        """
        login.barred = login.barred and not authorized
        self._set_degraded(login, degraded=False)
        now = self._clock()
        if login.standing.state != "expired" or login.barred:
            return
        if self._store.ended(login.key, now.wall) is not None:
            return
        revived = lifecycle.move(login.standing, "renew")
        if lifecycle.trigger_at(revived, self._limits_of(login), now) != "over":
            self._trigger(login, "renew")
            self._advance(login, now)

    def refused(self, login: KnownLogin, *, barred: bool = False) -> None:
        """Take note that the authority accepts a login no more."""
        login.barred = login.barred or barred
        self._set_degraded(login, degraded=False)
        self._advance(login, self._clock())  # what a timeout has ended, no authority renews
        self._trigger(login, "over")

    def undecided(self, login: KnownLogin) -> None:
        """Take note that the authority could not be asked: everything stays as it is."""
        self._set_degraded(login, degraded=True)

    def tick(self) -> None:
        """Look at the clock, for those from whom nothing comes."""
        now = self._clock()
        for login in self:
            self._advance(login, now)

    # ----------------------------------------------------------------------------- inside

    def _new(self, shown: Credentials, now: Moment) -> KnownLogin:
        standing = lifecycle.begin(now)
        login = KnownLogin(shown.key, shown.person, shown.credential, standing)
        ended = self._store.ended(shown.key, now.wall)
        if ended is not None:  # it got over while its request was on the way
            login.standing = dataclasses.replace(standing, state=ended)
        self._known[shown.key] = login
        self._forget_some()
        login.timed = self._is_timed(login)
        return login

    def _come_back(self, login: KnownLogin, now: Moment) -> None:
        """Begin anew, where the next login of a person cannot be told from the last one."""
        if login.credential:
            return
        if login.standing.state == "expired" and not self._timed_out(login, now):
            return
        login.standing = dataclasses.replace(login.standing, since=now, active_at=now)
        self._trigger(login, "come_back")

    def _forget_some(self) -> None:
        surplus = len(self._known) - self._limit
        for key, login in list(self._known.items())[: max(0, surplus)]:
            if not login.sockets and not login.others:
                del self._known[key]

    def _limits_of(self, login: KnownLogin) -> Limits:
        """Return the limits; the server's own token is a secret, not a person's login."""
        if login.credential in {"open", "token"}:
            return Limits(warning=self._limits.warning)
        return self._limits

    def _is_timed(self, login: KnownLogin) -> bool:
        limits, expiry = self._limits_of(login), login.standing.expiry
        exact = expiry is not None and expiry.exact
        return exact or min(limits.idle, limits.absolute) < math.inf

    def _learn(self, login: KnownLogin, expiry: Expiry | None, now: Moment) -> None:
        before = login.standing
        login.standing = lifecycle.learn(before, expiry, now)
        login.timed = self._is_timed(login)
        self._advance(login, now)
        after = login.standing
        if after.expiry is before.expiry or after.state != before.state:
            return
        later = after.expiry and before.expiry and after.expiry.at > before.expiry.at
        self._tell(login, "renewed" if later else "")

    def _touch(self, login: KnownLogin, now: Moment) -> None:
        if self._limits.idle < math.inf and not login.standing.over:
            login.standing = lifecycle.touch(login.standing, now)
            self._advance(login, now)

    def _advance(self, login: KnownLogin, now: Moment) -> None:
        """Let the time do to a login what it does."""
        trigger = lifecycle.trigger_at(login.standing, self._limits_of(login), now)
        is_over = trigger == "over" or login.standing.state == "expired"
        if is_over and self._timed_out(login, now):  # for which nobody may set a clock back
            self._close_for_good(login.key, "expired")
        if trigger is not None:
            self._trigger(login, trigger)

    def _timed_out(self, login: KnownLogin, now: Moment) -> bool:
        """Tell whether a timeout of ours ended it: no authority can take that back."""
        standing = dataclasses.replace(login.standing, expiry=None, state="active")
        return lifecycle.trigger_at(standing, self._limits_of(login), now) == "over"

    def _stays_over(self, login: KnownLogin, shown: Credentials, now: Moment) -> bool:
        """Tell whether the time keeps a login over, although the authority accepts it again."""
        if login.standing.state != "expired":
            return False
        revived = lifecycle.learn(lifecycle.move(login.standing, "renew"), shown.expiry, now)
        return lifecycle.trigger_at(revived, self._limits_of(login), now) == "over"

    def _credential(self, key: str) -> str:
        login = self._known.get(key)
        if login is not None:
            return login.credential
        return next((record.credential for record in self._store.of_login(key)), "cookie")

    def _close_for_good(self, key: str, state: str, seconds: float = COOKIE_LIMIT_S) -> None:
        now = self._clock().wall
        # Whoever signs out, or does nothing, after having been revoked, is still revoked.
        if state != "revoked" and self._store.ended(key, now) is not None:
            return
        until = now + seconds
        for alias in [key, *(new for new, old in self._aliases.items() if old == key)]:
            self._store.end(alias, state, until)

    def _set_degraded(self, login: KnownLogin, *, degraded: bool) -> None:
        if login.degraded != degraded:
            login.degraded = degraded
            self._tell(login, "")

    def _trigger(self, login: KnownLogin, trigger: str) -> None:
        before = login.standing
        login.standing = lifecycle.move(before, trigger)
        if login.standing is before:
            return
        self._tell(login, EVENTS[trigger])
        if login.standing.over and not before.over:
            self._on_over(login)
        elif before.over and not login.standing.over:
            for socket in list(login.sockets):
                socket.login_back()

    def _on_over(self, login: KnownLogin) -> None:
        for socket in list(login.sockets):
            socket.login_over(login.standing.state)
        for other in list(login.others):
            other.close(4401, "the login is over")

    def _tell(self, login: KnownLogin, event: str) -> None:
        """Bring the sessions of a login up to date, and tell everybody."""
        face = self.face(login.key)
        for record in self._store.of_login(login.key):
            session = dataclasses.replace(
                record.session, revision=record.session.revision + 1, **face
            )
            fresh = dataclasses.replace(record, session=session, stamp=session_stamp(session))
            self._store.put(fresh)
            if event:
                self.announce(event, fresh)

    def announce(self, event: str, record: Record) -> None:
        """Tell the listeners; one that fails does not keep it from the others."""
        for listener in self._listeners:
            self._call(listener, event, record)

    def _call(self, listener: Listener, event: str, record: Record) -> None:
        try:
            listener(event, record)
        except Exception as error:  # noqa: BLE001 - the others must hear of it all the same
            self._log.error("a listener failed at %s: %s", event, type(error).__name__)
