"""A service of an administrator's that has the private keys of identity tokens."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["SECRET", "Keys", "key_service"]

SECRET = "c4n4ry-bearer"


class Keys(ThreadingHTTPServer):
    """The administrator's service.

    Attributes:
        answer: Status and body.
        asked: The headers of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, bytes] = (200, b"")
        self.slow_s = 0.0
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        """The address of the keys."""
        return f"http://127.0.0.1:{self.server_port}/keys"


class _Handler(BaseHTTPRequestHandler):
    server: Keys

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        status, body = self.server.answer
        if self.headers.get("Authorization") != f"Bearer {SECRET}":
            status, body = 401, b"{}"
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for at in range(0, len(body), 64):
                self.wfile.write(body[at : at + 64])
                time.sleep(self.server.slow_s)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextlib.contextmanager
def key_service() -> Iterator[Keys]:
    """Run the service for the block."""
    server = Keys()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
