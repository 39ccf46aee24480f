"""Bokeh's and Panel's native ASGI apps (Bokeh 3.10): alone, in FastAPI, in Django.

``hosts/bokeh.py`` answers for their pages and callbacks; this file names the visitor of each
request. The name comes from the app's own authentication (``AuthPolicy``, Panel's logins), from
our middleware around the app, or from an authentication middleware around it. It never comes
from the session's token.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from weakref import ref

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts import asgi, bokeh, bokeh_asker
from jupyter_session_user.hosts.base import HostRequest, Unnamed, Visitor, agreed
from jupyter_session_user.hosts.middleware import user_of_framework
from jupyter_session_user.hosts.tornado import Asked, visitor_anew
from jupyter_session_user.kernel.message_context import run_detached
from jupyter_session_user.upstream import loaded, wrap
from jupyter_session_user.upstream.bokeh import (
    ASGI_AUTHENTICATES,
    ASGI_READS_REQUEST,
    ASGI_STARTS,
    auth_policy_of,
)

__all__ = ["HOST", "asker_of", "detaching"]

#: With ``--server fastapi`` the app around Panel's is Panel's own.
_COMMAND = "panel.command.serve"
#: The attribute of Bokeh's request that holds the visitor; it lives as long as the request. A
#: request compares by its fields and has no hash, so it cannot be a key of a dictionary of ours.
_ASKER = "jupyter_session_user_asker"


class _BokehASGI(bokeh.Part):
    """The layer between Bokeh's host and the ASGI server."""

    name = "bokeh_asgi"

    def install(self) -> None:
        """Wrap the start of a page or a websocket; safe to repeat."""
        try:
            app = loaded("bokeh", "bokeh.server.asgi", "BokehASGI")
            core = loaded("bokeh", "bokeh.server.core", "BokehServerCore")
            wrap(app, ASGI_READS_REQUEST, _noting_request, "bokeh")
            wrap(app, ASGI_AUTHENTICATES, _noting_user, "bokeh")
            wrap(core, "new_connection", _noting_connection, "bokeh")
            wrap(app, ASGI_STARTS, detaching, "bokeh")
        except IdentityUnavailable as error:
            bokeh.HOST.broken = error
        bokeh_asker.of_first_request = _of_first_request
        # The page or callback takes precedence over the request around it, which may be another
        # visitor's: one visitor's callback can add a callback to another visitor's document.
        bokeh.known_better(asgi.current_request)


HOST = _BokehASGI()


class _Asker:
    """One request or one websocket, in the place of a handler of Bokeh's own server.

    Args:
        app: The ASGI app; None if the request began before our import.
        request: Bokeh's ``ServerRequest``.
        came: The cookies and headers of the request.
        mounted: Whether the app is part of a Starlette or FastAPI app.

    Attributes:
        connection: Bokeh's connection, once it exists; None for a page.
    """

    def __init__(self, app: Any, request: Any, came: HostRequest, *, mounted: bool = False) -> None:
        self._app = app
        self._came = came
        self._mounted = mounted
        self._served = asgi.current_request.get()
        self._policy = auth_policy_of(app)
        #: The user that an authentication middleware around the app named.
        self._around = request.user
        #: The user that the app's own policy named.
        self.named: Any = None
        self.connection: Any = None
        self._visitor: Visitor | None = None

    def visitor(self, key: str) -> Visitor | None:
        """Return the visitor of the request; None for a mounted app without authentication."""
        if self._visitor is None:
            self._visitor = self.visitor_anew(key)
        return self._visitor

    def visitor_anew(self, key: str) -> Visitor | None:
        """Return the same visitor, for another session than the request's own."""
        source = "panel" if "panel.io.asgi" in sys.modules else "bokeh"
        try:
            return self._find(source, key)
        except IdentityUnavailable as error:  # the page itself can do without a name
            return Unnamed(source, error)

    def _find(self, source: str, key: str) -> Visitor | None:
        asked = Asked(source, self._came, self._policy, self.named)
        own, outer = visitor_anew(asked, key), self._outer(source, key)
        if outer is None:
            nobody_says = self._mounted and own.user is None and self._around is None
            return None if nobody_says else own
        chosen = agreed(own.session(), outer.session())
        return own if chosen is own.session() else outer

    def _outer(self, source: str, key: str) -> Visitor | None:
        """Return the user of our middleware, else of another middleware; None without one."""
        session = None if self._served is None else self._served.session()
        if session is not None:
            return Visitor.within(source, session, request=self._came, key=key)
        user = user_of_framework(self._around)
        if user is None:
            return None
        return Visitor(source, user, verified=True, request=self._came, key=key)


def _noting_request(original: Any) -> Any:
    """Wrap ``_request``, which begins each page and each websocket."""

    def request_of(self: Any, scope: Any) -> Any:
        request = original(self, scope)
        mounted = "app" in scope and _COMMAND not in sys.modules
        asker = _Asker(self, request, asgi.request_of(scope), mounted=mounted)
        setattr(request, _ASKER, asker)
        bokeh.begin_request(ref(asker))
        return request

    return request_of


def _noting_user(original: Any) -> Any:
    """Wrap ``_authenticate``, which runs for each page and websocket before its session."""

    async def authenticate(self: Any, request: Any) -> Any:
        passed = await original(self, request)
        asker = asker_of(request)
        if asker is not None and auth_policy_of(self) is not None:
            asker.named = request.user
        return passed

    return authenticate


def _noting_connection(original: Any) -> Any:
    """Wrap ``new_connection``, which gives the websocket its document."""

    def new_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = original(self, *args, **kwargs)
        asker = bokeh.current_handler()
        if isinstance(asker, _Asker):
            asker.connection = connection
            bokeh.note_document(connection.session.document)
        return connection

    return new_connection


def detaching(original: Any) -> Any:
    """Wrap the start, which the first request triggers: timers and hooks are not that request's."""

    async def ensure_started(self: Any) -> None:
        await run_detached(asyncio.ensure_future, original(self))

    return ensure_started


def asker_of(request: Any) -> Any:
    """Return the visitor of a Bokeh ``ServerRequest`` that has passed this file; else None."""
    return getattr(request, _ASKER, None)


def _of_first_request(request: Any) -> Any:
    """Return the visitor of a request that began before our import."""
    if not isinstance(request, loaded("bokeh", "bokeh.server.request", "ServerRequest")):
        return None
    asker = asker_of(request)
    if asker is None:
        mounted = "fastapi" in sys.modules and _COMMAND not in sys.modules
        came = HostRequest.of(dict(request.headers).items())
        asker = _Asker(None, request, came, mounted=mounted)
        asker.named = request.user
        setattr(request, _ASKER, asker)
    return asker
