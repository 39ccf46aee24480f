"""REST: who am I here, and which sessions are there. Described in ``openapi.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_session_user.server.websocket import SETTING

if TYPE_CHECKING:
    from jupyter_session_user.server.context import ServerContext
    from jupyter_session_user.store.base import Record

__all__ = ["AUTH_RESOURCE", "ROUTES"]

#: The resource that an ``Authorizer`` is asked about, with the action ``read``.
AUTH_RESOURCE = "session-user"


class SessionUserHandler(APIHandler):
    """What all routes have in common: nothing of it may be cached."""

    auth_resource = AUTH_RESOURCE
    # A page that asks who is logged in is not somebody at work: idle shutdown must not wait.
    _track_activity = False

    @property
    def context(self) -> ServerContext:
        """The wired parts of this server."""
        context: ServerContext = self.settings[SETTING]
        return context

    def set_default_headers(self) -> None:
        """Forbid caches: the answer differs for each person (RFC 9111 section 5.2.2.5)."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Vary", "Cookie, Authorization")

    def answer(self, value: Any) -> None:
        """Finish with ``value`` as JSON."""
        self.finish(json.dumps(value))

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

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the session of this login, on no kernel."""
        record = self.context.capture.session_of(self, None)
        if record is None:
            raise web.HTTPError(403, "nobody is logged in")
        self.answer(self.model(record))


class SessionsHandler(SessionUserHandler):
    """The sessions of this server."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the caller's own sessions; with everybody's for an administrator."""
        mine = self.context.capture.session_of(self, None)
        if mine is None:
            raise web.HTTPError(403, "nobody is logged in")
        everything = mine.session.user.admin
        self.answer(
            [
                self.model(record)
                for record in self.context.store
                if everything or record.person == mine.person
            ]
        )


class NotFoundHandler(SessionUserHandler):
    """Any other address under ours: JSON too, so that a program can read the error."""

    @web.authenticated
    async def get(self) -> None:
        """Answer 404."""
        raise web.HTTPError(404, "no such resource; see docs/rest.md for those that exist")


ROUTES: list[tuple[str, type[SessionUserHandler]]] = [
    (r"api/session-user/me", MeHandler),
    (r"api/session-user/sessions", SessionsHandler),
    (r"api/session-user/.*", NotFoundHandler),
]
