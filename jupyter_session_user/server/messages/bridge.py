"""Answers the requests of kernels: the server's end of the comm.

``Answers`` makes the decisions, and knows no transport. ``Bridge`` keeps one link per kernel; a
link (``server/messages/link.py``) transports messages.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

from jupyter_server.gateway.managers import GatewayKernelManager
from tornado.web import decode_signed_value

from jupyter_session_user.core.cookies import CookieJar, Cookies, cookies_to_wire
from jupyter_session_user.core.executions import storable
from jupyter_session_user.core.protocol import Reply, Request, Update
from jupyter_session_user.core.session import OVER
from jupyter_session_user.errors import (
    AccessTokenUnavailable,
    ConsentRequired,
    DatabaseUnavailable,
    IdentityTokenUnavailable,
    SessionExpired,
    SessionUserError,
)
from jupyter_session_user.server.messages.executions import Executions
from jupyter_session_user.server.messages.gateway_link import GatewayLink
from jupyter_session_user.server.messages.link import Link, ZmqLink
from jupyter_session_user.server.messages.repeats import Repeats

if TYPE_CHECKING:
    import logging

    from jupyter_client.manager import KernelManager

    from jupyter_session_user.core.policy import CookiePolicy
    from jupyter_session_user.core.session import Session as UserSession
    from jupyter_session_user.server.auth.succession import Succession
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["Answers", "Bridge", "Issue", "Lend"]

#: ``(record, audience, lifetime, kernel_id) -> result``: issues an identity token.
Issue = Callable[["Record", str, float, str], dict[str, Any]]
#: ``(record, name, kernel_id) -> result``: gives a database login, or an access token.
Lend = Callable[["Record", str, str], Awaitable[dict[str, Any]]]


def no_tokens(*_: object) -> NoReturn:
    """Refuse: the administrator allows no audience.

    Raises:
        IdentityTokenUnavailable: Always.
    """
    raise IdentityTokenUnavailable(
        "this server issues no identity tokens; its administrator can set "
        "c.JupyterSessionUser.token_audiences",
        reason="off",
    )


_NO_DATABASES = DatabaseUnavailable(
    "this server gives no database logins; its administrator can set "
    "c.JupyterSessionUser.databases",
    reason="off",
)

_NO_ACCESS_TOKENS = AccessTokenUnavailable(
    "this server gives no access tokens; its administrator can set "
    "c.JupyterSessionUser.token_exchange",
    reason="off",
)

_REFUSALS = (AccessTokenUnavailable, ConsentRequired, DatabaseUnavailable, SessionExpired)
#: What the audit calls a refusal of what others would take as the user.
_REFUSED = {
    "access_token": "access_token_refused",
    "database_login": "database_login_refused",
    "identity_token": "identity_token_refused",
}
#: Characters of a name in the audit: it is what code in the kernel wrote.
_MAX_NAME = 200
#: Operations that need a valid login.
_OF_A_LOGIN = frozenset({"access_token", "cookies", "database_login", "identity_token", "signed"})


class Answers:
    """Decides the replies to kernels.

    Args:
        store: The session records.
        policy: Which cookies may go to a kernel.
        owns: ``(principal, kernel_id) -> bool``: whether only that user uses the kernel.
        visitor: ``kernel_id -> record``: the visitor for whom a runner made that kernel, if any.
        cookie_secret: Returns the secret that this server's Tornado signs cookies with; the secret
            is never sent.
        succession: Finds the later logins of a kernel's users; None if users cannot log in again.
        gave: Called with the id of a kernel when it gets cookies that a shared kernel never gets.

    Attributes:
        executions: Records which cookies, tokens and database logins a kernel got, and which of
            the latter two it was refused.
        issue: Issues identity tokens.
        lend: Gives database logins; None if the administrator names no database.
        exchange: Gives access tokens of the institution; None if none are configured.
    """

    def __init__(
        self,
        store: SessionStore,
        policy: CookiePolicy,
        owns: Callable[[str, str], bool],
        visitor: Callable[[str], Record | None],
        cookie_secret: Callable[[], Any],
        succession: Succession | None = None,
        gave: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._owns = owns
        self._visitor = visitor
        self._secret = cookie_secret
        self._succession = succession
        self._gave = gave
        self._repeats = Repeats()
        self.executions = Executions()
        self.issue: Issue = no_tokens
        self.lend: Lend | None = None
        self.exchange: Lend | None = None

    def answer(self, kernel_id: str, request: Request) -> Reply | asyncio.Future[Reply]:
        """Return the reply to a request that came from this kernel, or its future."""
        self.executions.counts.questions += 1
        if request.operation == "watch":
            return self._watch(kernel_id, request)
        if request.operation == "visitor":
            record = self._visitor(kernel_id)
        else:
            record = self._store.get(request.session_id)
        if record is None or record.session.kernel_id != kernel_id:
            why = "the server knows no such session on this kernel (any more)"
            return self._refuse(kernel_id, None, request, "no_session", why)
        state = record.session.state
        if (
            state in OVER
            and request.operation in _OF_A_LOGIN
            and not (self._succession and self._succession.carries_on(record))
        ):
            why = "the login is over"
            return self._refuse(kernel_id, record, request, f"session_{state}", why)
        if request.operation not in _OF_A_LOGIN:
            return self._decide(record, request)
        # After a change of the login, or if another user joins the kernel, it is decided anew.
        own = self._owns(record.principal, kernel_id)
        asked = kernel_id, request, record.session.revision, own
        return self._repeats.reply(asked, lambda: self._decide(record, request))

    def _refuse(
        self, kernel_id: str, record: Record | None, request: Request, error: str, message: str
    ) -> Reply | asyncio.Future[Reply]:
        """Refuse a request before it is decided; of a repeated one, the audit has one record."""

        def decide() -> Reply:
            self._record_refused(kernel_id, record, request, error)
            return Reply(request.id, error=error, message=message)

        if request.operation not in _REFUSED:
            return decide()
        return self._repeats.reply((kernel_id, request, error), decide)

    def _record_refused(
        self, kernel_id: str, record: Record | None, request: Request, error: str
    ) -> None:
        """Record what a kernel asked for and did not get.

        A session of another kernel names no user here: its user has not asked.
        """
        kind = _REFUSED.get(request.operation)
        if kind is not None:
            session = None if record is None else record.session
            detail = f"{storable(request.name[:_MAX_NAME])}: {error}"
            self.executions.note(kind, session, kernel_id, detail)

    def _decide(self, record: Record, request: Request) -> Reply | asyncio.Future[Reply]:
        operations: dict[str, Callable[[Record, Request], Reply | asyncio.Future[Reply]]] = {
            "access_token": self._access_token,
            "cookies": self._cookies,
            "database_login": self._database_login,
            "identity_token": self._identity_token,
            "last_run": self._last_run,
            "refresh": self._refresh,
            "signed": self._signed,
            "visitor": self._refresh,
        }
        return operations[request.operation](record, request)

    def _refresh(self, record: Record, request: Request) -> Reply:
        return Reply(request.id, {"session": record.session.to_wire()})

    def _watch(self, kernel_id: str, request: Request) -> Reply:
        sessions = [record.session for record in self._store.on_kernel(kernel_id)]
        changed = [s.to_wire() for s in sessions if s.state != "active" or s.degraded]
        begun = self._succession.next_logins(kernel_id) if self._succession else []
        return Reply(request.id, {"sessions": [*changed, *(s.to_wire() for s in begun)]})

    def _cookies(self, record: Record, request: Request) -> Reply:
        jar = self._jar(record)
        self._record_given(record, jar)
        return Reply(request.id, cookies_to_wire(jar))

    def _signed(self, record: Record, request: Request) -> Reply:
        found = [c for c in self._jar(record).cookies if c.name == request.name]
        if len(found) != 1 or found[0].too_large:
            return Reply(request.id, error="no_cookie", message="no such cookie, or several")
        self._record_given(record, CookieJar((found[0],)))
        value = decode_signed_value(
            self._secret(),
            request.name,
            Cookies(CookieJar((found[0],)))[request.name],  # as in Tornado's get_signed_cookie
            max_age_days=request.max_age_days,
        )
        text = None if value is None else value.decode("utf-8", "replace")
        return Reply(request.id, {"value": text})

    def _record_given(self, record: Record, jar: CookieJar) -> None:
        if self.executions.active:
            names = ", ".join(sorted({cookie.name for cookie in jar.cookies}))
            session = record.session
            self.executions.note("cookies", session, session.kernel_id, names or "none")

    def _last_run(self, record: Record, request: Request) -> Reply:
        runs = self.executions.runs
        run = None if runs is None else runs.latest(record.session.kernel_id or "", request.name)
        return Reply(request.id, {"run": None if run is None else run.to_wire()})

    def _identity_token(self, record: Record, request: Request) -> Reply:
        kernel_id = record.session.kernel_id or ""
        record = self._open(record)
        try:
            result = self.issue(record, request.name, request.lifetime, kernel_id)
        except (IdentityTokenUnavailable, SessionExpired) as refusal:
            self._record_refused(kernel_id, record, request, refusal.code)
            return Reply(request.id, error=refusal.code, message=str(refusal))
        self.executions.note("identity_token", record.session, kernel_id, request.name)
        return Reply(request.id, result)

    def _database_login(self, record: Record, request: Request) -> Reply | asyncio.Future[Reply]:
        return self._lent(record, request, self.lend, _NO_DATABASES)

    def _access_token(self, record: Record, request: Request) -> Reply | asyncio.Future[Reply]:
        return self._lent(record, request, self.exchange, _NO_ACCESS_TOKENS)

    def _lent(
        self, record: Record, request: Request, lend: Lend | None, off: SessionUserError
    ) -> Reply | asyncio.Future[Reply]:
        """Reply with what takes time to get, or with the error ``off`` where that is not set up."""
        kernel_id = record.session.kernel_id or ""
        if lend is None:
            self._record_refused(kernel_id, record, request, off.code)
            return Reply(request.id, error=off.code, message=str(off))
        return asyncio.ensure_future(self._ask(record, request, kernel_id, lend))

    async def _ask(self, record: Record, request: Request, kernel_id: str, lend: Lend) -> Reply:
        record = self._open(record)
        try:
            result = await lend(record, request.name, kernel_id)
        except _REFUSALS as refusal:
            self._record_refused(kernel_id, record, request, refusal.code)
            url = refusal.login_url if isinstance(refusal, ConsentRequired) else ""
            return Reply(request.id, error=refusal.code, message=str(refusal), login_url=url)
        self.executions.note(request.operation, record.session, kernel_id, request.name)
        return Reply(request.id, result)

    def _open(self, record: Record) -> Record:
        """Return the record of the login that is open: an expired one may have an heir."""
        heir = self._succession.heir(record) if self._succession else None
        return record if heir is None else self._store.get(heir.id) or record

    def _jar(self, record: Record) -> CookieJar:
        """Return the record's cookies that its kernel may see."""
        own = self._owns(record.principal, record.session.kernel_id or "")
        visible = self._policy.visible(record.cookies.cookies, own_kernel=own)
        withheld = record.cookies.withheld if own else frozenset()
        if own and not all(self._policy.is_shared(cookie.name) for cookie in visible.cookies):
            self._gave(record.session.kernel_id or "")
        return dataclasses.replace(
            record.cookies, cookies=visible.cookies, withheld=withheld, shared=not own
        )


class Bridge:
    """Keeps a link to each kernel that has a client.

    Attributes:
        answers: Decides the replies to kernels.

    Args:
        answers: Decides the replies to kernels.
        limiter: Makes, for one kernel, the function that tells whether a message is within the rate
            limit. Other messages are dropped unread, so that a flood costs other users nothing.
        log: Log for failures.
    """

    def __init__(
        self, answers: Answers, limiter: Callable[[], Callable[[], bool]], log: logging.Logger
    ) -> None:
        self.answers = answers
        self._limiter = limiter
        self._log = log
        self._links: dict[str, Link] = {}

    def attach(self, manager: KernelManager) -> Link:
        """Listen to this kernel, and return the link; cheap if the link exists already."""
        kernel_id = manager.kernel_id
        link = self._links.get(kernel_id)
        if link is None or not link.is_current():
            self.detach(kernel_id)
            kind = GatewayLink if isinstance(manager, GatewayKernelManager) else ZmqLink
            link = kind(manager, self._limiter(), self.answers.answer, self._log)
            self._links[kernel_id] = link
        return link

    def detach(self, kernel_id: str) -> None:
        """Stop listening to a kernel; harmless if it was not attached."""
        link = self._links.pop(kernel_id, None)
        if link is not None:
            link.close()

    def kernels(self) -> list[str]:
        """Return the ids of the kernels that can receive updates."""
        return list(self._links)

    def send_update(self, kernel_id: str, event: str, session: UserSession) -> None:
        """Send a session update to a kernel, if the kernel subscribed to updates.

        Args:
            kernel_id: The kernel.
            event: One of the protocol's events.
            session: The session after the event; its revision has increased.
        """
        link = self._links.get(kernel_id)
        if link is not None:
            link.send_update(Update(event, session))

    def close(self) -> None:
        """Detach all kernels."""
        for kernel_id in list(self._links):
            self.detach(kernel_id)
