"""A TCP proxy that fails as networks and servers do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading

__all__ = ["MODES", "FaultProxy"]

#: ``refused``: no listener. ``hole``: connections stay open, and nothing passes. ``slow``: each
#: part of a reply is late. ``reset``: half of a reply passes, then the connection is reset.
MODES = ("refused", "hole", "slow", "reset")
_SLOW_S = 0.3
_CHUNK = 65_536


class FaultProxy:
    """Forwards connections to a port of 127.0.0.1 until it is told to fail.

    Args:
        target: The port behind it.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._mode = "pass"
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self._do(self._listen())

    def fail(self, mode: str) -> None:
        """Fail in one of :data:`MODES` from now on."""
        self._mode = mode
        if mode == "refused":
            self._do(self._stop())

    def heal(self) -> None:
        """Forward again; connections that have hung are closed."""
        if self._mode == "refused":
            self._do(self._listen())
        elif self._mode == "hole":
            self._do(self._drop())
        self._mode = "pass"

    def close(self) -> None:
        """End it."""
        self._mode = "closed"
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._drop()

    async def _drop(self) -> None:
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0.05)  # their tasks end

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        await asyncio.gather(self._pump(reader, back, False), self._pump(there, writer, True))
        for each in (writer, back):
            each.close()
            self._writers.discard(each)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                while self._mode == "hole":
                    await asyncio.sleep(0.02)
                if writer.is_closing():
                    break
                if reply and self._mode == "slow":
                    await asyncio.sleep(_SLOW_S)
                if reply and self._mode == "reset":
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    _reset(writer)
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST in place of FIN: no lingering, socket(7)."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
