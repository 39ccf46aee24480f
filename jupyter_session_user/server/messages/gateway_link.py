"""A connection to one kernel behind a gateway, over the websockets of its clients.

The kernel's sockets are on another machine. Each client of such a kernel has a websocket from this
server to the gateway, which brings all that the kernel publishes, its requests too. A reply goes
back over the same websocket. Without a client no request arrives, and the kernel gets no answer.
The last client's websocket therefore tells the kernel so before it closes. The next one tells the
kernel that requests arrive again, and brings the updates that it missed.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from jupyter_session_user.core.kernel_messages import question_of_text
from jupyter_session_user.core.protocol import (
    LINK_TYPE,
    MAX_REQUEST_BYTES,
    REPLY_TYPE,
    UPDATE_TYPE,
    LinkState,
    Reply,
    Update,
)
from jupyter_session_user.core.session import write_time
from jupyter_session_user.core.stamp import KEY, SERVER_STAMP, load_json
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.server.messages.link import Answer, Drops, when_ready

if TYPE_CHECKING:
    import logging

    from jupyter_client.manager import KernelManager

__all__ = ["GatewayConnection", "GatewayLink"]

#: Ids of the latest requests: each of the kernel's websockets brings the same request.
_REMEMBERED = 256
#: Updates that wait for the next client: the latest of each session. A kernel has no more places.
_MAX_WAITING = 1000


class GatewayConnection(Protocol):
    """A client's connection, as the link uses it."""

    def send_to_gateway(self, text: str) -> bool:
        """Send a message of the server itself; tell whether the connection is open."""

    def is_open_to_gateway(self) -> bool:
        """Tell whether messages can be sent."""


class GatewayLink:
    """Answers a kernel's requests over the connections of its clients.

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
        self._connections: WeakSet[GatewayConnection] = WeakSet()
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)
        self._is_watched = False
        # Begins with the clock, so that a later link counts on.
        self._serials = itertools.count(time.time_ns())
        self._waiting: dict[str, Update] = {}
        self._is_alone = False

    def is_current(self) -> bool:
        """Return True: the gateway finds the kernel by its id, which a restart keeps."""
        return True

    def close(self) -> None:
        """Forget the connections, which belong to the clients."""
        self._connections.clear()

    def join(self, connection: GatewayConnection) -> None:
        """Use a client's connection as well."""
        self._connections.add(connection)

    def opened(self, connection: GatewayConnection) -> None:
        """Tell the kernel, over a connection that is open now, what it could not hear before."""
        if self._is_alone:
            self._is_alone = not self._tell(connection, connected=True)
        waiting, self._waiting = self._waiting, {}
        for update in waiting.values():
            self.send_update(update)

    def leave(self, connection: GatewayConnection) -> None:
        """Stop using a connection that is about to close; the last one tells the kernel."""
        self._connections.discard(connection)
        if self._is_watched and not any(c.is_open_to_gateway() for c in self._connections):
            self._is_alone |= self._tell(connection, connected=False)

    def hear(self, text: str | bytes, connection: GatewayConnection) -> None:
        """Answer a message that the kernel published for the server."""
        try:
            self._hear(text, connection)
        except Exception as error:  # noqa: BLE001 - only this message is lost
            self._drops.note(error)

    def send_update(self, update: Update) -> None:
        """Send an update to the kernel if it subscribed; without a client, keep it for the next."""
        if not self._is_watched:
            return
        text = _message(UPDATE_TYPE, update.to_wire())
        if any(each.send_to_gateway(text) for each in list(self._connections)):
            return
        self._waiting.pop(update.session.id, None)
        self._waiting[update.session.id] = update
        if len(self._waiting) > _MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _tell(self, connection: GatewayConnection, *, connected: bool) -> bool:
        state = LinkState(connected, next(self._serials))
        return connection.send_to_gateway(_message(LINK_TYPE, state.to_wire()))

    def _hear(self, text: str | bytes, connection: GatewayConnection) -> None:
        if len(text) > MAX_REQUEST_BYTES:
            raise RemoteProtocolError("request: too large")
        question = question_of_text(text)
        if question is None or question.msg_id in self._seen:
            return
        self._seen.append(question.msg_id)
        if not self._admit():
            return
        self._is_watched |= question.request.operation == "watch"

        def send(reply: Reply) -> None:
            data = {"comm_id": question.comm_id, "data": reply.to_wire()}
            connection.send_to_gateway(_message(REPLY_TYPE, data))

        when_ready(self._answer(self._kernel_id, question.request), send, self._drops.note)


def _message(msg_type: str, content: dict[str, Any]) -> str:
    """Return a message on the control channel, in the only format that gateways speak."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": msg_type,
        "session": uuid.uuid4().hex,
        "username": "",
        "date": write_time(datetime.now(timezone.utc)),
        "version": "5.3",
    }
    return json.dumps(
        {
            "header": header,
            "parent_header": {},
            "metadata": {KEY: load_json(SERVER_STAMP, "stamp")},
            "content": content,
            "buffers": [],
            "channel": "control",
        }
    )
