"""Validates open logins again: Jupyter checks a login only when a websocket opens.

The identity provider and the authorizer get the login's latest request again, with a handler of its
own and no client, because they store their result on the handler and may set cookies. If there is
no clear answer, the login is unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async
from tornado.httputil import HTTPServerRequest, RequestStartLine
from tornado.web import HTTPError

from jupyter_session_user.core.agenda import Agenda
from jupyter_session_user.core.login import KINDS
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.upstream.jupyterhub import ask_past_cache, has_lost_access

if TYPE_CHECKING:
    from jupyter_server.auth.identity import User
    from jupyter_server.base.handlers import JupyterHandler
    from tornado.web import Application

    from jupyter_session_user.server.auth.capture import Capture
    from jupyter_session_user.server.auth.gate import Gate
    from jupyter_session_user.server.auth.known_login import KnownLogin
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.server.auth.request_snapshot import RequestSnapshot

__all__ = ["Authority", "Pace", "Revalidation"]

_REFUSALS = frozenset({401, 403})

#: Maximum share of the interval by which a login is asked about early, at random. Logins that
#: started together (a server start, a lecture) would otherwise be asked about together for ever.
_JITTER = 0.2

#: Time between two questions about one login while the authority answers none, in seconds.
_RETRY_S = 2.0


class _Shadow(APIHandler):
    """A handler for an earlier request; its response is discarded."""

    auth_resource = "kernels"


class _Nobody:
    """The connection of a request without a client."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def set_close_callback(self, callback: Any) -> None:
        """Ignore the callback: there is nothing to close."""


class Authority:
    """Asks the identity provider and the authorizer about an earlier request.

    Args:
        application: Returns the web application; None until there is one.
        gate: Knows the identity provider's original method.
        capture: Finds the user of a request.
        assertions: Names of headers with a proxy's assertion that is valid for one request, or for
            a limited time.
    """

    def __init__(
        self,
        application: Callable[[], Application | None],
        gate: Gate,
        capture: Capture,
        assertions: Collection[str],
    ) -> None:
        self._assertions = assertions
        self._application = application
        self._gate = gate
        self._capture = capture

    async def verdict(self, login: KnownLogin) -> str | None:
        """Ask about a login.

        Returns:
            ``yes``, ``no``, ``stale``, ``denied`` (the user is known, and may not run code here),
            or None: undecided.
        """
        application = self._application()
        if application is None or login.snapshot is None:
            return None
        handler = _Shadow(application, _again(login.snapshot))
        if not handler.identity_provider.auth_enabled:
            return "yes"
        try:
            await ask_past_cache(handler)
            user = await self._user(handler, login)
            if user is None:
                return "denied" if has_lost_access(handler) else self._no(login)
            handler.current_user = user
            allowed = handler.authorizer.is_authorized(handler, user, "execute", "kernels")
            if not await ensure_async(allowed):
                return "denied"
        except HTTPError as error:
            return self._no(login) if error.status_code in _REFUSALS else None
        self._capture.refresh_user(handler, login)
        return "yes"

    async def user_in(self, snapshot: RequestSnapshot) -> tuple[JupyterHandler, User | None]:
        """Ask the identity provider alone who sent a request; it is not changed by the question.

        Returns:
            The handler of the question, and the user; None if the provider accepts none.
        """
        application = self._application()
        if application is None:
            raise HTTPError(503)
        handler = _Shadow(application, _again(snapshot))
        return handler, await ensure_async(self._gate.ask(handler))

    async def learn_end(self, login: KnownLogin) -> None:
        """Take over when a login at JupyterHub ends."""
        application = self._application()
        if application is None:
            return
        handler = _Shadow(application, _again(login.snapshot))
        user = await self._user(handler, login)
        if user is not None:
            handler.current_user = user
            self._capture.refresh_user(handler, login)

    def may_be_asserted(self, login: KnownLogin) -> bool:
        """Tell whether an assertion may name the user of a login."""
        asserted = KINDS[login.credential].asserted and login.snapshot is not None
        return asserted and any(name in login.snapshot.headers for name in self._headers())

    def _headers(self) -> list[str]:
        """Return the names of headers with assertions, with that of our own provider."""
        application = self._application()
        provider = application and application.settings.get("identity_provider")
        own = getattr(provider, "short_lived_header", "")
        return [*self._assertions, *([own] if own else [])]

    async def needs_assertion(self, login: KnownLogin) -> bool:
        """Tell whether the authority refuses the request without its assertions.

        Any client can add such a header to requests in which another header names the user. The
        result counts only while the authority accepts the login.
        """
        application = self._application()
        if application is None:
            return False
        request = _again(login.snapshot)
        for name in self._headers():
            request.headers.pop(name, None)
        try:
            return await self._user(_Shadow(application, request), login) is None
        except HTTPError as error:
            return error.status_code in _REFUSALS

    async def _user(self, handler: JupyterHandler, login: KnownLogin) -> User | None:
        """Return the provider's user, if it is the user of the login; None otherwise."""
        user: User | None = await ensure_async(self._gate.ask(handler))
        if user is not None and login.credential == "hub":
            await self._capture.hub_ends.ask(handler, user)
        if user is None or self._capture.login_of(handler, user).principal != login.principal:
            return None
        return user

    def _no(self, login: KnownLogin) -> str:
        """Return ``no``, or ``stale`` if the repeated request may only be too old."""
        return "stale" if login.by_assertion and self.may_be_asserted(login) else "no"


def _again(snapshot: RequestSnapshot) -> HTTPServerRequest:
    # Built like Tornado's own server does: the other arguments will be removed.
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", snapshot.uri, snapshot.version),
        headers=snapshot.headers.copy(),
        connection=_Nobody(snapshot.context),  # type: ignore[arg-type]
    )
    request.remote_ip, request.protocol = snapshot.remote_ip, snapshot.protocol
    return request


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the authority is asked.

    Attributes:
        interval: Time between two requests about one login, in seconds; None to ask on demand only.
        timeout: Maximum time for an answer, in seconds.
        concurrency: Maximum number of simultaneous requests.
        rate: Maximum number of periodic requests per second, about all logins. With more logins,
            the interval is longer.
    """

    interval: float | None
    timeout: float
    concurrency: int
    rate: float


class Revalidation:
    """Periodically asks the authority about each login with an open websocket.

    Args:
        logins: The logins.
        authority: Answers the requests.
        pace: How often to ask.
        monotonic: The clock, in seconds.
        log: Log for failures, without their text.
    """

    def __init__(
        self,
        logins: Logins,
        authority: Authority,
        pace: Pace,
        *,
        monotonic: Callable[[], float],
        log: logging.Logger,
    ) -> None:
        self._logins = logins
        self._authority = authority
        self._pace = pace
        self._slots = asyncio.Semaphore(pace.concurrency)
        self._budget = TokenBucket(pace.rate, max(1, int(pace.rate)))
        self._monotonic = monotonic
        self._log = log
        self._random = random.Random()  # noqa: S311 - spreads load, not used for secrets
        self._agenda = Agenda()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: Keys of logins to ask about once more after the running request.
        self._anew: set[str] = set()
        #: Keys of logins about which something else than their validity is being found out.
        self._learning: set[str] = set()
        self._closed = False
        #: Reasons why the authority cannot be asked about a login, by the login's key.
        self._failures: dict[str, str] = {}
        #: When the authority was last asked about those, in monotonic seconds.
        self._failed_at: dict[str, float] = {}
        #: The login that is asked about often, while the authority answers for none.
        self._probe: str | None = None
        logins.known.on_follow = self._begin

    @property
    def failing(self) -> str:
        """Why the authority cannot be asked about some login now; empty if it can."""
        return next((why for key, why in self._failures.items() if self._logins.get(key)), "")

    def ask_those_due(self) -> None:
        """Ask about every login that is due; costs nothing while none is."""
        followed = self._logins.known.newly_followed()
        if self._pace.interval is None:
            return
        now = self._monotonic()
        for login in followed:
            self._begin(login)
        while (key := self._agenda.take_first(now)) is not None:
            known = self._logins.get(key)
            if known is None or not self._logins.known.is_followed(known):
                self._leave_out(key, known)
            elif self._budget.take(now):
                self._ask_again(known, now)  # unless the answer to this one sets the time
                self.ask(known)
            else:
                # With its former time, it stays ahead of those that were asked about meanwhile.
                self._agenda.put(key, known.due)
                break

    def _leave_out(self, key: str, known: KnownLogin | None) -> None:
        if known is not None:
            known.due = math.inf
        self._forget_failure(key)
        if key == self._probe:
            self._probe = None

    def _begin(self, login: KnownLogin) -> None:
        """Begin to ask about a login: at once, for the provider has just accepted its handshake."""
        if login.barred:  # the user may have got access again
            self.ask(login)
        if self._pace.interval is not None and login.due == math.inf:
            self._ask_again(login, self._monotonic())
            if login.key not in self._tasks:
                self._learning.add(login.key)
                self._start(login, self._learn)

    def _ask_again(self, login: KnownLogin, now: float) -> None:
        if self._pace.interval is not None:
            wait = self._pace.interval * (1 - _JITTER * self._random.random())
            login.due = now + (min(wait, _RETRY_S) if login.key == self._probe else wait)
            self._agenda.put(login.key, login.due)

    def ask(self, login: KnownLogin, *, anew: bool = False) -> None:
        """Ask about a login at once, unless a request is already running.

        Args:
            login: The login.
            anew: Whether to ask again after a running request: its answer may be older than what
                has just changed.
        """
        if login.key in self._tasks and (anew or login.key in self._learning):
            self._anew.add(login.key)
        self._start(login, self._ask)

    def _start(
        self, login: KnownLogin, what: Callable[[KnownLogin], Coroutine[Any, Any, None]]
    ) -> None:
        if login.key not in self._tasks and not self._closed:
            task = asyncio.get_running_loop().create_task(what(login))
            self._tasks[login.key] = task
            task.add_done_callback(lambda _: self._done(login))

    def _done(self, login: KnownLogin) -> None:
        self._tasks.pop(login.key, None)
        self._learning.discard(login.key)
        if login.key in self._anew:
            self._anew.remove(login.key)
            self.ask(login)

    def close(self) -> None:
        """Stop asking."""
        self._closed = True
        for task in list(self._tasks.values()):
            task.cancel()

    async def _learn(self, login: KnownLogin) -> None:
        """Find out, while the websocket's handshake is recent, which header names the user.

        For a login at JupyterHub: when it ends.
        """
        if login.credential == "hub":
            async with self._slots:
                # If the Hub is down, the next socket will tell.
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(self._authority.learn_end(login), self._pace.timeout)
        if not self._authority.may_be_asserted(login):
            return
        async with self._slots:
            try:
                needs = self._authority.needs_assertion(login)
                login.by_assertion = await asyncio.wait_for(needs, self._pace.timeout)
            except Exception:  # noqa: BLE001 - a provider that is down: the next socket will tell
                login.by_assertion = False

    async def _ask(self, login: KnownLogin) -> None:
        async with self._slots:
            verdict = await self._verdict(login)
        self._ask_again(login, self._monotonic())
        if verdict in {None, "stale"}:
            self._logins.undecided(login)
        elif verdict == "yes":
            self._logins.accepted(login, authorized=True)
        else:
            self._logins.refused(login, barred=verdict == "denied")
            for other in self._logins.of_principal(login.principal):
                # Otherwise a user that was removed could continue with it.
                if other.snapshot is not None and not other.status.over:
                    self.ask(other)

    async def _verdict(self, login: KnownLogin) -> str | None:
        try:
            verdict = await asyncio.wait_for(self._authority.verdict(login), self._pace.timeout)
        except Exception as error:  # noqa: BLE001 - a provider that is down may raise anything
            verdict, why = None, type(error).__name__
        else:
            why = "no answer"
        self._note(login, why if verdict is None else "")
        return verdict

    def _note(self, login: KnownLogin, why: str) -> None:
        """Note whether the authority could be asked; log changes of the server's overall state."""
        before = self.failing
        if why:
            self._failures[login.key] = why
            self._failed_at[login.key] = self._monotonic()
            self._probe = self._probe or login.key
        else:
            self._forget_failure(login.key)
            self._answers_again()
        if why and not before:
            self._log.error(
                "Open logins cannot be validated again (%s). They go on as degraded: a user who is "
                "removed at the identity provider keeps open kernels meanwhile.",
                why,
            )
        elif before and not self.failing:
            self._failures.clear()  # of logins that were forgotten
            self._failed_at.clear()
            self._log.warning("Logins can be validated again")

    def _answers_again(self) -> None:
        """After an outage, ask about the logins that had no answer."""
        if self._probe is None:
            return
        self._probe = None
        for key in self._failures:
            known = self._logins.get(key)
            if known is not None:
                # A login that fails by itself is not asked about at each answer for another one.
                known.due = max(self._monotonic(), self._failed_at[key] + _RETRY_S)
                self._agenda.put(key, known.due)

    def _forget_failure(self, key: str) -> None:
        self._failures.pop(key, None)
        self._failed_at.pop(key, None)
