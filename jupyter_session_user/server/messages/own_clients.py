"""Websocket classes that have a client of their own, and write to the browser themselves.

jupyter-server-documents has one. What it sends passes the mixin, as with every class. What it
writes does not, so this file puts the mixin between the class and the browser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_server.services.kernels.connection.base import (
    BaseKernelWebsocketConnection,
    deserialize_msg_from_ws_v1,
)

from jupyter_session_user.core.kernel_messages import channel_of_text, with_topic
from jupyter_session_user.server.messages.clients import client_named

__all__ = ["OwnClient", "writes_itself"]


def writes_itself(base: type[Any]) -> bool:
    """Tell whether a class passes no message of the kernel to ``handle_outgoing_message``."""
    without = BaseKernelWebsocketConnection.handle_outgoing_message
    return getattr(base, "handle_outgoing_message", None) is without


class OwnClient:
    """Stands between such a class and the browser.

    Args:
        handler: The websocket's handler; its ``write_message`` is replaced.
        passes: ``(channel, message) -> bool``: whether a kernel's message may go to the browser.
            The message is ZMQ frames without a signature, or one JSON text.
    """

    def __init__(self, handler: Any, passes: Callable[[str, Sequence[bytes] | str], bool]) -> None:
        #: Writes to the browser in any case: answers of the server itself.
        self.write_message: Callable[..., Any] = handler.write_message
        self._passes = passes
        handler.write_message = self._write_if_it_may

    async def connect(self, connect: Callable[[], Any], identity: str) -> None:
        """Connect the class's own client.

        Args:
            connect: Connects it.
            identity: The identity of its ZMQ sockets.
        """
        with client_named(identity):
            await connect()

    def _write_if_it_may(self, message: Any, binary: bool = False) -> Any:  # noqa: FBT001, FBT002 - as Tornado has it
        if isinstance(message, bytes):
            channel, parts = deserialize_msg_from_ws_v1(message)
            may = self._passes(channel, with_topic(parts))
        elif isinstance(message, str):
            may = self._passes(channel_of_text(message), message)
        else:
            may = True
        if may:
            return self.write_message(message, binary=binary)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done
