"""NiceGUI: the visitor of the page that owns the current slot.

A page (``Client``) keeps its own request, with the user that the middleware named. NiceGUI's slot
stack gives the page that a task works on. That stack is keyed by the ``id()`` of a task: another
task may get the same id, and all threads share the number 0. So each entry is also recorded in a
ContextVar, with its task, and counts only while both agree.

All private names of NiceGUI are in this file: ``Slot.stacks``, ``Client._request``,
``Client.handle_handshake`` and ``nicegui._on_event``.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from jupyter_session_user.errors import AccessDenied, IdentityUnavailable
from jupyter_session_user.hosts import asgi
from jupyter_session_user.hosts.base import Host, HostSession, Visitor
from jupyter_session_user.hosts.middleware import visitor_of
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.diagnose import no_visitor, unavailable
from jupyter_session_user.kernel.ipykernel import no_message
from jupyter_session_user.upstream import loaded, unsupported, wrap

__all__ = ["HOST"]

#: The visitor of each page.
_visitors: WeakKeyDictionary[Any, Visitor] = WeakKeyDictionary()
#: The key in the scope of a socket with the socket's visitor; a dictionary cannot itself be a key.
_KEPT = "_jupyter_session_user"

_modules = sys.modules


class _Entry:
    """One slot that a task has entered, and the previous value of the task's context."""

    __slots__ = ("before", "client", "left_over", "process", "slot", "task")

    def __init__(self, slot: Any, before: _Entry | None, left_over: tuple[Any, ...]) -> None:
        # Weak references: every task that begins in the slot keeps a copy of the context.
        task = _task()
        self.task = None if task is None else ref(task)
        self.slot = ref(slot)
        self.client = _client_of(slot)
        self.process = message_context.process
        self.before = before
        self.left_over = left_over


_entry: ContextVar[_Entry | None] = ContextVar("jupyter_session_user.nicegui", default=None)
#: The page of the event in this context, if another user's socket has sent the event.
_refused: ContextVar[Any] = ContextVar("jupyter_session_user.nicegui_refused", default=None)
message_context.variables.append(_entry)


class _NiceGUI:
    name = "nicegui"

    def __init__(self) -> None:
        self._broken: IdentityUnavailable | None = None
        self._has_served = False
        #: Tasks that were running at our import: their slots were not recorded.
        self._before_us: WeakSet[Any] = WeakSet()

    def current(self) -> HostSession | None:
        if self._broken is not None and _loop() is not None:
            raise self._broken
        entry = _entry.get()
        if entry is not None and entry.process is not message_context.process:
            raise unavailable("forked_process")
        task = _task()
        if task is None:
            return None  # a thread
        if entry is not None and entry.task is not None and entry.task() is task:
            stack = _stack(task)
            if not stack or stack[-1] is not entry.slot():
                raise no_visitor()
            return self._session(None if entry.client is None else entry.client())
        stack = _stack(task) if task in self._before_us else None
        return self._session(_resolve(_client_of(stack[-1]))) if stack else None

    def _session(self, client: Any) -> HostSession:
        if client is None or getattr(client, "on_air", False):
            raise no_visitor()  # the page is gone, or a relay sends the events of visitors
        if _resolve(_refused.get()) is client:
            raise IdentityUnavailable(
                "A connection of another user than the page's brought this event. Reload the page "
                "after a login or a logout.",
                reason="disagreement",
            )
        return (_visitors.get(client) or self._meet(client)).session()

    def _meet(self, client: Any) -> Visitor:
        """Find out the visitor of a page, once for all of its code."""
        if not hasattr(client, "_request"):
            raise unsupported("nicegui", "Client._request")
        request = client._request  # noqa: SLF001 - the public one cannot be asked whether it is
        if request is None:
            raise no_visitor()  # a page that all visitors share, or one without a request
        visitor = _visitor(request.scope, client.id)
        if visitor is None:
            raise no_message()
        _visitors[client] = visitor
        self._has_served = True
        return visitor

    def install(self) -> None:
        """Record entered slots and the sockets of events; nothing else changes."""
        try:
            slot, client = _get("slot", "Slot"), _get("client", "Client")
            if not isinstance(getattr(slot, "stacks", None), dict):
                raise unsupported("nicegui", "slot.Slot.stacks")
            wrap(slot, "__enter__", _entering, "nicegui")
            wrap(slot, "__exit__", _leaving, "nicegui")
            wrap(client, "handle_handshake", _checking_handshake, "nicegui")
            wrap(_modules["nicegui.nicegui"], "_on_event", _checking_event, "nicegui")
            _get("core", "sio").on("event", _get("nicegui", "_on_event"))
            _get("core", "app").on_exception(_notify)
        except IdentityUnavailable as error:
            self._broken = error
        if _loop() is not None:
            with suppress(RuntimeError):  # tasks that begin meanwhile in another thread
                self._before_us.update(asyncio.all_tasks(_loop()))

    def serving(self) -> bool:
        return self._has_served


def _notify(error: Exception) -> None:
    """Show a refusal of a callback on its page."""
    if isinstance(error, AccessDenied):
        with suppress(RuntimeError):  # no page here: a page in the making shows its own
            notify = _modules["nicegui"].ui.notify
            notify(error.sentence, type="negative", timeout=10_000, multi_line=True)


def _get(module: str, name: str) -> Any:
    return loaded("nicegui", f"nicegui.{module}", name)


def _loop() -> Any:
    return getattr(_modules.get("nicegui.core"), "loop", None)


def _task() -> Any:
    """Return the running task; None in a thread without a loop, and between two tasks."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _stack(task: Any) -> Any:
    return _modules["nicegui.slot"].Slot.stacks.get(id(task))


def _resolve(reference: Any) -> Any:
    return None if reference is None else reference()


def _client_of(slot: Any) -> Any:
    """Return a weak reference to the page of a slot; None if the page is gone."""
    with suppress(RuntimeError):
        return ref(slot.parent.client)
    return None


def _visitor(scope: Any, anonymous_key: str) -> Visitor | None:
    """Return the visitor of a request; None if no middleware and no cookie names a user."""
    user, verified = asgi.named_in(scope)
    request = asgi.request_of(scope)
    visitor = visitor_of(
        "nicegui",
        user,
        request,
        verified=verified,
        anonymous_key=anonymous_key,
        # Without our middleware, a login of the app is not to be seen.
        authenticates=not asgi.HOST.serving() or asgi.is_named(scope),
    )
    named = asgi.vouches_for(scope) or not visitor.session().user.is_anonymous
    return visitor if named else None


def _entering(original: Any) -> Any:
    """Wrap ``__enter__``: from here on the page takes precedence over the request around it.

    An explicit binding stays in force for slots of the same page, and ends at another page's slot.
    """

    def enter(self: Any) -> Any:
        result = original(self)
        before = _entry.get()
        entry = _Entry(self, before, ())
        same = before is not None and before.client == entry.client
        variables = (
            (asgi.current_request,) if same else (asgi.current_request, *message_context.of_kernel)
        )
        entry.left_over = tuple((variable, variable.get()) for variable in variables)
        for variable in variables:
            variable.set(None)
        _entry.set(entry)
        return result

    return enter


def _leaving(original: Any) -> Any:
    """Wrap ``__exit__``, which an abandoned coroutine may call in another coroutine's context."""

    def leave(self: Any, *args: Any) -> Any:
        entry = _entry.get()
        task = _task()
        if entry is not None and entry.slot() is self and _resolve(entry.task) is task:
            _entry.set(entry.before)
            for variable, value in entry.left_over:
                variable.set(value)
        return original(self, *args)

    return leave


def _checking_handshake(original: Any) -> Any:
    async def handle_handshake(self: Any, socket_id: str, *args: Any, **kwargs: Any) -> Any:
        _check(self, socket_id)
        return await original(self, socket_id, *args, **kwargs)

    return handle_handshake


def _checking_event(original: Any) -> Any:
    """Wrap the handler of events: any socket may send an event for any page's id."""

    def on_event(socket_id: str, message: Any) -> Any:
        client = _get("client", "Client").instances.get(message["client_id"])
        if client is not None:
            _check(client, socket_id)
        return original(socket_id, message)

    return on_event


def _check(client: Any, socket_id: str) -> None:
    """Record in this context whether a socket and a page have different users."""
    environ = _get("core", "sio").get_environ(socket_id)
    scope = None if environ is None else environ.get("asgi.scope")
    request = getattr(client, "_request", None)
    if request is None:
        return  # such a page has no visitor, and the error says so
    agreed = scope is not None and _name(scope) == _name(request.scope)
    _refused.set(None if agreed else ref(client))


def _name(scope: Any) -> str | None:
    """Return the username of a request; None for an anonymous visitor."""
    kept = scope.get(_KEPT)
    if kept is None:
        kept = scope[_KEPT] = _visitor(scope, "")
    if kept is None:
        return None
    user = kept.session().user
    return None if user.is_anonymous else user.username


HOST: Host = _NiceGUI()
