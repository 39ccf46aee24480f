"""The REST API: returns and revokes sessions. See ``openapi.json``.

The caller is a user that the identity provider names and the authorizer admits, or the operator
(see ``operator.py``). Requests other than GET need Jupyter's XSRF check, as in Jupyter's own API.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_session_user.core.colors import color_of
from jupyter_session_user.core.session import write_time
from jupyter_session_user.server.auth.gate import forget_login_cookie
from jupyter_session_user.server.web.agents import AGENT_ROUTES
from jupyter_session_user.server.web.handler import AUTH_RESOURCE, SessionUserHandler, permitted
from jupyter_session_user.server.web.logout import LOGOUT_ROUTES
from jupyter_session_user.server.web.runs import RUN_ROUTES
from jupyter_session_user.server.web.token_keys import TOKEN_ROUTES

if TYPE_CHECKING:
    from jupyter_session_user.core.session import Session
    from jupyter_session_user.server.auth.known_login import KnownLogin
    from jupyter_session_user.store.base import Record

__all__ = ["AUTH_RESOURCE", "ROUTES"]

_WHO = 'write {"username": "..."}, or no body for yourself'
_ONE_FOR_ALL = (
    "this server accepts every client that has its token, and a token cannot be revoked; restart "
    "the server with another token"
)


class MeHandler(SessionUserHandler):
    """The session of the caller."""

    @permitted
    async def get(self) -> None:
        """Respond with the session of this login without a kernel, and the server's time.

        ``changes_in``: seconds until time alone may change the state of the login, or None.
        ``consents``: services that wait for the user's consent; None if the server gives no access
        tokens.
        ``has_others``: whether the server knows sessions of other users. A page then shows names
        that Jupyter has made up. ``manages``: whether the caller may see and revoke all sessions.
        """
        mine = self.mine()
        if mine is None:
            raise web.HTTPError(404, "the operator has no session")
        model, user = self.model(mine), mine.session.user
        consents = self.context.consents
        self.answer(
            {
                **model,
                # As on the cards of kernels, and in Jupyter's own ``api/me``: see the gate.
                "user": {**model["user"], "color": color_of(user.username, user.color)},
                "changes_in": self._seconds_to_change(mine.key),
                "consents": None if consents is None else consents.of(mine),
                "has_others": _has_others(mine, self.context.store),
                "manages": not self.is_agent() and self.manages(mine),
                "server_time": write_time(datetime.now(timezone.utc)),
            }
        )

    def _seconds_to_change(self, key: str) -> float | None:
        """Return when the page should ask again; its own requests are no user activity.

        The idle timeout is no end to show before it is near, so ``expires_at`` does not have it.
        """
        at = self.context.logins.known.agenda.time_of(self.context.logins.canonical(key))
        return None if at is None else round(max(0.0, at - time.monotonic()), 3)


class SessionsHandler(SessionUserHandler):
    """The sessions of this server."""

    @permitted
    async def get(self) -> None:
        """Respond with the caller's own sessions; for an administrator, with all sessions."""
        mine = self.mine()
        paths = await self._paths()
        self.answer(
            [
                {
                    **self.model(record),
                    "path": paths.get(record.session.kernel_id),
                    "last_cell": self._last_cell(record.session),
                }
                for record in self.context.store
                if self.may_touch(record, mine)
            ]
        )

    def _last_cell(self, session: Session) -> dict[str, Any] | None:
        """Return when the session last ran code on its kernel, and the cell if the client said it.

        Never another session's: the users of a shared kernel run the same cells.
        """
        runs = self.context.executions.runs
        if runs is None or session.kernel_id is None:
            return None
        run = runs.of_session(session.kernel_id, session.id)
        if run is None:
            return None
        start = datetime.fromtimestamp(run.start, timezone.utc)
        return {"cell_id": run.cell_id, "start": write_time(start)}

    async def _paths(self) -> dict[str | None, str]:
        """Return the path of the notebook of each kernel that has one, as ``api/sessions`` has."""
        try:
            open_ones = await self.session_manager.list_sessions()
            return {one["kernel"]["id"]: one["path"] for one in open_ones if one.get("kernel")}
        except (web.HTTPError, LookupError, OSError):
            return {}  # a gateway that cannot be asked; the list of logins is needed all the more


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
        await self.save()
        self.set_status(204)
        self.finish()


class LogoutEverywhereHandler(SessionUserHandler):
    """All logins of a user."""

    @permitted
    async def post(self) -> None:
        """Revoke the caller's logins; for an administrator, those of ``username``."""
        self.refuse_without_login()
        mine = self.mine()
        if mine is not None and self.returns_by_token(mine):
            raise web.HTTPError(409, _ONE_FOR_ALL)
        principals = self._requested_principals(mine)
        revoked = sum(
            self.context.logins.end_principal(principal, "revoked") for principal in principals
        )
        if mine is not None and mine.principal in principals:
            forget_login_cookie(self)
        await self.save()
        self.answer({"revoked": revoked})

    def _requested_principals(self, mine: Record | None) -> set[str]:
        """Return the requested principals; for an administrator, also one without a session here.

        Other users may not name one: the name alone may come from a cookie that a client wrote.
        """
        principals, name = _principals(self._meant(mine)), self.username()
        named = self.manages(mine) and name is not None
        return principals | {f"user:{name}"} if named else principals

    def returns_by_token(self, mine: Record) -> bool:
        """Tell whether the caller could log in again at once with the server's token."""
        return mine.session.user.is_anonymous and bool(self.identity_provider.token)

    def _meant(self, mine: Record | None) -> list[Record | KnownLogin]:
        """Return the sessions that the request is about.

        Raises:
            HTTPError: The request is malformed, or the caller is not permitted to send it.
        """
        name = self.username()
        if mine is not None and name in {None, mine.session.user.username}:
            return [mine]
        if name is None:
            raise web.HTTPError(400, _WHO)
        if not self.manages(mine):
            raise web.HTTPError(403, "only an administrator may revoke another user's logins")
        # Before a user opens a kernel or a page of JupyterLab, the login has no session.
        logins = [login for login in self.context.logins if login.principal == f"user:{name}"]
        records = [r for r in self.context.store if r.session.user.username == name]
        return [*records, *logins]


def _has_others(mine: Record, records: Iterable[Record]) -> bool:
    """Tell whether there are sessions of other users.

    A browser that has the server's token and a cookie has two principals. The first names no user.
    """
    people: set[str] = set()
    for record in records:
        if not _shares_a_token(record) and record.principal != mine.principal:
            people.add(record.principal)
        if len(people) > int(_shares_a_token(mine)):
            return True
    return False


def _principals(meant: Collection[Record | KnownLogin]) -> set[str]:
    """Return the principals of these logins.

    Raises:
        HTTPError: All of them belong to clients that send only the server's token.
    """
    principals = {one.principal for one in meant if not _shares_a_token(one)}
    if meant and not principals:
        raise web.HTTPError(409, _ONE_FOR_ALL)
    return principals


def _is_service(record: Record) -> bool:
    """Tell whether a service of JupyterHub sends the request: see ``Capture.login_of``."""
    return record.principal.startswith("service:")


def _shares_a_token(one: Record | KnownLogin) -> bool:
    """Tell whether a login's credential is the server's token, which other clients may have."""
    return one.principal.startswith("token:")


class RevalidateHandler(SessionUserHandler):
    """Asks the authority about a user's logins at once: after a logout at JupyterHub, say."""

    @permitted
    async def post(self) -> None:
        """Ask about the logins of ``username``; for administrators and services of the Hub.

        The caller ends nothing, since the authority decides. So a service of the Hub, which is no
        administrator, may name any user. Other users may not: each question is a request to the
        authority.
        """
        self.refuse_without_login()
        mine, name = self.mine(), self.username()
        if mine is not None and not (self.manages(mine) or _is_service(mine)):
            raise web.HTTPError(403, "only an administrator may have the server ask about logins")
        if name is None:
            raise web.HTTPError(400, 'write {"username": "..."}')
        logins = [
            login
            for login in self.context.logins.of_principal(f"user:{name}")
            if login.snapshot is not None and not login.status.over
        ]
        for login in logins:
            self.context.revalidation.ask(login, anew=True)
        self.set_status(202)
        self.answer({"asked": len(logins)})


class HealthHandler(SessionUserHandler):
    """The extension's report on its own health, for administrators."""

    @permitted
    async def get(self) -> None:
        """Respond with what keeps logins, packages and a gateway from working as they should."""
        mine = self.mine()
        if mine is not None and not mine.administers:
            raise web.HTTPError(403, "only an administrator may see the health of the server")
        unknown = self.context.kernels.senders.seen()
        refused = self.context.kernels.gateway_starts.refused()
        self.answer(
            {
                "revalidation_failing": self.context.revalidation.failing or None,
                "senders_without_user": [
                    {"package": package, "messages": count} for package, count in unknown.items()
                ],
                "refused_by_gateway": [
                    {"username": name or None, "kernels": count} for name, count in refused.items()
                ],
            }
        )


class NotFoundHandler(SessionUserHandler):
    """All other addresses of this API: the error is JSON, so that a program can read it."""

    @permitted
    async def get(self) -> None:
        """Respond with status 404."""
        raise web.HTTPError(404, "no such resource; see docs/server.md for those that exist")


ROUTES: list[tuple[str, type[APIHandler]]] = [
    (r"api/session-user/me", MeHandler),
    (r"api/session-user/sessions", SessionsHandler),
    (r"api/session-user/sessions/([\w-]+)", SessionHandler),
    (r"api/session-user/logout-everywhere", LogoutEverywhereHandler),
    (r"api/session-user/revalidate", RevalidateHandler),
    (r"api/session-user/health", HealthHandler),
    *AGENT_ROUTES,
    *LOGOUT_ROUTES,
    *RUN_ROUTES,
    *TOKEN_ROUTES,
    (r"api/session-user/.*", NotFoundHandler),
]
