"""The helper of this process: all that the package puts into a running ipykernel.

Importing the package installs it where a kernel is already running. IPython and ipykernel
are found in ``sys.modules`` and never imported: a script without them stays without them.

``kernel.get_parent()`` returns the wrong parent: in tasks and timers on ipykernel 6, and in bare
threads on every version, it names the sender of the latest message. So the handlers of shell
messages and ``set_parent`` are wrapped, and each stores the message in a ContextVar of its own. In
a context that neither has touched (a bare thread, an executor) both are empty, and that is an
error. If a nested event loop handles another user's message inside a cell, the two disagree, and
that is an error as well.

All private names of ipykernel are in this file: ``_shell_parent`` and ``_input_request``.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.stamp import KEY
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.detached import detach_foreign_work, watch_debugger
from jupyter_session_user.kernel.diagnose import no_kernel, unavailable
from jupyter_session_user.kernel.message_context import (
    Message,
    binding,
    message,
    of_kernel,
    variables,
    witness,
)
from jupyter_session_user.upstream import check

if TYPE_CHECKING:
    from jupyter_session_user.errors import IdentityUnavailable
    from jupyter_session_user.kernel.comm import CommClient, UpdateReceiver

__all__ = [
    "Helper",
    "before_message",
    "helper",
    "installed",
    "ipython_shell",
    "names_users",
    "no_message",
]

_log = logging.getLogger(KEY)


@dataclass
class Helper:
    """The parts that the package put into one kernel.

    Attributes:
        kernel: The kernel.
        witnesses: The wrappers on its handlers.
        comm: Sends requests to the server.
        updates: Receives the server's updates.
        stamped: Set once a message of this kernel has carried a stamp.
    """

    kernel: Any
    witnesses: Witnesses
    comm: CommClient
    updates: UpdateReceiver
    stamped: threading.Event


_lock = threading.Lock()
_helper: Helper | None = None

#: Called before each message: to wrap modules that may have been imported since the last one.
before_message: list[Callable[[], None]] = [watch_debugger]


def ipython_shell() -> Any:
    """Return the running IPython shell; None in a process without one.

    Solara has one for each visitor of an app, with a kernel that gets no message of Jupyter's:
    that is none.
    """
    ipython = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    shell = get_ipython() if get_ipython is not None else None
    return None if type(shell).__module__.startswith("solara.server.") else shell


def installed() -> Helper | None:
    """Return the helper if it is in place already."""
    return _helper


def helper(shell: Any = None) -> Helper | None:
    """Return the helper, installing it if there is a kernel; None outside of a kernel.

    Args:
        shell: The IPython shell, if the caller has it.
    """
    global _helper  # noqa: PLW0603 - there is one kernel in a process, hence one helper
    kernel = _kernel(shell)
    if kernel is None or not _owns(kernel):
        return None
    with _lock:
        if _helper is None or _helper.kernel is not kernel:
            _helper = _install(kernel)
        return _helper


def _is_child_of_kernel() -> bool:
    """Tell whether this process was forked from a kernel; it cannot act as that kernel."""
    kernel = _kernel()
    return kernel is not None and not _owns(kernel)


def no_message(here: Helper | None = None) -> IdentityUnavailable:
    """Return the error for code that runs in a context without a message.

    Args:
        here: The helper of this process; None outside of a kernel.
    """
    if here is None:
        return unavailable("forked_process") if _is_child_of_kernel() else no_kernel()
    return unavailable("no_context" if here.witnesses.handled else "first_cell")


def _kernel(shell: Any = None) -> Any:
    kernel = getattr(shell or ipython_shell(), "kernel", None)
    return kernel if hasattr(kernel, "shell_handlers") else None


def _owns(kernel: Any) -> bool:
    """Tell whether a kernel object serves messages in this process; a child has a copy of it."""
    # jupyter_client's Session takes its pid when it is made, to refuse to send after a fork.
    return bool(getattr(kernel.session, "pid", None) in {None, os.getpid()})


#: Whether this process was forked from a kernel to which a server names its users.
_forked_from_stamped = False


def names_users() -> bool:
    """Tell whether a server names the users of this kernel, or of the one this was forked from."""
    here = helper()
    return _forked_from_stamped or (here is not None and here.stamped.is_set())


@message_context.after_fork
def _forget_kernel() -> None:
    global _helper, _lock, _forked_from_stamped  # noqa: PLW0603 - it is one process
    _forked_from_stamped |= _helper is not None and _helper.stamped.is_set()
    _helper, _lock = None, threading.Lock()


def _install(kernel: Any) -> Helper:
    # A script without a kernel never gets here, and need not load the comm.
    from jupyter_session_user.core.protocol import (  # noqa: PLC0415
        LINK_TYPE,
        REPLY_TYPE,
        UPDATE_TYPE,
    )
    from jupyter_session_user.kernel.comm import CommClient, UpdateReceiver  # noqa: PLC0415
    from jupyter_session_user.kernel.quiet_log import hide_replies  # noqa: PLC0415

    comm = CommClient(functools.partial(_publish, kernel), control_thread=kernel.control_thread)
    updates = UpdateReceiver(comm)
    stamped = threading.Event()

    def note_stamp(parent: Any) -> None:
        if not stamped.is_set() and KEY in (parent.get("metadata") or ()):
            stamped.set()

    def prepare(parent: Any) -> None:
        note_stamp(parent)
        for watch in before_message:
            watch()

    check("ipykernel", "asyncio")
    watch_debugger()
    witnesses = Witnesses(kernel, prepare)
    if witnesses.first_cell is not None:
        note_stamp(witnesses.first_cell)
    detach_foreign_work()
    _guard_stdin(kernel)
    hide_replies(kernel.log, REPLY_TYPE)
    kernel.control_handlers[REPLY_TYPE] = lambda _stream, _ident, reply: comm.deliver(reply)
    kernel.control_handlers[UPDATE_TYPE] = lambda _stream, _ident, update: updates.deliver(update)
    kernel.control_handlers[LINK_TYPE] = lambda _stream, _ident, state: comm.deliver_link(state)
    return Helper(kernel, witnesses, comm, updates, stamped)


def _publish(kernel: Any, content: dict[str, Any], topic: bytes) -> None:
    """Send on the kernel's iopub, from any thread.

    The parent has our own type as well: a request is no output of a cell, and Jupyter Server goes
    by type and parent to track a kernel's activity.
    """
    from jupyter_session_user.core.protocol import REQUEST_TYPE  # noqa: PLC0415 - see _install

    session = kernel.session
    parent = session.msg(REQUEST_TYPE)
    session.send(kernel.iopub_socket, REQUEST_TYPE, content, parent=parent, ident=topic)


# ------------------------------------------------------------------------------- the witnesses


class Witnesses:
    """The wrappers on one kernel.

    Args:
        kernel: An ``ipykernel.kernelbase.Kernel``.
        on_message: Called with each message before it is handled.

    Attributes:
        handled: How many messages have been handled since the wrappers were installed.
        first_cell: The message of the cell that was running when they were installed.
    """

    def __init__(self, kernel: Any, on_message: Callable[[dict[str, Any]], None]) -> None:
        self.handled = 0
        self._on_message = on_message
        # This cell does not pass the wrappers, so its message is recorded here.
        self.first_cell = _running_cell(kernel)
        if self.first_cell is not None:
            message.set(Message(self.first_cell))
            witness.set(self.first_cell)
        original = kernel.set_parent

        def set_parent(ident: Any, parent: Any, channel: str = "shell") -> None:
            original(ident, parent, channel)
            witness.set(parent)

        kernel.set_parent = set_parent
        self._wrap_handlers(kernel)

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

        # A coroutine function stays one, because callers check.
        return wrapped_coroutine if inspect.iscoroutinefunction(handler) else wrapped

    @contextmanager
    def _handling(self, parent: dict[str, Any]) -> Iterator[None]:
        self.handled += 1
        self._on_message(parent)
        tokens = [(message, message.set(Message(parent)))]
        tokens += [(other, other.set(None)) for other in (binding, *variables[len(of_kernel) :])]
        try:
            yield
        finally:
            for variable, token in tokens:
                _reset(variable, token)


def _reset(variable: ContextVar[Any], token: Any) -> None:
    try:
        variable.reset(token)
    except ValueError:
        # A handler that is closed at shutdown ends in another context than it began in.
        variable.set(None)


def _running_cell(kernel: Any) -> dict[str, Any] | None:
    """Return the message of the cell whose own code is running here; None otherwise.

    ipykernel 7 keeps its parent in a ContextVar. That alone does not count: a server that the cell
    started has it too. So the stack has to lead to the cell, without a step of the event loop in
    between: in a nested loop, another user's task may run on top of the cell.

    On ipykernel 6 an async cell runs in a task of its own, from which nothing leads to its message.
    """
    variable = getattr(kernel, "_shell_parent", None)
    of_context: dict[str, Any] | None = None
    if isinstance(variable, ContextVar):
        of_context = variable.get(None) or None
    step = _event_loop_step()
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads files
    while frame is not None and step is not None:
        code = frame.f_code
        names = frame.f_locals if code.co_name == "execute_request" else {}
        if "parent" in names and names.get("self") is kernel:
            found: dict[str, Any] = names["parent"]
            return found if of_context is found or not isinstance(variable, ContextVar) else None
        if code.co_name == "run_cell_async" and of_context is not None:
            is_cell = of_context["header"]["msg_type"] == "execute_request"
            return of_context if is_cell else None
        if code is step:
            return None
        frame = frame.f_back
    return None


def _event_loop_step() -> CodeType | None:
    """Return the code below which asyncio runs each callback and each step of a task."""
    handle: Any = getattr(sys.modules.get("asyncio.events"), "Handle", None)
    return getattr(getattr(handle, "_run", None), "__code__", None)


# ------------------------------------------------------------------------------- input
#
# ``input()``, ``getpass()`` and ``pdb``: only the client that was asked may answer.
#
# A kernel sends ``input_request`` to the ZMQ identity of the client that sent the current request,
# and then takes the next message on its stdin socket, from any client. The identity in front of the
# reply says which client sent it, and the server gives each client of each user an identity of its
# own. ``session.recv`` is called for stdin alone.
# https://jupyter-client.readthedocs.io/en/stable/messaging.html#messages-on-the-stdin-router-dealer-channel

#: The identity of the client that this context asks, and the user of its request.
_asked: ContextVar[tuple[list[bytes], Any] | None] = ContextVar(
    "jupyter_session_user.stdin", default=None
)


def _guard_stdin(kernel: Any) -> None:
    """Let a kernel drop answers of clients that it did not ask."""
    ask = getattr(kernel, "_input_request", None)
    if ask is None:
        _log.warning("This release of ipykernel is unknown: any client may answer input()")
        return
    kernel._input_request = _noting_asked(ask)  # noqa: SLF001 - see above
    kernel.session.recv = _dropping_others(kernel.session.recv, kernel.stdin_socket)


def _noting_asked(ask: Any) -> Any:
    @functools.wraps(ask)
    def input_request(prompt: Any, ident: Any, parent: Any, *args: Any, **kwargs: Any) -> Any:
        identities = [ident] if isinstance(ident, bytes) else list(ident or ())
        token = _asked.set((identities, _user(parent)))
        try:
            return ask(prompt, ident, parent, *args, **kwargs)
        finally:
            _asked.reset(token)

    return input_request


def _dropping_others(receive: Any, stdin: Any) -> Any:
    @functools.wraps(receive)
    def recv(socket: Any, *args: Any, **kwargs: Any) -> Any:
        identities, message = receive(socket, *args, **kwargs)
        asked = _asked.get()
        if message is None or asked is None or socket is not stdin:
            return identities, message
        # All clients that a server makes for itself share an identity: the stamp tells them apart.
        answering, user = _user(message), asked[1]
        same = user is None or answering is None or answering == user
        if same and list(identities) == asked[0]:
            return identities, message
        _log.warning("An answer to input() was dropped: the kernel had asked another client")
        return None, None  # as if no message had come: the kernel goes on waiting

    return recv


def _user(message: Any) -> Any:
    """Return the account that a message's stamp names; None if it names none."""
    stamp = message["metadata"].get(KEY) if isinstance(message, dict) else None
    if not isinstance(stamp, dict) or not isinstance(stamp.get("user"), dict):
        return None
    return stamp.get("source"), stamp["user"].get("username")
