"""Finds the user of a message from the server's own clients.

A message of a server-side client (nbmodel, nbclient, Voila, Panel) carries no request of its own.
It belongs to a user only if

1. the runner that queued or runs it names the session (``sent_for``), or
2. it is sent inside an HTTP request that is still being answered.

``CallContext`` alone is not enough. It is copied into tasks and outlives its request, so a worker
task that one user's request started would name that user for all users' messages. A websocket's
handler lives as long as its socket, and therefore never counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from jupyter_server.base.call_context import CallContext
from jupyter_server.base.handlers import JupyterHandler
from tornado.websocket import WebSocketHandler

from jupyter_session_user.core.refusal import sentence
from jupyter_session_user.core.stamp import unknown_stamp
from jupyter_session_user.errors import SessionExpired, SessionRevoked
from jupyter_session_user.store.base import Record
from jupyter_session_user.upstream.tornado import is_answered

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.capture import Capture

__all__ = [
    "NO_REQUEST",
    "Origin",
    "in_no_request",
    "live_request",
    "running_cell",
    "running_for",
    "running_in",
    "sent_for",
]

_UNSET = object()
#: The runner that runs a queued cell, as the audit names it.
_via: ContextVar[str] = ContextVar("jupyter_session_user.via", default="")
#: The cell that a queue runs, if the runner's messages do not say it; empty for none.
_cell: ContextVar[str] = ContextVar("jupyter_session_user.cell", default="")
_sent_for: ContextVar[Record | object | None] = ContextVar(
    "jupyter_session_user.sent_for", default=_UNSET
)

#: The stamp of a message that is built outside any request.
NO_REQUEST = unknown_stamp("sent by the server itself, outside any user's request")
_NOBODY = unknown_stamp("sent inside a request without a logged-in user")


def live_request() -> JupyterHandler | None:
    """Return the handler of the HTTP request that this code answers; None outside a request."""
    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    if not isinstance(handler, JupyterHandler) or isinstance(handler, WebSocketHandler):
        return None
    return None if is_answered(handler) else handler


def in_no_request(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function in a copy of this context that belongs to no request."""
    return copy_context().run(_call_in_no_request, function, *args, **kwargs)


def _call_in_no_request(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    CallContext.set(CallContext.JUPYTER_HANDLER, None)
    # Not None: a Jupyter handler at the end of such a connection is a request of its own.
    _sent_for.set(_UNSET)
    _via.set("")
    _cell.set("")
    return function(*args, **kwargs)


@contextmanager
def sent_for(
    record: Record | Callable[[str | None], Record | None] | None, via: str = "", cell: str = ""
) -> Iterator[None]:
    """Stamp the messages of this block with ``record``; None means an unknown user.

    Args:
        record: The session, or a function that finds it for a kernel, or for none.
        via: The runner, as the audit names it.
        cell: Id of the cell, if the messages do not say it.
    """
    token, runner, running = _sent_for.set(record), _via.set(via), _cell.set(cell)
    try:
        yield
    finally:
        _sent_for.reset(token)
        _via.reset(runner)
        _cell.reset(running)


def running_for() -> Record | None:
    """Return the session that this code sends for; None if no queue has set it."""
    record = _sent_for.get()
    return record if isinstance(record, Record) else None


def running_in() -> str:
    """Return the runner that runs this code for a queue; empty if none does."""
    return _via.get()


def running_cell() -> str:
    """Return the id of the cell that this code runs for a queue; empty if it is not known."""
    return _cell.get()


class Origin:
    """Finds the stamp for messages that server-side code sends to a kernel.

    Args:
        capture: Turns a live request into a session.
        over: ``login key -> state``: how a login ended; None if its messages may go to a kernel.
    """

    def __init__(self, capture: Capture, over: Callable[[str], str | None]) -> None:
        self._capture = capture
        self._over = over
        #: Called when a message is refused: with its session, and how its login ended.
        self.on_refused: Callable[[Record, str], None] = lambda *_: None

    def record(self, kernel_id: str | None) -> Record | None:
        """Return the session of the live request, or of a persona that answers a message.

        Returns:
            None if there is neither.
        """
        queued = _sent_for.get()
        if callable(queued):
            found: Record | None = queued(kernel_id)
            return found
        handler = live_request()
        return None if handler is None else self._capture.session_of(handler, kernel_id)

    def stamp(self, kernel_id: str) -> bytes:
        """Return the stamp for a message that is being built for this kernel.

        Raises:
            SessionExpired: The message belongs to a login that has ended.
        """
        record = self.sender(kernel_id)
        if record is not None:
            return self.stamp_of(record)
        in_request = _sent_for.get() is _UNSET and live_request() is not None
        return _NOBODY if in_request else NO_REQUEST

    def sender(self, kernel_id: str) -> Record | None:
        """Return the session of a message that is being built; never one on another kernel."""
        queued = _sent_for.get()
        if queued is _UNSET or callable(queued):
            return self.record(kernel_id)
        on_it = isinstance(queued, Record) and queued.session.kernel_id == kernel_id
        return queued if on_it else None  # type: ignore[return-value]

    def stamp_of(self, record: Record) -> bytes:
        """Return the current stamp of a session.

        Raises:
            SessionExpired: Its login has ended; code that a page or a queue started stops here.
        """
        state = self.over(record)
        if state is not None:
            kind = SessionExpired if state == "expired" else SessionRevoked
            raise kind(sentence(state), state=state)
        return self._capture.latest(record).stamp

    def over(self, record: Record) -> str | None:
        """Return how the login of a message ended, which is then refused; None if it has not."""
        state = self._over(record.key)
        if state is not None:
            self.on_refused(record, state)
        return state
