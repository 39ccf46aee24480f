"""The kernel's end: ask the server, wait for its answer, in any thread.

The answer arrives on the control channel, whose thread runs beside the cell; so a cell that
waits here does not wait for itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from jupyter_session_user.core.protocol import COMM_ID_PREFIX, REQUEST_TYPE, Reply, Request
from jupyter_session_user.core.stamp import KEY, is_server_stamp
from jupyter_session_user.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    RequestTimeout,
)

__all__ = ["DEFAULT_TIMEOUT_S", "CommClient", "kernel_publisher"]

DEFAULT_TIMEOUT_S = 5.0

#: The first question of a kernel may come before the server's subscription is through; then
#: it is lost, and asked again. Seconds until then, doubled each time.
FIRST_RETRY_S = 0.1

#: ``(content, topic)``
Publish = Callable[[dict[str, Any], bytes], None]


class CommClient:
    """Asks the server, under one comm id.

    Args:
        publish: Sends a request on iopub.
        control_thread: The thread in which answers arrive; it cannot wait for one.
    """

    def __init__(self, publish: Publish, control_thread: threading.Thread | None = None) -> None:
        self._publish = publish
        self._control_thread = control_thread
        self._comm_id = COMM_ID_PREFIX + _new_id()
        self._topic = f"comm-{self._comm_id}".encode()
        self._waiting: dict[str, Callable[[Reply], None]] = {}

    def ask(
        self, operation: str, session_id: str, timeout: float = DEFAULT_TIMEOUT_S, **details: Any
    ) -> Reply:
        """Return the server's answer.

        Args:
            operation: One of the protocol's.
            session_id: Whose session is asked about.
            timeout: How long to wait, in seconds.
            details: Further fields of the request.

        Raises:
            RequestTimeout: No answer came in time.
            LocalProtocolError: Called in the thread that would have to deliver the answer.
        """
        if threading.current_thread() is self._control_thread:
            raise LocalProtocolError("the kernel's control thread cannot wait for the server")
        request = Request(_new_id(), operation, session_id, **details)
        slot = _Slot()
        self._waiting[request.id] = slot.fill
        try:
            return self._exchange(request, slot, timeout)
        finally:
            del self._waiting[request.id]

    def post(self, request: Request, take: Callable[[Reply], None]) -> None:
        """Send a question and go on.

        Args:
            request: The question; it may be posted again, if it got lost.
            take: Gets each answer, in the thread in which they arrive.
        """
        self._waiting[request.id] = take
        self._send(request)

    def deliver(self, message: dict[str, Any]) -> None:
        """Take an answer that arrived; what is not the server's is ignored.

        Args:
            message: A control message, as ipykernel hands it to a handler.
        """
        if not is_server_stamp(message["metadata"].get(KEY)):
            return
        content = message["content"]
        if content.get("comm_id") != self._comm_id:
            return
        try:
            reply = Reply.from_wire(content.get("data"))
            take = self._waiting.get(reply.id)
            if take is not None:
                take(reply)
        except RemoteProtocolError:
            return  # whoever waits gets a timeout, which says what to look at

    def _exchange(self, request: Request, slot: _Slot, timeout: float) -> Reply:
        pause, left = FIRST_RETRY_S, timeout
        while left > 0:
            self._send(request)
            reply = slot.wait(min(pause, left))
            if reply is not None:
                return reply
            left -= pause
            pause *= 2
        raise RequestTimeout(
            f"Jupyter Server did not answer within {timeout:g} s. It may be busy, it may limit "
            "this kernel's requests (c.JupyterSessionUser.comm_rate), or the kernel may run "
            "behind a gateway, which the comm does not reach."
        )

    def _send(self, request: Request) -> None:
        self._publish({"comm_id": self._comm_id, "data": request.to_wire()}, self._topic)


def _new_id() -> str:
    return os.urandom(16).hex()


class _Slot:
    """The place of one answer."""

    __slots__ = ("_done", "_reply")

    def __init__(self) -> None:
        self._done = threading.Event()
        self._reply: Reply | None = None

    def fill(self, reply: Reply) -> None:
        self._reply = reply
        self._done.set()

    def wait(self, seconds: float) -> Reply | None:
        self._done.wait(seconds)
        return self._reply


def kernel_publisher(kernel: Any) -> Publish:
    """Return a function that sends on the kernel's iopub, from any thread.

    The parent is of our own type as well: a request is no output of anybody's cell, and
    Jupyter Server goes by type and parent when it decides what a kernel's activity is.
    """

    def publish(content: dict[str, Any], topic: bytes) -> None:
        session = kernel.session
        parent = session.msg(REQUEST_TYPE)
        session.send(kernel.iopub_socket, REQUEST_TYPE, content, parent=parent, ident=topic)

    return publish
