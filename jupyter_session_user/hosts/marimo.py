"""marimo: the HTTP request behind the running cell, callback or task.

All private names of marimo are in this file: ``_first_read``, ``_name_calls``, ``_show_refusals``.
"""

from __future__ import annotations

import functools
import html
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from weakref import ref

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import AccessDenied, IdentityUnavailable
from jupyter_session_user.hosts import asgi
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession, Visitor
from jupyter_session_user.hosts.middleware import (
    named_in_meta,
    read_user,
    user_of_framework,
    visitor_of,
)
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.diagnose import unavailable
from jupyter_session_user.upstream import loaded, unsupported, wrap, wrap_if_there

__all__ = ["HOST"]

#: marimo's default user, with a token and without one. Its "is_authenticated" is true.
_ANONYMOUS = {"username": "user", "is_authenticated": True, "display_name": "user"}

#: "marimo run", which is no part of another app.
_COMMAND = "marimo._cli.cli"

_modules = sys.modules

#: Tells anonymous visitors apart: a kernel of ``marimo run`` serves one page.
_anonymous_key: ContextVar[str] = ContextVar("jupyter_session_user.marimo", default="")
#: The request that the server is passing on to a kernel right now.
_sending: ContextVar[Any] = ContextVar("jupyter_session_user.marimo_sending", default=None)
#: From a command's identity to the command, which stays alive here, and its request.
_calls: dict[int, tuple[Any, Any]] = {}
#: The limit of commands that wait for their kernels; those of an ended kernel never leave.
_MAX_CALLS = 1000


class _Marimo:
    name = "marimo"

    def __init__(self) -> None:
        self._has_served = False
        self._installed = False
        self._read: Callable[[None], Any] | None = None
        #: The request of the code that forked this process; the child copies its context.
        self._forked_by: Any = None
        #: Keyed by a request's identity: a new context in each task must not read it again.
        self._known: dict[int, tuple[ref[Any], Visitor]] = {}
        #: The latest request and its visitor, for frequent calls.
        self._latest: tuple[Any, Visitor | None] = (None, None)

    def current(self) -> HostSession | None:
        read = self._read
        request = read(None) if read is not None else self._first_read()
        latest, visitor = self._latest
        if request is latest and visitor is not None and self._forked_by is None:
            return visitor.session()
        if request is None:
            return None  # only imported, a bare thread, or a command without a request
        if request is self._forked_by:
            raise unavailable("forked_process")
        known = self._known.get(id(request))
        visitor = known[1] if known and known[0]() is request else self._meet(request)
        self._latest = request, visitor
        return visitor.session()

    def _meet(self, request: Any) -> Visitor:
        """Find out the visitor of a request, once for all of its code."""
        anonymous_key = _anonymous_key.get()
        if not anonymous_key:
            anonymous_key = secrets.token_hex(16)
            _anonymous_key.set(anonymous_key)
        user, verified = named_in_meta(request.meta) or _named_outside(request)
        sent = HostRequest.of(request.headers.items())
        visitor = visitor_of(
            "marimo",
            user,
            sent,
            verified=verified,
            anonymous_key=anonymous_key,
            authenticates=_may_be_named(request),
        )
        key = id(request)
        self._known[key] = ref(request, lambda _: self._known.pop(key, None)), visitor
        self._has_served = True
        return visitor

    def _first_read(self) -> Any:
        """Return the request that caused the kernel's work in this context.

        ``mo.app_meta().request`` is the same, except in ``asyncio.to_thread``, where it is None.
        """
        module = _modules.get("marimo._messaging.context")
        variable = getattr(module, "HTTP_REQUEST_CTX", None)
        if variable is not None:
            self._read = variable.get
            return variable.get(None)
        if _modules["marimo"].running_in_notebook():
            raise unsupported("marimo", "_messaging.context.HTTP_REQUEST_CTX")
        return None

    def install(self) -> None:
        """Record forks, and the requests that call functions of a page."""
        if not self._installed:
            self._installed = True
            message_context.after_fork(self._note_fork)
        _name_calls()
        _show_refusals()

    def _note_fork(self) -> None:
        with suppress(IdentityUnavailable):  # raised if marimo's own names have changed
            self._forked_by = self._first_read() if self._read is None else self._read(None)

    def serving(self) -> bool:
        return self._has_served or "marimo._server.start" in _modules


def _name_calls() -> None:
    """Run functions that a page calls (``mo.lazy``, ``mo.ui.chat``) with their request.

    marimo passes such a call on without its request. Server and kernels of ``marimo run`` are
    threads of one process and share the command object, so the request is found by the command. A
    kernel of ``marimo edit`` is a separate process, so nothing changes there, nor if marimo has
    moved a name.
    """
    server = _modules.get("marimo._server.api.endpoints.execution")
    kernel = getattr(_modules.get("marimo._runtime.runtime"), "Kernel", None)
    command = getattr(server, "InvokeFunctionRequest", None)
    context: Any = _modules.get("marimo._messaging.context")
    variable: Any = getattr(context, "HTTP_REQUEST_CTX", None)
    places = (
        (server, "dispatch_control_request", functools.partial(_dispatching, command)),
        (command, "as_command", _noting),
        (kernel, "function_call_request", functools.partial(_calling, variable)),
    )
    if variable is not None and all(hasattr(owner, name) for owner, name, _ in places):
        for owner, name, make in places:
            wrap(owner, name, make, "marimo")


def _dispatching(command: Any, original: Any) -> Any:
    async def dispatch_control_request(request: Any, kind: Any, *args: Any, **kwargs: Any) -> Any:
        if kind is not command:
            return await original(request, kind, *args, **kwargs)
        sent = _modules["marimo._runtime.commands"].HTTPRequest.from_request(request)
        token = _sending.set(sent)
        try:
            return await original(request, kind, *args, **kwargs)
        finally:
            _sending.reset(token)

    return dispatch_control_request


def _noting(original: Any) -> Any:
    def as_command(self: Any) -> Any:
        command, sent = original(self), _sending.get()
        if sent is not None:
            if len(_calls) >= _MAX_CALLS:
                _calls.pop(next(iter(_calls)), None)
            _calls[id(command)] = command, sent
        return command

    return as_command


def _calling(variable: ContextVar[Any], original: Any) -> Any:
    async def function_call_request(self: Any, command: Any, *args: Any, **kwargs: Any) -> Any:
        noted = _calls.pop(id(command), None)
        if noted is None or noted[0] is not command:
            return await original(self, command, *args, **kwargs)
        token = variable.set(noted[1])
        try:
            return await original(self, command, *args, **kwargs)
        finally:
            variable.reset(token)

    return function_call_request


def _show_refusals() -> None:
    """Show a sentence where ``require_user`` refuses; without these names, marimo's own error.

    On a page, marimo hides errors ("An internal error occurred"), and those of callbacks entirely.
    """
    runner = getattr(_modules.get("marimo._runtime.runner.cell_runner"), "Runner", None)
    element = getattr(_modules.get("marimo._plugins.ui._core.ui_element"), "UIElement", None)
    if isinstance(runner, type):
        wrap_if_there(runner, "run", _stopping)
    if isinstance(element, type):
        wrap_if_there(element, "_update", _toasting)


def _stopping(original: Any) -> Any:
    """Wrap the run of a cell: a refusal ends it as ``mo.stop`` does, with the sentence."""

    async def run(self: Any, cell_id: Any) -> Any:
        result = await original(self, cell_id)
        if isinstance(result.exception, AccessDenied):
            mo = _modules["marimo"]
            text = html.escape(result.exception.sentence)
            shown = mo.callout(mo.Html(f'<span role="alert">{text}</span>'), kind="danger")
            stop = loaded("marimo", "marimo._runtime.control_flow", "MarimoStopError")
            result.output, result.exception = shown, stop(shown)
            self.exceptions[cell_id] = result.exception  # the cells that depend on this one
        return result

    return run


def _toasting(original: Any) -> Any:
    """Wrap a change of an element, which calls ``on_change``."""

    def _update(self: Any, value: Any) -> Any:
        try:
            return original(self, value)
        except AccessDenied as error:
            text = html.escape(error.sentence)
            _modules["marimo"].status.toast("Not permitted", text, kind="danger")
            raise

    return _update


def _may_be_named(request: Any) -> bool:
    """Return whether an app around marimo may name its visitors; marimo's own token names nobody.

    Without our middleware, a login of that app is not to be seen.
    """
    if not (asgi.HOST.serving() or _COMMAND in _modules):
        return True
    found = request.user
    default = not found or all(read_user(found, key) == v for key, v in _ANONYMOUS.items())
    return not default or asgi.is_named({"meta": request.meta})


def _named_outside(request: Any) -> tuple[User | None, bool]:
    """Return the user of the app around marimo; never marimo's default user."""
    found = request.user
    if not found or all(read_user(found, key) == value for key, value in _ANONYMOUS.items()):
        return None, False
    return user_of_framework(found), True


HOST: Host = _Marimo()
