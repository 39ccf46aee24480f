"""Who sends this message: for the clients that the server itself runs.

A message of a server-side client (nbmodel, nbclient, Voila, Panel) carries no request of its
own. It counts as somebody's only if

1. the runner that queued it says whose it is (``sent_for``), or
2. it is sent inside an HTTP request that is still being answered.

``CallContext`` alone would not do: it is copied into tasks and outlives its request, so that
a worker task started by one person's request names that person for everybody's messages. A
websocket's handler lives as long as its socket and therefore never counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from jupyter_server.base.call_context import CallContext
from jupyter_server.base.handlers import JupyterHandler
from tornado.websocket import WebSocketHandler

from jupyter_session_user.core.refusal import sentence
from jupyter_session_user.core.stamp import unknown_stamp
from jupyter_session_user.errors import SessionExpired, SessionRevoked
from jupyter_session_user.store.base import Record

if TYPE_CHECKING:
    from jupyter_session_user.server.capture import Capture

__all__ = ["Origin", "live_request", "sent_for"]

_UNSET = object()
_sent_for: ContextVar[Record | object | None] = ContextVar(
    "jupyter_session_user.sent_for", default=_UNSET
)

_NO_REQUEST = unknown_stamp("sent by the server itself, outside any person's request")
_NOBODY = unknown_stamp("sent inside a request in which nobody is logged in")


def live_request() -> JupyterHandler | None:
    """Return the handler of the HTTP request that this code answers; None outside of one."""
    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    if not isinstance(handler, JupyterHandler) or isinstance(handler, WebSocketHandler):
        return None
    return None if handler._finished else handler  # noqa: SLF001 - Tornado has no public word


@contextmanager
def sent_for(record: Record | None) -> Iterator[None]:
    """Stamp what this block sends with ``record``; None means that nobody knows whose it is."""
    token = _sent_for.set(record)
    try:
        yield
    finally:
        _sent_for.reset(token)


class Origin:
    """Finds the stamp for what server-side code sends to a kernel.

    Args:
        capture: Turns a live request into a session.
        over: ``login key -> state``: how a login came to its end; None as long as messages of
            it may go to a kernel.
    """

    def __init__(self, capture: Capture, over: Callable[[str], str | None]) -> None:
        self._capture = capture
        self._over = over

    def record(self, kernel_id: str | None) -> Record | None:
        """Return the session of the live request; None without one."""
        handler = live_request()
        return None if handler is None else self._capture.session_of(handler, kernel_id)

    def stamp(self, kernel_id: str) -> bytes:
        """Return the stamp for a message that is being built now for this kernel.

        Raises:
            SessionExpired: It would be in the name of a login that is over.
        """
        queued = _sent_for.get()
        if queued is not _UNSET:
            return self._stamp_on(kernel_id, queued)
        if live_request() is None:
            return _NO_REQUEST
        record = self.record(kernel_id)
        return _NOBODY if record is None else self.stamp_of(record)

    def stamp_of(self, record: Record) -> bytes:
        """Return the stamp of a session, as it is now, for a message in its name.

        Raises:
            SessionExpired: Its login is over; what a page or a queue began ends here.
        """
        state = self.over(record)
        if state is not None:
            kind = SessionExpired if state == "expired" else SessionRevoked
            raise kind(sentence(state), state=state)
        return self._capture.latest(record).stamp

    def over(self, record: Record) -> str | None:
        """Return how the login of a session came to its end; None if it may go on."""
        return self._over(record.key)

    def _stamp_on(self, kernel_id: str, record: object) -> bytes:
        """Return the record's stamp, but never that of a session on another kernel."""
        if isinstance(record, Record) and record.session.kernel_id == kernel_id:
            return self.stamp_of(record)
        return _NO_REQUEST
