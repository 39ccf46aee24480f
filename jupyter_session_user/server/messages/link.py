"""A connection to one kernel. A malformed message is dropped and affects no other message.

The sender may be any code that a user runs in the kernel. The size of a message is checked before
the message is parsed. The handler never raises into the event loop, because ZMQStream would then
not call it again.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Protocol

import zmq
from jupyter_client.session import Session
from zmq.eventloop.zmqstream import ZMQStream

from jupyter_session_user.core.kernel_messages import kernel_question
from jupyter_session_user.core.protocol import (
    MAX_REQUEST_BYTES,
    REPLY_TYPE,
    TOPIC_PREFIX,
    UPDATE_TYPE,
    Reply,
    Request,
    Update,
)
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.core.stamp import KEY, SERVER_STAMP, load_json
from jupyter_session_user.errors import RemoteProtocolError

if TYPE_CHECKING:
    import logging

    from jupyter_client.manager import KernelManager

__all__ = ["Answer", "Drops", "Link", "ZmqLink", "when_ready"]

#: ``(kernel_id, request) -> reply``, at once or later.
Answer = Callable[[str, Request], "Reply | Future[Reply]"]

#: Messages that wait in this process; further messages wait in the kernel, or are dropped there.
_RECEIVE_HWM = 10
#: Replies that wait for a kernel that does not read them; further replies are dropped.
_SEND_HWM = 100
#: Topic, delimiter, signature, header, parent_header, metadata, content; requests have no buffers.
_MAX_FRAMES = 7
#: Signatures of the latest requests, so that each request counts only once.
_REMEMBERED = 256

_NOTES_PER_S = 1 / 60
_NOTES_AT_ONCE = 5


class Link(Protocol):
    """A connection to one kernel, in both directions."""

    def is_current(self) -> bool:
        """Tell whether the kernel still has the address of this link."""

    def close(self) -> None:
        """Release the sockets; harmless when repeated."""

    def send_update(self, update: Update) -> None:
        """Send a session update, if the kernel subscribed to updates."""


class ZmqLink:
    """Listens to our topic on a kernel's iopub, and replies on its control channel.

    Args:
        manager: The kernel's manager.
        admit: Tells whether one more message is within the rate limit.
        answer: Decides the replies.
        log: Log for dropped messages, without their content.
    """

    def __init__(
        self,
        manager: KernelManager,
        admit: Callable[[], bool],
        answer: Answer,
        log: logging.Logger,
    ) -> None:
        self._kernel_id: str = manager.kernel_id
        self._admit = admit
        self._answer = answer
        self._drops = Drops(manager.kernel_id, log)
        self._manager = manager
        self._ports = tuple(manager.ports)
        self._session = Session(key=manager.session.key)
        self._session.signature_scheme = manager.session.signature_scheme
        self._seen: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._iopub = _stream(manager.connect_iopub())
        self._iopub.socket.unsubscribe(b"")  # connect_iopub subscribes to everything
        # RCVHWM limits the number of messages, not bytes. ZMQ_MAXMSGSIZE would limit bytes, but it
        # closes the connection for good at the first larger message.
        self._iopub.socket.set(zmq.RCVHWM, _RECEIVE_HWM)
        self._iopub.socket.subscribe(TOPIC_PREFIX)
        self._iopub.on_recv(self._on_iopub, copy=False)
        self._control = _stream(manager.connect_control())
        self._control.socket.set(zmq.SNDHWM, _SEND_HWM)
        self._control.socket.set(zmq.SNDTIMEO, 0)
        self._watched_by: object = None

    def is_current(self) -> bool:
        """Tell whether the kernel still has the same ports; a restart may change them."""
        return tuple(self._manager.ports) == self._ports

    def close(self) -> None:
        """Close both sockets."""
        for stream in (self._iopub, self._control):
            if not stream.closed():
                stream.close(linger=0)

    def send_update(self, update: Update) -> None:
        """Send an update, if the kernel's current process subscribed to updates."""
        if self.is_current() and self._watched_by is self._manager.ready:
            try:
                self._send(UPDATE_TYPE, update.to_wire())
            except zmq.ZMQError as error:  # other kernels need the update as well
                self._drops.note(error)

    def _on_iopub(self, frames: Sequence[zmq.Frame]) -> None:
        try:
            self._on_frames(frames)
        except Exception as error:  # noqa: BLE001 - only this message is lost
            self._drops.note(error)

    def _on_frames(self, frames: Sequence[zmq.Frame]) -> None:
        if len(frames) > _MAX_FRAMES or sum(map(len, frames)) > MAX_REQUEST_BYTES:
            raise RemoteProtocolError("request: too large")
        if not self._admit():
            return
        question = kernel_question([frame.bytes for frame in frames], self._is_signed)
        if question is None:
            return  # the socket's own welcome, or user code that uses our topic
        comm_id, request = question
        if request.operation == "watch":
            # The manager makes a new future at each start, so it identifies the process.
            self._watched_by = self._manager.ready

        def send(reply: Reply) -> None:
            self._send(REPLY_TYPE, {"comm_id": comm_id, "data": reply.to_wire()})

        when_ready(self._answer(self._kernel_id, request), send, self._drops.note)

    def _is_signed(self, signature: bytes, parts: Sequence[bytes]) -> bool:
        """Tell whether the kernel's key signed this, and the signature is new."""
        if not compare_digest(signature, self._session.sign(list(parts))):
            return False
        if self._session.auth is None:  # an empty key: no message is signed
            return True
        fresh = signature not in self._seen
        self._seen.append(signature)
        return fresh

    def _send(self, msg_type: str, content: dict[str, Any]) -> None:
        """Send, or fail at once: a stream would queue everything that a kernel does not read."""
        self._session.send(
            self._control.socket,
            msg_type,
            content,
            metadata={KEY: load_json(SERVER_STAMP, "stamp")},
        )


def when_ready(
    reply: Reply | Future[Reply], send: Callable[[Reply], None], failed: Callable[[Exception], None]
) -> None:
    """Send a reply now, or as soon as it is known.

    Args:
        reply: The reply, or its future.
        send: Sends it. What it raises now, the caller gets.
        failed: Takes what goes wrong later.
    """
    if isinstance(reply, Reply):
        send(reply)
        return

    def done(future: Future[Reply]) -> None:
        try:
            if not future.cancelled():
                send(future.result())
        except Exception as error:  # noqa: BLE001 - only this message is lost
            failed(error)

    reply.add_done_callback(done)


class Drops:
    """Logs dropped messages by kind, at a limited rate."""

    def __init__(self, kernel_id: str, log: logging.Logger) -> None:
        self._kernel_id = kernel_id
        self._log = log
        self._bucket = TokenBucket(_NOTES_PER_S, _NOTES_AT_ONCE)
        self._silent = 0

    def note(self, error: Exception) -> None:
        """Log one dropped message, or count it for the next line."""
        if not self._bucket.take(time.monotonic()):
            self._silent += 1
            return
        # Only our own errors have a known text; other errors may quote the message.
        why = error if isinstance(error, RemoteProtocolError) else type(error).__name__
        more = f" ({self._silent} more since the last such line)" if self._silent else ""
        self._silent = 0
        self._log.warning("Kernel %s: comm message dropped: %s%s", self._kernel_id, why, more)


def _stream(socket: Any) -> ZMQStream:
    """Return a stream; the server's own managers already return one."""
    return socket if isinstance(socket, ZMQStream) else ZMQStream(socket)
