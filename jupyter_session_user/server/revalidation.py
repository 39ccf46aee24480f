"""Asking again: Jupyter looks at a login only when a websocket opens.

The identity provider and the authorizer are asked about the login's latest request once
more, with a handler that answers nobody: they remember their answer on the handler, and may
set cookies. What cannot be decided changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

if TYPE_CHECKING:
    from tornado.web import Application

    from jupyter_session_user.server.capture import Capture, Evidence
    from jupyter_session_user.server.gate import Gate
    from jupyter_session_user.server.logins import KnownLogin, Logins

__all__ = ["Authority", "Revalidation"]

_REFUSALS = frozenset({401, 403})

#: How much earlier than the interval a login may be asked about, as a part of it: those that
#: came together (a server that starts, a lecture that begins) must not come together for ever.
_JITTER = 0.2


class _Shadow(APIHandler):
    """A handler for a request that came earlier; nobody reads its answer."""

    auth_resource = "kernels"


class _Nobody:
    """The connection of a request that nobody waits for."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def set_close_callback(self, callback: Any) -> None:
        """Ignore it: there is nothing to close."""


class Authority:
    """Asks identity provider and authorizer about an earlier request.

    Args:
        application: The web application; None as long as there is none.
        gate: Knows the provider behind our own wrap.
        capture: Tells whose request it is.
    """

    def __init__(
        self, application: Callable[[], Application | None], gate: Gate, capture: Capture
    ) -> None:
        self._application = application
        self._gate = gate
        self._capture = capture

    async def verdict(self, login: KnownLogin) -> str | None:
        """Return ``yes``, ``no``, or ``denied`` where the authorizer says no; None: undecided."""
        application = self._application()
        if application is None or login.evidence is None:
            return None
        handler = _Shadow(application, _again(login.evidence))
        if not handler.identity_provider.auth_enabled:
            return "yes"
        try:
            user = await ensure_async(self._gate.ask(handler))
            if user is None or self._capture.login_of(handler, user).person != login.person:
                return "no"
            handler.current_user = user
            allowed = handler.authorizer.is_authorized(handler, user, "execute", "kernels")
            return "yes" if await ensure_async(allowed) else "denied"
        except HTTPError as error:
            return "no" if error.status_code in _REFUSALS else None


def _again(evidence: Evidence) -> HTTPServerRequest:
    request = HTTPServerRequest(
        method="GET",
        uri=evidence.uri,
        version=evidence.version,
        headers=evidence.headers.copy(),
        host=evidence.host,
        connection=_Nobody(evidence.context),  # type: ignore[arg-type]
    )
    request.remote_ip, request.protocol = evidence.remote_ip, evidence.protocol
    return request


class Revalidation:
    """Asks the authority about each login that has a websocket open, now and then.

    Args:
        logins: The logins.
        authority: Whom to ask.
        interval: How often, in seconds; None never asks by itself.
        timeout: How long an answer may take, in seconds.
        concurrency: How many are asked about at the same time.
        monotonic: The clock, in seconds.
        log: For failures, without their text.
    """

    def __init__(
        self,
        logins: Logins,
        authority: Authority,
        *,
        interval: float | None,
        timeout: float,
        concurrency: int,
        monotonic: Callable[[], float],
        log: logging.Logger,
    ) -> None:
        self._logins = logins
        self._authority = authority
        self._interval = interval
        self._timeout = timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._monotonic = monotonic
        self._log = log
        self._random = random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ask_those_due(self) -> None:
        """Ask about every login whose time has come."""
        if self._interval is None:
            return
        now = self._monotonic()
        for login in self._logins:
            if not (login.sockets or login.others):
                login.due = math.inf
            elif login.due == math.inf:
                login.due = now + self._pause(self._interval)
            elif login.due <= now:
                self.ask(login)

    def ask(self, login: KnownLogin) -> None:
        """Ask about a login at once, unless that is being done."""
        if login.key not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._ask(login))
            self._tasks[login.key] = task
            task.add_done_callback(lambda _: self._tasks.pop(login.key, None))

    def close(self) -> None:
        """Stop asking."""
        for task in list(self._tasks.values()):
            task.cancel()

    def _pause(self, interval: float) -> float:
        return interval * (1 - _JITTER * self._random.random())

    async def _ask(self, login: KnownLogin) -> None:
        async with self._slots:
            verdict = await self._verdict(login)
        if self._interval is not None:
            login.due = self._monotonic() + self._pause(self._interval)
        if verdict is None:
            self._logins.undecided(login)
        elif verdict == "yes":
            self._logins.accepted(login, authorized=True)
        else:
            self._logins.refused(login, barred=verdict == "denied")

    async def _verdict(self, login: KnownLogin) -> str | None:
        try:
            return await asyncio.wait_for(self._authority.verdict(login), self._timeout)
        except Exception as error:  # noqa: BLE001 - a provider that is down may raise anything
            self._log.warning("Nobody can say whether a login is good: %s", type(error).__name__)
            return None
