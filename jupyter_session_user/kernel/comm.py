"""The kernel's end of the comm: requests to the server, and the server's updates.

Answers and updates arrive on the control channel. Its thread runs beside the cell, so a cell that
waits here does not block its own answer, and an update is received while a cell runs.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from jupyter_session_user.core.protocol import (
    COMM_ID_PREFIX,
    LinkState,
    Reply,
    Request,
    Update,
)
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import KEY, is_server_stamp
from jupyter_session_user.errors import (
    LocalProtocolError,
    RemoteProtocolError,
    RequestTimeout,
)
from jupyter_session_user.kernel.status import MAX_SESSIONS, statuses

__all__ = ["DEFAULT_TIMEOUT_S", "CommClient", "UpdateReceiver"]

DEFAULT_TIMEOUT_S = 5.0

#: The first request of a kernel may come before the server's subscription is complete; then it is
#: lost, and sent again. Seconds until then, doubled each time.
FIRST_RETRY_S = 0.1

#: The server said that no client connects this kernel to it. A client may have come at this moment,
#: so a request is tried all the same. Seconds until it fails.
ALONE_S = 0.08

#: A request may be lost before the server listens, and a kernel behind a gateway gets no answer
#: without a client. Seconds until it is repeated, doubled each time.
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 60.0

_log = logging.getLogger(KEY)

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
        self._link = LinkState(connected=True, serial=-1)
        self._on_alone: set[Callable[[], None]] = set()

    def ask(
        self, operation: str, session_id: str, timeout: float = DEFAULT_TIMEOUT_S, **details: Any
    ) -> Reply:
        """Return the server's answer.

        Args:
            operation: One of the operations of the protocol.
            session_id: The session that the request is about.
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
        self._on_alone.add(slot.wake)
        pause, deadline = FIRST_RETRY_S, time.monotonic() + timeout
        try:
            while (left := deadline - time.monotonic()) > 0:
                alone = not self._link.connected
                self._send(request)
                reply = slot.wait(min(ALONE_S if alone else pause, left))
                if reply is not None:
                    return reply
                if alone and not self._link.connected:
                    raise RequestTimeout(_NO_CLIENT)
                pause *= 2
        finally:
            del self._waiting[request.id]
            self._on_alone.discard(slot.wake)
        raise RequestTimeout(_NO_ANSWER.format(timeout))

    def post(self, request: Request, take: Callable[[Reply], None]) -> None:
        """Send a request without waiting.

        Args:
            request: The request; it may be sent again, if it was lost.
            take: Called with each answer, in the thread in which they arrive.
        """
        self._waiting[request.id] = take
        self._send(request)

    def deliver(self, message: dict[str, Any]) -> None:
        """Take an answer that arrived; ignore messages that the server did not send.

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
            self._link = LinkState(connected=True, serial=self._link.serial)
            take = self._waiting.get(reply.id)
            if take is not None:
                take(reply)
        except RemoteProtocolError:
            return  # the waiting call gets a timeout, and its message says what to check

    def deliver_link(self, message: dict[str, Any]) -> None:
        """Take the server's statement whether a client connects this kernel to it.

        Args:
            message: A control message, as ipykernel hands it to a handler.
        """
        if not is_server_stamp(message["metadata"].get(KEY)):
            return
        try:
            state = LinkState.from_wire(message["content"])
        except RemoteProtocolError:
            return
        if state.serial <= self._link.serial:
            return
        self._link = state
        if not state.connected:
            for wake in list(self._on_alone):
                wake()

    def _send(self, request: Request) -> None:
        self._publish({"comm_id": self._comm_id, "data": request.to_wire()}, self._topic)


_NO_ANSWER = (
    "Jupyter Server did not answer within {:g} s. It may be busy or stopped, it may limit this "
    "kernel's requests (c.JupyterSessionUser.comm_rate), or the kernel runs behind a gateway and "
    "no client is connected to it: open its notebook."
)
_NO_CLIENT = (
    "Jupyter Server cannot be asked: this kernel runs behind a gateway, which connects it to the "
    "server only while a client is connected, and by the server's last message to it, the last "
    "client had disconnected. Open the notebook of this kernel, then call again."
)


def _new_id() -> str:
    return os.urandom(16).hex()


class _Slot:
    """Waits for one answer."""

    __slots__ = ("_reply", "_woken")

    def __init__(self) -> None:
        self._woken = threading.Event()
        self._reply: Reply | None = None

    def fill(self, reply: Reply) -> None:
        self._reply = reply
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    def wait(self, seconds: float) -> Reply | None:
        self._woken.wait(seconds)
        self._woken.clear()  # before the reply is read, so that none is overlooked
        return self._reply


class UpdateReceiver:
    """Subscribes to session updates and receives them.

    Args:
        comm: Sends requests to the server.

    Attributes:
        on_update: Called in the control thread with each update that changes something; must return
            at once.
    """

    def __init__(self, comm: CommClient) -> None:
        self.on_update: Callable[[Update], None] | None = None
        self._comm = comm
        # One id for all these requests: they are identical, and so are the answers.
        self._request = Request(os.urandom(16).hex(), "watch", "")
        self._seen: set[str] = set()
        self._acknowledged = False
        self._pause = FIRST_PAUSE_S
        self._not_before = 0.0

    def saw(self, session_id: str) -> None:
        """Note the session of a message, and subscribe to updates unless subscribed already."""
        if session_id not in self._seen:
            # A restarted server has new sessions, and does not know that we listen.
            self._seen = {session_id, *(self._seen if len(self._seen) < MAX_SESSIONS else ())}
            self.ask_anew()
        self.ask()

    def ask_anew(self) -> None:
        """Ask soon, even after an answer."""
        self._acknowledged, self._pause, self._not_before = False, FIRST_PAUSE_S, 0.0

    def ask(self) -> None:
        """Subscribe to updates, unless subscribed or asked just now; never waits."""
        now = time.monotonic()
        if self._acknowledged or now < self._not_before:
            return
        self._not_before = now + self._pause
        self._pause = min(self._pause * 2, MAX_PAUSE_S)
        try:
            self._comm.post(self._request, self._take_answer)
        except Exception:  # noqa: BLE001 - a closed socket must not break get_current_user()
            _log.debug("updates were not asked for", exc_info=True)

    def deliver(self, message: dict[str, Any]) -> None:
        """Take an update that arrived; ignore messages that the server did not send.

        Args:
            message: A control message, as ipykernel hands it to a handler.
        """
        if not is_server_stamp(message["metadata"].get(KEY)):
            return
        try:
            update = Update.from_wire(message["content"])
        except RemoteProtocolError as error:
            _log.warning("an update of Jupyter Server cannot be read: %s", error)
            return
        if statuses.learn(update.session, from_server=True) and self.on_update is not None:
            self.on_update(update)

    def _take_answer(self, reply: Reply) -> None:
        listed = reply.result.get("sessions")
        if reply.error or not isinstance(listed, list):
            return
        self._acknowledged = True
        for wire in listed:
            statuses.learn(Session.from_wire(wire), from_server=True)
