"""REST: who am I here, which sessions are there, and away with them. See ``openapi.json``.

Who asks is a person whom the identity provider names and the authorizer lets, or the operator
(see ``operator.py``). What changes something takes Jupyter's XSRF check, as all its own does.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_session_user.core.session import write_time
from jupyter_session_user.server.websocket import SETTING

if TYPE_CHECKING:
    from jupyter_session_user.server.context import ServerContext
    from jupyter_session_user.server.logins import KnownLogin
    from jupyter_session_user.store.base import Record

__all__ = ["AUTH_RESOURCE", "ROUTES"]

#: The resource that an ``Authorizer`` is asked about, with the action ``read`` or ``write``.
AUTH_RESOURCE = "session-user"

_NO_LOGIN = "this server lets everybody in, so nobody can be shut out; set a password or a token"
_WHO = 'write {"username": "..."}, or no body for yourself'
_ONE_FOR_ALL = (
    "this client shows the server's token and nothing else, like every other client that has "
    "it; restart the server with another token"
)


def permitted(method: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Let in the operator, and who is logged in and authorized."""
    for_people = web.authenticated(authorized(method))

    @functools.wraps(method)
    async def checked(self: SessionUserHandler, *args: str) -> None:
        answered = (method if self.is_operator else for_people)(self, *args)
        if answered is not None:
            await answered

    return checked


class SessionUserHandler(APIHandler):
    """What all routes have in common: nothing of it may be cached."""

    auth_resource = AUTH_RESOURCE
    # A page that asks who is logged in is not somebody at work: idle shutdown must not wait.
    _track_activity = False
    is_operator = False

    @property
    def context(self) -> ServerContext:
        """The wired parts of this server."""
        context: ServerContext = self.settings[SETTING]
        return context

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks. The operator needs no identity, and no browser sends the secret."""
        operator = self.context.operator
        if operator is None or not operator.knows(self.request):
            await super().prepare()
            return
        self.current_user = self._jupyter_current_user = None
        if not self.check_host():
            raise web.HTTPError(403)
        self.is_operator = True

    def set_default_headers(self) -> None:
        """Forbid caches: the answer differs for each person (RFC 9111 section 5.2.2.5)."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Vary", "Cookie, Authorization")

    def answer(self, value: Any) -> None:
        """Finish with ``value`` as JSON."""
        self.finish(json.dumps(value))

    def mine(self) -> Record | None:
        """Return the session of whoever asks, on no kernel; None for the operator.

        Raises:
            HTTPError: Nobody is logged in.
        """
        record = self.context.capture.session_of(self, None)
        if record is None and not self.is_operator:
            raise web.HTTPError(403, "nobody is logged in")
        return record

    def may_touch(self, record: Record, mine: Record | None) -> bool:
        """Tell whether a session is the caller's own, or the caller may see everybody's."""
        return mine is None or mine.session.user.admin or record.person == mine.person

    def refuse_without_login(self) -> None:
        """Raise where there are no logins that could be over.

        Raises:
            HTTPError: This server authenticates nobody.
        """
        if not self.identity_provider.auth_enabled:
            raise web.HTTPError(409, _NO_LOGIN)

    def model(self, record: Record) -> dict[str, Any]:
        """Return a session for a client, with what it has to do with its kernel."""
        kernel_id = record.session.kernel_id
        if kernel_id is None or kernel_id not in self.kernel_manager:
            return record.session.public_model()
        manager = self.kernel_manager.get_kernel(kernel_id)
        owner = self.context.kernels.owner(manager)
        return {
            **record.session.public_model(),
            "owns_kernel": self.context.kernels.owns(record.person, manager),
            "kernel_owner": owner.session.user.username if owner else None,
        }


class MeHandler(SessionUserHandler):
    """The session of the browser or client that asks."""

    @permitted
    async def get(self) -> None:
        """Answer with the session of this login, on no kernel, and with the server's time."""
        mine = self.mine()
        if mine is None:
            raise web.HTTPError(404, "the operator has no session")
        self.answer({**self.model(mine), "server_time": write_time(datetime.now(timezone.utc))})


class SessionsHandler(SessionUserHandler):
    """The sessions of this server."""

    @permitted
    async def get(self) -> None:
        """Answer with the caller's own sessions; with everybody's for an administrator."""
        mine = self.mine()
        self.answer(
            [self.model(record) for record in self.context.store if self.may_touch(record, mine)]
        )


class SessionHandler(SessionUserHandler):
    """One session."""

    @permitted
    async def delete(self, session_id: str) -> None:
        """Revoke the login that the session belongs to, on every kernel."""
        self.refuse_without_login()
        mine = self.mine()
        record = self.context.store.get(session_id)
        if record is None or not self.may_touch(record, mine):
            raise web.HTTPError(404, "no such session")
        if _shares_a_token(record):
            raise web.HTTPError(409, _ONE_FOR_ALL)
        self.context.logins.end(record.key, "revoked")
        self.set_status(204)
        self.finish()


class LogoutEverywhereHandler(SessionUserHandler):
    """All logins of a person."""

    @permitted
    async def post(self) -> None:
        """Revoke the caller's logins; those of ``username`` for who may see everybody's."""
        self.refuse_without_login()
        mine = self.mine()
        persons = _persons(self._meant(mine))
        revoked = sum(self.context.logins.end_person(person, "revoked") for person in persons)
        if mine is not None and mine.person in persons:
            self._forget_cookie()
        self.answer({"revoked": revoked})

    def _forget_cookie(self) -> None:
        """Clear the login cookie, past our own wrapper: this was no signing out."""
        clear = self.identity_provider.clear_login_cookie
        getattr(clear, "__wrapped__", clear)(self)

    def _meant(self, mine: Record | None) -> list[Record | KnownLogin]:
        """Return sessions of everybody whom the request is about.

        Raises:
            HTTPError: It says nothing that can be meant, or the caller may not say it.
        """
        name = self._username()
        if mine is not None and name in {None, mine.session.user.username}:
            return [mine]
        if name is None:
            raise web.HTTPError(400, _WHO)
        if mine is not None and not mine.session.user.admin:
            raise web.HTTPError(403, "only an administrator may log somebody else out")
        # Who has opened no kernel and no page of JupyterLab yet has a login and no session.
        logins = [login for login in self.context.logins if login.person == f"user:{name}"]
        records = [r for r in self.context.store if r.session.user.username == name]
        return [*records, *logins]

    def _username(self) -> str | None:
        body = self.get_json_body()
        name = body.get("username") if isinstance(body, dict) else body
        if not isinstance(name, str | None):
            raise web.HTTPError(400, _WHO)
        return name


def _persons(meant: Collection[Record | KnownLogin]) -> set[str]:
    """Return whose logins these are.

    Raises:
        HTTPError: All of them are of clients with the server's token alone.
    """
    persons = {one.person for one in meant if not _shares_a_token(one)}
    if meant and not persons:
        raise web.HTTPError(409, _ONE_FOR_ALL)
    return persons


def _shares_a_token(one: Record | KnownLogin) -> bool:
    return one.credential == "token"


class NotFoundHandler(SessionUserHandler):
    """Any other address under ours: JSON too, so that a program can read the error."""

    @permitted
    async def get(self) -> None:
        """Answer 404."""
        raise web.HTTPError(404, "no such resource; see docs/server.md for those that exist")


ROUTES: list[tuple[str, type[SessionUserHandler]]] = [
    (r"api/session-user/me", MeHandler),
    (r"api/session-user/sessions", SessionsHandler),
    (r"api/session-user/sessions/([\w-]+)", SessionHandler),
    (r"api/session-user/logout-everywhere", LogoutEverywhereHandler),
    (r"api/session-user/.*", NotFoundHandler),
]
