"""Run code without a user, where no request of this kernel asked for it.

An incoming connection, a finalizer and an abandoned asynchronous generator run in a copy of the
context of unrelated code. The user of that code did not ask for them. There are few such entry
points, and each is wrapped once for the whole process:

==========================================  ====================================================
``BaseSelectorEventLoop._add_reader``       all sockets of asyncio, Tornado, aiohttp and uvicorn
``BaseSelectorEventLoop._add_writer``       the same
``BaseServer.finish_request``               ``socketserver``: ``http.server``, Werkzeug
``weakref.finalize.__call__``               callbacks of finalizers
``BaseEventLoop._asyncgen_finalizer_hook``  ``aclose()`` of an abandoned generator
``gc.callbacks``                            ``__del__`` and weak references in a collection
==========================================  ====================================================

A task that waits for a socket keeps its own context: only the callback of the loop is detached.

A debugger runs expressions, watches, conditions of breakpoints and ``repr`` in the stopped thread,
above the frame of the user that is being debugged. The user at the debugger may be a different one.
Evaluated code has frames of pydevd below it on the stack. Code that is merely traced or stepped
through has not.

This file holds all private names of the standard library and of pydevd that a kernel needs. Of
pydevd: ``settrace``, through which every way to attach passes (the kernel's ``debug_request``,
``debugpy.listen``, ``debugpy.connect``), ``get_global_debugger``, the methods in ``_EVALUATING``,
and the names of its files.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import socketserver
import sys
import weakref
from asyncio import selector_events
from threading import get_ident
from types import FrameType
from typing import Any

from jupyter_session_user.core.stamp import KEY
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.message_context import detaching, run_detached
from jupyter_session_user.upstream import MARK, wrap_if_there

__all__ = [
    "Collection",
    "attached",
    "collecting",
    "detach_foreign_work",
    "is_evaluating",
    "watch_debugger",
]

_log = logging.getLogger(KEY)


class Collection:
    """One run of the garbage collector.

    Attributes:
        thread: Where it runs (``threading.get_ident``).
    """

    __slots__ = ("thread",)

    def __init__(self) -> None:
        self.thread = get_ident()


#: The collection that is running in this process; None outside of one.
collecting: Collection | None = None


def detach_foreign_work() -> None:
    """Wrap the entry points above; harmless when repeated."""
    for owner, name, make in (
        (selector_events.BaseSelectorEventLoop, "_add_reader", detaching),
        (selector_events.BaseSelectorEventLoop, "_add_writer", detaching),
        (socketserver.BaseServer, "finish_request", detaching),
        (weakref.finalize, "__call__", _detaching_finalizer),
        (asyncio.BaseEventLoop, "_asyncgen_finalizer_hook", detaching),
    ):
        if not wrap_if_there(owner, name, make):
            _log.warning(
                "%s.%s does not exist in Python %s: code that runs for a connection from outside, "
                "or as a finalizer, may see the user of another request. Upgrade "
                "jupyter-session-user.",
                owner.__name__,
                name,
                sys.version.split()[0],
            )
    # A loop of this thread may have set its finalizer of generators already.
    finalizer = sys.get_asyncgen_hooks().finalizer
    if finalizer is not None and not hasattr(finalizer, MARK):
        detached = functools.partial(run_detached, finalizer)
        setattr(detached, MARK, True)
        sys.set_asyncgen_hooks(finalizer=detached)
    if _note_collection not in gc.callbacks:
        gc.callbacks.append(_note_collection)


def _detaching_finalizer(original: Any) -> Any:
    def finalizer(self: Any, reference: Any = None) -> Any:
        if reference is None:  # called explicitly, not because an object died
            return original(self)
        return run_detached(original, self, reference)

    return finalizer


def _note_collection(phase: str, info: dict[str, int]) -> None:
    del info
    global collecting  # noqa: PLW0603 - a process has one collector
    collecting = Collection() if phase == "start" else None


# ------------------------------------------------------------------------------- the debugger

#: Frames of pydevd that are below a program started under it, and evaluate nothing.
_LAUNCHERS = frozenset(
    {("pydevd.py", "main"), ("pydevd.py", "run"), ("pydevd.py", "_exec")}
    | {("pydevd_runpy.py", name) for name in ("run_path", "run_module", "_run_module_code")}
    | {("pydevd_runpy.py", "_run_code"), ("pydevd_runpy.py", "_run_module_as_main")}
)

#: Methods of pydevd's debugger that run code in the stopped thread.
_EVALUATING = ("do_wait_suspend", "handle_breakpoint_condition", "handle_breakpoint_expression")

#: Whether a debugger has been attached to this process, now or before.
attached = False


def watch_debugger() -> None:
    """Note when a debugger attaches; cheap, and harmless when repeated."""
    module: Any = sys.modules.get("pydevd")
    if module is None or attached or hasattr(module.settrace, MARK):
        return
    if module.get_global_debugger() is not None:
        _note()
    wrap_if_there(module, "settrace", _noting)


def _noting(settrace: Any) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        _note()
        return settrace(*args, **kwargs)

    return noted


def _note() -> None:
    global attached  # noqa: PLW0603 - a process has one debugger
    attached = True
    debugger = sys.modules["pydevd"].PyDB
    for name in _EVALUATING:
        wrap_if_there(debugger, name, _without_user)


def _without_user(method: Any) -> Any:
    """Wrap the evaluating methods: tasks and threads that an evaluation starts copy its context."""

    def evaluating(*args: Any, **kwargs: Any) -> Any:
        with message_context.holding([(variable, None) for variable in message_context.variables]):
            return method(*args, **kwargs)

    return evaluating


def is_evaluating() -> bool:
    """Tell whether a debugger runs the code that calls this."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads files
    while frame is not None:
        file = os.path.basename(frame.f_code.co_filename)  # noqa: PTH119 - in a hot loop
        if file.startswith("pydevd") and (file, frame.f_code.co_name) not in _LAUNCHERS:
            return True
        frame = frame.f_back
    return False
