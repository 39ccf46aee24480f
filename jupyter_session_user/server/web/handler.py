"""The base class of the routes of the REST API: who may call them, and how they answer."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_session_user.errors import StoreUnavailable
from jupyter_session_user.server.messages.websocket import SETTING
from jupyter_session_user.upstream.jupyter_server import forget_user

if TYPE_CHECKING:
    from jupyter_session_user.server.context import ServerContext
    from jupyter_session_user.store.base import Record

__all__ = ["AUTH_RESOURCE", "SessionUserHandler", "permitted"]

#: The resource that an ``Authorizer`` is asked about, with the action ``read`` or ``write``.
AUTH_RESOURCE = "session-user"

_NO_LOGIN = "this server has no login, so no login can be ended; set a password or a token"
_WHO = 'write {"username": "..."}, or no body for yourself'
_IN_PERSON = "an agent may not manage logins and agents; its person may, from a browser"


def permitted(method: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Allow the operator, and users that are logged in and authorized."""
    for_people = web.authenticated(authorized(method))

    @functools.wraps(method)
    async def checked(self: SessionUserHandler, *args: str) -> None:
        if self.request.method != "GET" and self.is_agent():
            raise web.HTTPError(403, _IN_PERSON)
        answered = (method if self.is_operator else for_people)(self, *args)
        if answered is not None:
            await answered

    return checked


class SessionUserHandler(APIHandler):
    """Base class of all routes: their responses must not be cached."""

    auth_resource = AUTH_RESOURCE
    # A page's poll for its login is no user activity, and must not delay an idle shutdown.
    _track_activity = False
    is_operator = False

    @property
    def context(self) -> ServerContext:
        """The wired components of this server."""
        context: ServerContext = self.settings[SETTING]
        return context

    async def prepare(self) -> None:  # type: ignore[override]
        """Find the caller. The operator needs no identity, and no browser sends the secret."""
        operator = self.context.operator
        if operator is None or not operator.knows(self.request):
            await super().prepare()
            return
        forget_user(self)
        if not self.check_host():
            raise web.HTTPError(403)
        self.is_operator = True

    def is_agent(self) -> bool:
        """Tell whether an agent's token authenticates the request."""
        if self.is_operator or self.current_user is None:
            return False
        return self.context.capture.login(self).actor is not None

    def set_default_headers(self) -> None:
        """Forbid caching: the response differs between users (RFC 9111 section 5.2.2.5)."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Vary", "Cookie, Authorization")

    def answer(self, value: Any) -> None:
        """Finish with ``value`` as JSON."""
        self.finish(json.dumps(value))

    def mine(self) -> Record | None:
        """Return the caller's session without a kernel; None for the operator.

        Raises:
            HTTPError: No user is logged in.
        """
        record = self.context.capture.session_of(self, None)
        if record is None and not self.is_operator:
            raise web.HTTPError(403, "no user is logged in")
        return record

    def may_touch(self, record: Record, mine: Record | None) -> bool:
        """Tell whether a session is the caller's own, or the caller manages all sessions."""
        return self.manages(mine) or (mine is not None and record.principal == mine.principal)

    def manages(self, mine: Record | None) -> bool:
        """Tell whether the caller manages all sessions; the operator does."""
        return mine is None or self.context.capture.manages_sessions(mine)

    def username(self) -> str | None:
        """Return the user that the request's body names; None without one.

        Raises:
            HTTPError: The body is malformed.
        """
        body = self.get_json_body()
        name = body.get("username") if isinstance(body, dict) else body
        if not isinstance(name, str | None):
            raise web.HTTPError(400, _WHO)
        return name

    def refuse_without_login(self) -> None:
        """Raise an error if this server has no logins that could be ended.

        Raises:
            HTTPError: This server does not authenticate users.
        """
        if not self.identity_provider.auth_enabled:
            raise web.HTTPError(409, _NO_LOGIN)

    async def save(self) -> None:
        """Wait until ended logins would stay ended after a restart.

        Raises:
            HTTPError: The logins have ended, but a restart would forget that.
        """
        try:
            await self.context.logins.ended.saved()
        except StoreUnavailable as error:
            raise web.HTTPError(503, str(error)) from None

    def model(self, record: Record) -> dict[str, Any]:
        """Return a session for a client, with its relation to its kernel."""
        kernel_id = record.session.kernel_id
        if kernel_id is None or kernel_id not in self.kernel_manager:
            return record.session.public_model()
        manager = self.kernel_manager.get_kernel(kernel_id)
        owner = self.context.kernels.owner(manager)
        return {
            **record.session.public_model(),
            "owns_kernel": self.context.kernels.owns(record.principal, manager),
            "kernel_shared": self.context.kernels.speakers.is_shared(manager),
            "kernel_holds_cookies": self.context.kernels.speakers.holds_cookies(manager),
            "kernel_owner": owner.session.user.username if owner else None,
        }
