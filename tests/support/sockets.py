"""End a tornado websocket of a test before the test's event loop ends."""

from __future__ import annotations

import asyncio

from tornado.websocket import WebSocketClientConnection

PATIENCE_S = 30


async def shut(connection: WebSocketClientConnection) -> None:
    """Close a websocket, and wait until the server has closed it too.

    A socket that is open when its loop ends is a ``ResourceWarning``, in whichever test the
    garbage collector then runs.

    Raises:
        TimeoutError: The server did not close it.
    """
    protocol = connection.protocol
    connection.close()
    while protocol is not None and not protocol.stream.closed():
        await asyncio.wait_for(connection.read_message(), PATIENCE_S)
