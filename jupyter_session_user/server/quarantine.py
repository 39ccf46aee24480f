"""Quarantine of one kernel websocket: the server answers in the kernel's place.

The socket stays open, since a front end takes a closed one that it may not open again for a
dead kernel. What to say is ``core.refusal``'s; this file writes it in the socket's format.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from jupyter_client.jsonutil import json_default
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from tornado.websocket import WebSocketClosedError

from jupyter_session_user.core.frames import read_legacy_binary, read_legacy_text, read_v1
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.core.refusal import Answer, refuse
from jupyter_session_user.errors import RemoteProtocolError

if TYPE_CHECKING:
    from jupyter_session_user.core.frames import ClientMessage

__all__ = ["Quarantine"]

#: A person clicks, and "run all" sends a notebook's cells at once. What is more than that is
#: dropped unread: four messages for each of a flood would cost the others' time and memory.
_ANSWERS_PER_S = 100.0
_ANSWERS_AT_ONCE = 2_000


class Quarantine:
    """Answers the requests of one client, none of which reaches the kernel.

    Args:
        session: The connection's ``jupyter_client`` session, which makes messages.
        websocket: Has ``write_message``.
        v1: Whether the socket's format is v1; else legacy.
        kernel_info: What the kernel said of itself; empty if that is not known.
        kernel_session: The kernel's own id in message headers; empty if that is not known.
            JupyterLab drops messages when it sees the ids of two kernels by turns.
    """

    def __init__(
        self, session: Any, websocket: Any, *, v1: bool, kernel_info: Any, kernel_session: str
    ) -> None:
        self._session = session
        self._websocket = websocket
        self._v1 = v1
        self._kernel_info = kernel_info
        self._kernel_session = kernel_session
        self._bucket = TokenBucket(_ANSWERS_PER_S, _ANSWERS_AT_ONCE)

    def answer(self, frame: str | bytes, state: str) -> None:
        """Answer one message of the client.

        Args:
            frame: As it came.
            state: Why it does not reach the kernel.

        Raises:
            RemoteProtocolError: The frame is malformed.
        """
        if not self._bucket.take(time.monotonic()):
            return
        message = self._read(frame)
        if message is None:
            return
        with contextlib.suppress(WebSocketClosedError):
            for answer in refuse(message, state, self._kernel_info):
                self._write(answer, message.header)

    def _read(self, frame: str | bytes) -> ClientMessage | None:
        if self._v1:
            return read_v1(frame)
        return read_legacy_binary(frame) if isinstance(frame, bytes) else read_legacy_text(frame)

    def _write(self, answer: Answer, parent: dict[str, Any]) -> None:
        message = self._session.msg(answer.msg_type, answer.content, parent={"header": parent})
        if self._kernel_session:
            message["header"]["session"] = self._kernel_session
        if self._v1:
            frame = serialize_msg_to_ws_v1(message, answer.channel, _pack)
            self._websocket.write_message(frame, binary=True)
        else:
            whole = {**message, "channel": answer.channel, "buffers": []}
            self._websocket.write_message(_pack(whole).decode("ascii"))


def _pack(value: object) -> bytes:
    """Return JSON in ASCII: the client's header may hold what UTF-8 cannot."""
    try:
        return json.dumps(value, default=json_default).encode("ascii")
    except RecursionError:
        raise RemoteProtocolError("header: nested too deeply") from None
