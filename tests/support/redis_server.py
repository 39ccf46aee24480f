"""A real Redis or Valkey server."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

__all__ = ["RedisServer"]


class RedisServer:
    """A real Redis or Valkey server on a port of its own, without persistence.

    Args:
        program: The program.
        folder: A private folder.
        options: Further options, such as those for TLS.
    """

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        port = "--tls-port" if "--tls-port" in options else "--port"
        self._command = [
            *(program, "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
            *("--appendonly", "no", *options, port, str(self.port)),
        ]
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("redis-server does not answer")

    def stop(self) -> None:
        """Kill it: it forgets everything."""
        self._process.kill()
        self._process.wait()
