"""Solara: the visitor of the kernel context (one page in a browser) that this code runs in.

A context belongs to the visitor of the websocket that has made it. Another user's websocket for the
same context is refused, so each context has one user. Solara keeps the current context by thread;
a ContextVar of ours records each entry as well, and both have to agree: a coroutine that waits
within ``with context:`` leaves its context to all code that the thread runs meanwhile.

All private names of Solara are in this file: ``server.app_loop``,
``server.initialize_virtual_kernel``, and those of ``kernel_context.VirtualKernelContext``.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from typing import Any
from weakref import ref

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts import asgi, wsgi
from jupyter_session_user.hosts.base import (
    Host,
    HostRequest,
    HostSession,
    Unnamed,
    Visitor,
)
from jupyter_session_user.hosts.middleware import serving
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.diagnose import no_visitor, unavailable
from jupyter_session_user.kernel.ipykernel import no_message
from jupyter_session_user.upstream import loaded, wrap

__all__ = ["HOST"]

#: The attribute of a context that holds its visitor. A context compares by its fields and has no
#: hash, so it cannot be a key of a dictionary of ours.
_KEPT = "_jupyter_session_user"
#: Their threads serve all visitors, independent of the code that started them.
_POOLS = frozenset({"concurrent.futures.thread", "multiprocessing.pool"})
#: Seconds before a refused page may try again; Solara uses the same for a wrong session id.
_REFUSAL_S = 0.5

_CONTEXTS = "solara.server.kernel_context"
_modules = sys.modules


class _OtherUserError(RuntimeError):
    """Closes a websocket, as Solara's own error for a wrong session id does."""


class _Entry:
    """One context that code has entered, and the previous values of its ContextVars."""

    __slots__ = ("before", "context", "left_over", "process", "thread")

    def __init__(self, context: Any, before: _Entry | None) -> None:
        self.context = ref(context)  # a task that begins here keeps a copy of the ContextVars
        self.before = before
        self.process = message_context.process
        # Solara enters for a new thread while Python still has a placeholder for that thread.
        self.thread = ref(threading.current_thread())
        self.left_over: tuple[Any, ...] = ()

    def holds_for(self, context: Any) -> bool:
        """Return whether Solara and this entry agree, and the thread is not one of a pool."""
        thread = threading.current_thread()
        if self.context() is not context:
            return False
        target = getattr(thread, "_target", None)
        return self.thread() is thread or getattr(target, "__module__", None) not in _POOLS


_entry: ContextVar[_Entry | None] = ContextVar("jupyter_session_user.solara", default=None)
#: The visitor of the websocket that is served in this context.
_socket: ContextVar[_SolaraVisitor | None] = ContextVar(
    "jupyter_session_user.solara_socket", default=None
)
message_context.variables += [_entry, _socket]


class _SolaraVisitor:
    """The visitor that opened a websocket.

    Args:
        visitor: The visitor, as a middleware or a cookie names the user.
        vouched: Whether a middleware is present; without one, only a platform's cookie names users.
    """

    def __init__(self, visitor: Visitor, *, vouched: bool) -> None:
        self._visitor = visitor
        self._vouched = vouched

    def session(self) -> HostSession:
        session = self._visitor.session()
        if not self._vouched and session.user.is_anonymous:
            raise no_message()
        return session

    @property
    def username(self) -> str | None:
        """The name; None if no user is named and none can be named later."""
        try:
            user = self._visitor.session().user
        except IdentityUnavailable:
            return None
        return None if user.is_anonymous else user.username


class _Solara:
    name = "solara"

    def __init__(self) -> None:
        self._broken: IdentityUnavailable | None = None
        self.has_served = False
        self._current_context: Callable[[], Any] | None = None

    def current(self) -> HostSession | None:
        entry = _entry.get()
        if entry is not None and entry.process is not message_context.process:
            raise unavailable("forked_process")
        context = self._context()
        if context is None:
            return None
        if self._broken is not None:
            raise self._broken
        if _KEPT not in vars(context):
            raise IdentityUnavailable(
                "This page began before jupyter_session_user knew of Solara. Import solara.server "
                "and jupyter_session_user at the top of the app, and reload the page.",
                reason="no_context",
            )
        visitor: _SolaraVisitor | None = vars(context)[_KEPT]
        if visitor is None or entry is None or not entry.holds_for(context):
            raise no_visitor()
        return visitor.session()

    def _context(self) -> Any:
        """Return the context that Solara has for this thread; None without one."""
        if self._current_context is None:
            module = _modules.get(_CONTEXTS)
            self._current_context = getattr(module, "get_current_context", None)
            if self._current_context is None:
                return None
        try:
            return self._current_context()
        except RuntimeError:
            return None

    def install(self) -> None:
        """Record opened websockets and entered contexts; safe to repeat."""
        try:
            server = loaded("solara", "solara.server.server")
            context = loaded("solara", _CONTEXTS, "VirtualKernelContext")
            wrap(server, "app_loop", _serving_socket, "solara")
            wrap(server, "initialize_virtual_kernel", _refusing_others, "solara")
            wrap(context, "__post_init__", _owning, "solara")
            for enter, leave in (("__enter__", "__exit__"), ("__aenter__", "__aexit__")):
                wrap(context, enter, _entering, "solara")
                wrap(context, leave, _leaving, "solara")
        except IdentityUnavailable as error:
            self._broken = error

    def serving(self) -> bool:
        return self.has_served


def _serving_socket(original: Any) -> Any:
    """Wrap ``app_loop``: the context takes precedence over the request around its websocket.

    One visitor's code can enter another visitor's context.
    """

    async def app_loop(ws: Any, cookies: Any, headers: Any, *args: Any, **kwargs: Any) -> Any:
        socket = _opened(headers)
        with ExitStack() as around:
            for variable in (asgi.current_request, wsgi.current_request):
                around.enter_context(serving(variable, None))
            _socket.set(socket)
            _host.has_served = _host.has_served or socket.username is not None
            try:
                return await original(ws, cookies, headers, *args, **kwargs)
            except _OtherUserError:
                await asyncio.sleep(_REFUSAL_S)
                raise
            finally:
                _socket.set(None)

    return app_loop


def _opened(headers: Any) -> _SolaraVisitor:
    """Return the visitor that opens the current websocket."""
    served = asgi.current_request.get() or wsgi.current_request.get()
    try:
        session = None if served is None else served.session()
    except IdentityUnavailable as error:  # the page itself can do without a name
        return _SolaraVisitor(Unnamed("solara", error), vouched=True)
    if session is not None:
        return _SolaraVisitor(Visitor.within("solara", session), vouched=True)
    sent = HostRequest.of((name, v) for name, values in (headers or {}).items() for v in values)
    visitor = Visitor("solara", None, verified=False, request=sent)
    return _SolaraVisitor(visitor, vouched=served is not None)


def _refusing_others(original: Any) -> Any:
    """Wrap ``initialize_virtual_kernel``, which gives a websocket the context of its id."""

    def initialize(session_id: str, kernel_id: str, websocket: Any) -> Any:
        _check(loaded("solara", _CONTEXTS, "contexts").get(kernel_id))
        context = original(session_id, kernel_id, websocket)
        try:
            _check(context)
        except _OtherUserError:  # another websocket made it meanwhile
            context.kernel.session.websockets.discard(websocket)
            raise
        return context

    return initialize


def _check(context: Any) -> None:
    """Refuse this websocket if the kernel context belongs to another user.

    Raises:
        _OtherUserError: The context belongs to another user.
    """
    socket = _socket.get()
    if context is None or socket is None:
        return
    owner: _SolaraVisitor | None = vars(context).get(_KEPT)
    if owner is not None and owner.username != socket.username:
        raise _OtherUserError(
            "This page belongs to a different user than its new connection. Reload the page "
            "after a login or a logout."
        )


def _owning(original: Any) -> Any:
    """Wrap ``__post_init__``, in which ``on_kernel_start`` calls code of the app."""

    def post_init(self: Any) -> None:
        if _KEPT not in vars(self):  # a restart calls it again
            setattr(self, _KEPT, _socket.get())
        original(self)

    return post_init


def _enter(context: Any) -> None:
    """Record an entry. An explicit binding stays in force, but not in another context."""
    before = _entry.get()
    entry = _Entry(context, before)
    if before is not None and before.context() is not context:
        entry.left_over = tuple(
            (variable, variable.get()) for variable in message_context.of_kernel
        )
        for variable in message_context.of_kernel:
            variable.set(None)
    _entry.set(entry)


def _leave(context: Any) -> None:
    entry = _entry.get()
    if entry is not None and entry.context() is context:
        _entry.set(entry.before)
        for variable, value in entry.left_over:
            variable.set(value)


def _entering(original: Any) -> Any:
    """Wrap ``__enter__`` or ``__aenter__``."""

    def enter(self: Any) -> Any:
        result = original(self)
        _enter(self)
        return result

    async def enter_async(self: Any) -> Any:
        result = await original(self)
        _enter(self)
        return result

    return enter_async if inspect.iscoroutinefunction(original) else enter


def _leaving(original: Any) -> Any:
    """Wrap ``__exit__`` or ``__aexit__``; what it returns may be awaitable."""

    def leave(self: Any, *args: Any) -> Any:
        _leave(self)
        return original(self, *args)

    return leave


_host = _Solara()
HOST: Host = _host
