"""Shiny for Python: the visitor of the session that owns the running effect, output or handler.

Shiny has one queue of effects in a process. A click of one visitor also runs the effects that it
invalidates in other visitors' sessions, in the task of that click's websocket. So the request
around the code does not identify the visitor. The session does, which Shiny enters for each effect.

All private names of Shiny are in this file: ``AppSession._run`` and ``_unhandled_error``,
``_current_session``,
``session_context``, ``_reactive_environment.on_flushed``, ``ExtendedTask._invocation_queue``.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any
from weakref import WeakKeyDictionary

from jupyter_session_user.errors import AccessDenied, IdentityUnavailable
from jupyter_session_user.hosts import asgi
from jupyter_session_user.hosts.base import Host, HostSession, Visitor
from jupyter_session_user.hosts.middleware import Served, serving
from jupyter_session_user.kernel.made_up import VARIABLE
from jupyter_session_user.upstream import loaded, unsupported, wrap

__all__ = ["HOST"]

#: The request behind each session of Shiny.
_requests: WeakKeyDictionary[Any, Served | None] = WeakKeyDictionary()
#: The visitors of sessions that no middleware knows.
_open: WeakKeyDictionary[Any, Visitor] = WeakKeyDictionary()

_modules = sys.modules


class _Shiny:
    name = "shiny"

    def __init__(self) -> None:
        self.variable: ContextVar[Any] | None = None
        self.broken: IdentityUnavailable | None = None
        self.has_served = False

    def current(self) -> HostSession | None:
        variable = self.variable
        if variable is None:  # Shiny's own names have changed
            if self.broken is not None and asgi.HOST.serving():
                raise self.broken
            return None
        session = variable.get(None)
        if session is None or session.is_stub_session():  # Express draws a page with a stub
            return None
        if self.broken is not None:
            raise self.broken
        served = _requests.get(session.root_scope())
        if served is None:
            if os.environ.get(VARIABLE):
                return _visitor_without_middleware(session.root_scope()).session()
            raise IdentityUnavailable(
                "Nothing says whose session of Shiny this is. Put SessionUserMiddleware around the "
                "app: app.starlette_app.add_middleware(SessionUserMiddleware, user=…).",
                reason="no_context",
            )
        return served.session()

    def install(self) -> None:
        """Wrap the start of a session, and the places where Shiny loses a function's session."""
        try:
            session = loaded("shiny", "shiny.session._session", "AppSession")
            task = loaded("shiny", "shiny.reactive._extended_task", "ExtendedTask")
            environment = loaded("shiny", "shiny.reactive._core", "_reactive_environment")
            entering = loaded("shiny", "shiny.session._utils", "session_context")
            wrap(session, "_run", _keeping_request, "shiny")
            wrap(session, "_unhandled_error", _notifying, "shiny")
            wrap(task, "invoke", _queueing, "shiny")
            wrap(environment, "on_flushed", functools.partial(_registering, entering), "shiny")
            wrapped = _entering(entering)
            for name, module in list(_modules.items()):
                if name.startswith("shiny.") and vars(module).get("session_context") is entering:
                    vars(module)["session_context"] = wrapped
            self.variable = loaded("shiny", "shiny.session._utils", "_current_session")
        except IdentityUnavailable as error:
            self.broken = error

    def serving(self) -> bool:
        return self.has_served


def _visitor_without_middleware(session: Any) -> Visitor:
    """Return the visitor of a session that no middleware knows: a user may be made up there.

    ``session.user`` is the user that a platform names, such as Posit Connect.
    """
    visitor = _open.get(session)
    if visitor is None:
        scope = session.http_conn.scope
        named = asgi.HOST.serving() or asgi.is_named(scope) or session.user is not None
        request = asgi.request_of(scope)
        visitor = Visitor("shiny", None, verified=False, request=request, authenticates=named)
        _open[session] = visitor
    return visitor


def _keeping_request(original: Any) -> Any:
    """Wrap the whole life of a session: keep its request with it, and not in the context around it.

    Code inside without a session, such as an effect of a module, has no visitor.
    """

    async def _run(self: Any) -> None:
        _host.has_served = True
        _requests[self] = asgi.current_request.get()
        with serving(asgi.current_request, None):
            await original(self)

    return _run


def _notifying(original: Any) -> Any:
    """Wrap the end of a session by an error in an effect: a refusal only shows a notification."""

    async def _unhandled_error(self: Any, error: Exception) -> None:
        if not isinstance(error, AccessDenied):
            return await original(self, error)  # type: ignore[no-any-return]
        show = loaded("shiny", "shiny.ui", "notification_show")
        show(error.sentence, type="error", duration=None, session=self)
        return None

    return _unhandled_error


def _entering(original: Any) -> Any:
    """Wrap the entry into a session: no binding passes in from outside, and none stays open."""

    @contextmanager
    def session_context(session: Any) -> Iterator[None]:
        with serving(asgi.current_request, asgi.current_request.get()), original(session):
            yield

    return session_context


def _registering(entering: Any, original: Any) -> Any:
    """Run a callback after each flush in the session that registered it.

    Shiny itself runs it in the session of the last click.
    """

    def on_flushed(function: Any, *args: Any, **kwargs: Any) -> Any:
        variable = _host.variable
        session = None if variable is None else variable.get(None)

        async def flushed() -> None:
            with _entering(entering)(session):
                await function()

        return original(flushed, *args, **kwargs)

    return on_flushed


def _queueing(original: Any) -> Any:
    """Run a call that waits for the task's previous call as the visitor that made it.

    Shiny starts it in the context of the previous call.
    """

    def invoke(self: Any, *args: Any, **kwargs: Any) -> None:
        queue = getattr(self, "_invocation_queue", None)
        if queue is None:
            _host.broken = unsupported("shiny", "ExtendedTask._invocation_queue")
            return original(self, *args, **kwargs)  # type: ignore[no-any-return]
        waiting = len(queue)
        original(self, *args, **kwargs)
        if len(queue) > waiting:
            queue[-1] = functools.partial(copy_context().run, queue[-1])
        return None

    return invoke


_host = _Shiny()
HOST: Host = _host
