"""Which message is being handled here: two witnesses, believed only when they agree.

``kernel.get_parent()`` answers that question wrongly: in tasks and timers on ipykernel 6, and
in bare threads on every version, it names whoever spoke last. So the handlers of shell
messages are wrapped, and ``set_parent``, and each notes the message in a ContextVar of its
own. A context that neither has touched (a bare thread, an executor) knows nothing, and says
so. A nested event loop that handles another person's message inside a cell leaves the two in
disagreement, and that is an error as well.

This file does not know what a stamp is.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

__all__ = ["Message", "Witnesses", "binding", "carried", "message", "witness"]


class Message:
    """A message whose handler has begun.

    Attributes:
        parent: The message itself, as ipykernel holds it.
        thread: Where it is handled (``threading.get_ident``).
        session: The session read from it; None until somebody asks.
    """

    __slots__ = ("parent", "session", "thread")

    def __init__(self, parent: dict[str, Any]) -> None:
        self.parent = parent
        self.thread = threading.get_ident()
        self.session: Any = None


#: First witness: the message whose handler runs in this context.
message: ContextVar[Message | None] = ContextVar("jupyter_session_user.message", default=None)
#: Second witness: the parent that the kernel set in this context.
witness: ContextVar[Any] = ContextVar("jupyter_session_user.witness", default=None)
#: What user code bound explicitly in this context. A new message clears it: what one
#: person's cell leaves open must not reach the next person's.
binding: ContextVar[Any] = ContextVar("jupyter_session_user.binding", default=None)


class Witnesses:
    """The wrappers on one kernel.

    Args:
        kernel: An ``ipykernel.kernelbase.Kernel``.
        on_message: Called before each message is handled.

    Attributes:
        handled: How many messages have been handled since the wrappers were put on.
    """

    def __init__(self, kernel: Any, on_message: Callable[[], None] = lambda: None) -> None:
        self.handled = 0
        self._on_message = on_message
        # Before anything is wrapped: the cell that is running now will never be seen again.
        self._first_cell = _FirstCell.find(kernel)
        self._wrap_set_parent(kernel)
        self._wrap_handlers(kernel)

    def first_cell(self) -> Message | None:
        """Return the cell that put the wrappers on, if this code surely belongs to it."""
        return None if self._first_cell is None else self._first_cell.here()

    def _wrap_set_parent(self, kernel: Any) -> None:
        original = kernel.set_parent

        def set_parent(ident: Any, parent: Any, channel: str = "shell") -> None:
            original(ident, parent, channel)
            witness.set(parent)

        kernel.set_parent = set_parent

    def _wrap_handlers(self, kernel: Any) -> None:
        for name, handler in list(kernel.shell_handlers.items()):
            wrapped = self._wrap(handler)
            kernel.shell_handlers[name] = wrapped
            # execute_request and its like may be sent on the control channel too.
            if kernel.control_handlers.get(name) == handler:
                kernel.control_handlers[name] = wrapped
            # Some packages (jupyter_ui_poll) call the method of the kernel directly.
            owner = getattr(handler, "__self__", None)
            if owner is not None and getattr(owner, name, None) == handler:
                setattr(owner, name, wrapped)

    def _wrap(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        async def finish(awaitable: Any, parent: dict[str, Any]) -> Any:
            with self._handling(parent):
                return await awaitable

        def wrapped(stream: Any, ident: Any, parent: dict[str, Any]) -> Any:
            with self._handling(parent):
                result = handler(stream, ident, parent)
            return finish(result, parent) if inspect.isawaitable(result) else result

        async def wrapped_coroutine(stream: Any, ident: Any, parent: dict[str, Any]) -> Any:
            with self._handling(parent):
                return await handler(stream, ident, parent)

        # What was a coroutine function stays one: callers look.
        return wrapped_coroutine if inspect.iscoroutinefunction(handler) else wrapped

    @contextmanager
    def _handling(self, parent: dict[str, Any]) -> Iterator[None]:
        self.handled += 1
        self._on_message()
        tokens = (message.set(Message(parent)), binding.set(None))
        try:
            yield
        finally:
            for variable, token in zip((message, binding), tokens, strict=True):
                _reset(variable, token)


def carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` so that it knows in any thread what this code knows here.

    Nothing is decided: where this code cannot tell who it is, neither can the function.
    """
    values = [(variable, variable.get()) for variable in (message, witness, binding)]

    def continued(*args: Any, **kwargs: Any) -> Any:
        tokens = [(variable, variable.set(value)) for variable, value in values]
        try:
            return function(*args, **kwargs)
        finally:
            for variable, token in tokens:
                variable.reset(token)

    return continued


def _reset(variable: ContextVar[Any], token: Any) -> None:
    try:
        variable.reset(token)
    except ValueError:
        # A handler that is closed at shutdown ends in another context than it began in.
        variable.set(None)


class _FirstCell:
    """The cell that was running when the wrappers were put on.

    ipykernel 7 keeps its parent in a ContextVar; a context in which that variable still holds
    this very message belongs to the cell. ipykernel 6 has only the stack to go by: a frame of
    ``execute_request`` with this very message. An async cell on 6 runs in a task of its own,
    where neither helps; it stays unknown.
    """

    def __init__(self, parent: dict[str, Any], variable: ContextVar[Any] | None) -> None:
        self._message = Message(parent)
        self._variable = variable

    @classmethod
    def find(cls, kernel: Any) -> _FirstCell | None:
        """Return the cell that runs here and now; None outside of a cell."""
        variable = getattr(kernel, "_shell_parent", None)
        if isinstance(variable, ContextVar):
            parent = variable.get(None)
            is_cell = bool(parent) and parent["header"]["msg_type"] == "execute_request"
            return cls(parent, variable) if is_cell else None
        frames = _frames_of(kernel)
        return cls(frames[0].f_locals["parent"], None) if frames else None

    def here(self) -> Message | None:
        """Return the message if this context, or this stack, is the cell's."""
        parent = self._message.parent
        if self._variable is not None:
            return self._message if self._variable.get(None) is parent else None
        frames = _frames_of(None)
        return self._message if any(f.f_locals["parent"] is parent for f in frames) else None


def _frames_of(kernel: Any) -> list[FrameType]:
    """Return the frames of ``execute_request`` on this stack, innermost first."""
    found: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads files
    while frame is not None:
        names = frame.f_locals if frame.f_code.co_name == "execute_request" else {}
        if "parent" in names and kernel in (None, names.get("self")):
            found.append(frame)
        frame = frame.f_back
    return found
