"""Quarantine of one kernel websocket: the server replies in place of the kernel.

The socket stays open: if it were closed and could not be reopened, a front end would think that the
kernel died. ``core.refusal`` defines the replies; this file writes them in the socket's format.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from tornado.websocket import WebSocketClosedError

from jupyter_session_user.core.frames import V1, Format
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.core.refusal import refuse
from jupyter_session_user.errors import RemoteProtocolError

__all__ = ["Quarantine"]

#: A user clicks, and "run all" sends all cells of a notebook at once. Messages above this limit are
#: dropped unread: four replies to each message of a flood would cost other users time and memory.
_ANSWERS_PER_S = 100.0
_ANSWERS_AT_ONCE = 2_000


class Quarantine:
    """Replies to one client's requests, none of which reaches the kernel.

    Args:
        session: The connection's ``jupyter_client`` session, which builds messages.
        websocket: An object with ``write_message``.
        frames: The format of the socket.
        kernel_info: The kernel's ``kernel_info_reply`` content; empty if unknown.
        kernel_session: The kernel's session id in message headers; empty if unknown. JupyterLab
            drops messages if it sees the ids of two kernels alternately.
    """

    def __init__(
        self, session: Any, websocket: Any, frames: Format, kernel_info: Any, kernel_session: str
    ) -> None:
        self._session = session
        self._websocket = websocket
        self._format = frames
        self._kernel_info = kernel_info
        self._kernel_session = kernel_session
        self._bucket = TokenBucket(_ANSWERS_PER_S, _ANSWERS_AT_ONCE)

    def answer(self, frame: str | bytes, state: str) -> bool:
        """Reply to one message of the client.

        Args:
            frame: The message as received.
            state: Why it does not reach the kernel.

        Returns:
            Whether the message was read; others are above the rate limit, or reserved.

        Raises:
            RemoteProtocolError: The frame is malformed.
        """
        if not self._bucket.take(time.monotonic()):
            return False
        message = self._format.read(frame)
        if message is None:
            return False
        with contextlib.suppress(WebSocketClosedError):
            for answer in refuse(message, state, self._kernel_info):
                parent = {"header": message.header}
                reply = self._session.msg(answer.msg_type, answer.content, parent=parent)
                if self._kernel_session:
                    reply["header"]["session"] = self._kernel_session
                if self._format is V1:
                    packed = serialize_msg_to_ws_v1(reply, answer.channel, _pack)
                    self._websocket.write_message(packed, binary=True)
                else:
                    whole = {**reply, "channel": answer.channel, "buffers": []}
                    self._websocket.write_message(_pack(whole).decode("ascii"))
        return True


def _pack(value: object) -> bytes:
    """Return JSON in ASCII: the client's header may hold text that UTF-8 cannot encode."""
    try:
        return json.dumps(value, default=json_default).encode("ascii")
    except RecursionError:
        raise RemoteProtocolError("header: nested too deeply") from None
