"""The message that is being handled here, and all other variables that name a user.

A context names its user only in the process in which it was made. A fork copies every ContextVar,
every copied context and the whole stack: the child of a process pool that one user's cell made
would be that user for every later caller. So each value that names a user remembers its process.

This file does not read stamps.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any

__all__ = [
    "Message",
    "Process",
    "after_fork",
    "binding",
    "carried",
    "detaching",
    "holding",
    "message",
    "of_kernel",
    "process",
    "run_detached",
    "variables",
    "witness",
]


class Process:
    """One process. A fork makes a new object, so that identity distinguishes parent and child."""

    __slots__ = ()


#: This process.
process = Process()

_hooks: list[Callable[[], None]] = []


def after_fork(hook: Callable[[], None]) -> Callable[[], None]:
    """Call ``hook`` in each forked child, in the order of registration; usable as a decorator."""
    _hooks.append(hook)
    return hook


def _in_child() -> None:
    global process  # noqa: PLW0603 - there is one process, and now it is another one
    process = Process()
    for hook in _hooks:
        hook()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_in_child)


class Message:
    """A message that is being handled, or was.

    Attributes:
        parent: The message itself, as ipykernel holds it.
        thread: The thread that handles it (``threading.get_ident``).
        process: The process that handles it.
        collection: None; a binding of the same shape may stand in a finalizer.
        session: The session read from it; None until it is first requested.
    """

    __slots__ = ("collection", "parent", "process", "session", "thread")

    def __init__(self, parent: dict[str, Any]) -> None:
        self.parent = parent
        self.thread = threading.get_ident()
        self.process = process
        self.collection = None
        self.session: Any = None


#: First witness: the message that is being handled in this context.
message: ContextVar[Message | None] = ContextVar("jupyter_session_user.message", default=None)
#: Second witness: the parent that the kernel set in this context.
witness: ContextVar[Any] = ContextVar("jupyter_session_user.witness", default=None)
#: The binding that user code set explicitly in this context. A new message clears it: a binding
#: that one user's cell leaves open must not reach the next user's cell.
binding: ContextVar[Any] = ContextVar("jupyter_session_user.binding", default=None)
#: The innermost request wins: a message clears all variables of hosts, and a host's request
#: clears these.
of_kernel: tuple[ContextVar[Any], ...] = (message, witness, binding)
#: All variables that name a user; hosts add theirs.
variables: list[ContextVar[Any]] = [*of_kernel]


def carried(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with the identity of this code, for use in any thread.

    Nothing is decided here: if the user of this code cannot be determined, neither can the
    function's.
    """
    values = [(variable, variable.get()) for variable in of_kernel]

    def continued(*args: Any, **kwargs: Any) -> Any:
        with holding(values):
            return function(*args, **kwargs)

    return continued


@contextmanager
def holding(values: Iterable[tuple[ContextVar[Any], Any]]) -> Iterator[None]:
    """Let variables have these values for the block, which may end in another context."""
    tokens = [(variable, variable.set(value)) for variable, value in values]
    try:
        yield
    finally:
        for variable, token in tokens:
            with suppress(ValueError):  # a server may end a request in another context
                variable.reset(token)


def run_detached(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function in a copy of this context in which no variable names a user."""
    context = copy_context()
    for variable in variables:
        context.run(variable.set, None)
    return context.run(function, *args, **kwargs)


def detaching(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that calls ``original`` in such a context."""

    def detached(self: Any, *args: Any, **kwargs: Any) -> Any:
        return run_detached(original, self, *args, **kwargs)

    return detached
