"""Real ``bokeh serve`` and ``panel serve`` processes, and visitors that speak Bokeh's protocol.

The apps write their observations as lines of JSON into ``$PROBE_LOG``. Each visit has a tag in its
address, which separates the lines of simultaneous visitors.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

ROOT = Path(__file__).parents[3]
APPS = Path(__file__).parent / "apps"
PATIENCE_S = 60
SECRET = "a secret of the tests, long enough"

#: Both tools listen on every address by default. Their sessions outlive a visit, with all periodic
#: callbacks, by 15 to 32 s: after a few tests, these delay the next test's click by many seconds.
OPTIONS = (
    *("--address", "127.0.0.1"),
    *("--unused-session-lifetime", "15000", "--check-unused-sessions", "2000"),
)


@dataclass
class Server:
    """A running server."""

    url: str
    log: Path
    process: subprocess.Popen
    output: Path
    path: str = ""

    def said(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the lines with these values."""
        text = self.log.read_text() if self.log.exists() else ""
        lines = text.rpartition("\n")[0].splitlines()  # the last line may be incomplete
        found = [json.loads(line) for line in lines]
        return [line for line in found if wanted.items() <= line.items()]

    def printed(self) -> str:
        """Return the beginning and the end of what the server printed."""
        text = self.output.read_text()
        return text if len(text) < 6000 else f"{text[:3000]}\n[…]\n{text[-3000:]}"

    async def wait(self, count: int = 1, **wanted: Any) -> list[dict[str, Any]]:
        """Wait for that many such lines."""
        end = time.monotonic() + PATIENCE_S
        while len(lines := self.said(**wanted)) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{wanted}: {self.printed()}\n{self.said()[-50:]}\n{wanted}")
            await asyncio.sleep(0.05)
        return lines

    async def user(self, **wanted: Any) -> str:
        """Return the user that the first such line names."""
        line = (await self.wait(**wanted))[0]
        return line.get("user") or line["error"]


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serve(
    folder: Path, tool: str, app: Path, *arguments: str, runner: bool = False, **env: str
) -> Iterator[Server]:
    """Run ``bokeh serve`` or ``panel serve`` with one app."""
    port = free_port()
    log, output = folder / "said.jsonl", folder / "output.txt"
    module = ["jupyter_session_user", tool] if runner else [tool]
    command = [sys.executable, "-m", *module, "serve", str(app), "--port", str(port), *OPTIONS]
    for host in ("localhost", "127.0.0.1"):
        command += ["--allow-websocket-origin", f"{host}:{port}"]
    with running([*command, *arguments], f"http://localhost:{port}", log, output, **env) as server:
        server.path = f"/{app.stem}"
        yield server


@contextlib.contextmanager
def running(command: list[str], url: str, log: Path, output: Path, **env: str) -> Iterator[Server]:
    """Run a server until the block ends."""
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PROBE_LOG": str(log),
        "BOKEH_RESOURCES": "server",
        **env,
    }
    with output.open("w") as sink:
        process = subprocess.Popen(
            command, env=environ, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(url, process, output)
        yield Server(url, log, process, output)
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """End a server with its processes: those of ``--num-procs`` outlive the first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def _wait_for(url: str, process: subprocess.Popen, output: Path) -> None:
    port = int(url.rpartition(":")[2])
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"no server: {output.read_text()[-3000:]}")


@dataclass
class Visit:
    """One page in one browser.

    Attributes:
        server: The server that the page belongs to.
        tag: The ``tag`` of its lines.
        headers: Headers that a proxy in front of the server would add to each request.
        cookies: The cookies of the browser.
    """

    server: Server
    tag: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    socket: Any = None
    document: dict[str, Any] = field(default_factory=dict)
    number: int = 0

    def _headers(self) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**self.headers, **({"Cookie": pairs} if pairs else {})}

    async def fetch(self, path: str, **options: Any) -> Any:
        """Fetch a page, and keep its cookies."""
        options.setdefault("follow_redirects", False)
        request = HTTPRequest(
            self.server.url + path, headers=self._headers(), request_timeout=60, **options
        )
        response = await AsyncHTTPClient().fetch(request, raise_error=False)
        for line in response.headers.get_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value not in ("", '""'):
                self.cookies[name] = value
        return response

    async def load(self) -> Any:
        """Load the page, which runs the app, and keep its token."""
        response = await self.fetch(f"{self.server.path}?{urlencode({'tag': self.tag})}")
        found = re.search(r'"token":"([^"]+)"', response.body.decode())
        assert found, (response.code, response.headers, response.body[-500:])
        self.token = found[1]
        return response

    async def connect(self, token: str = "") -> Visit:
        """Open the websocket, and fetch the document."""
        address = self.server.url.replace("http", "ws", 1) + self.server.path + "/ws"
        self.socket = await websocket_connect(
            HTTPRequest(address, headers=self._headers()),
            subprotocols=["bokeh", token or self.token],
        )
        _open.setdefault(asyncio.get_running_loop(), []).append(self.socket)
        await self._receive("ACK")
        await self._send("PULL-DOC-REQ", {})
        self.document = (await self._receive("PULL-DOC-REPLY"))["doc"]
        return self

    async def open(self) -> Visit:
        """Load the page and connect, as a browser does."""
        await self.load()
        return await self.connect()

    async def click(self, label: str) -> None:
        """Click the button with that label."""
        text = json.dumps(self.document)
        model = _find(self.document, label)
        assert model, text[:2000]
        event = {
            "type": "event",
            "name": "button_click",
            "values": {"type": "map", "entries": [["model", {"id": model}]]},
        }
        message = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}
        await self._send("PATCH-DOC", {"events": [message]})

    async def _send(self, kind: str, content: dict[str, Any]) -> None:
        self.number += 1
        header = {"msgid": f"{self.tag}-{self.number}", "msgtype": kind}
        for part in (header, {}, content):
            await self.socket.write_message(json.dumps(part))

    async def _receive(self, kind: str) -> dict[str, Any]:
        while True:
            parts = [await asyncio.wait_for(self.socket.read_message(), 60) for _ in range(3)]
            assert None not in parts, "the server closed the websocket"
            header, _, content = map(json.loads, parts)
            for _ in range(header.get("num_buffers", 0) * 2):
                await self.socket.read_message()
            if header["msgtype"] == kind:
                return content


# By event loop, of which each test has one: the websockets of an ended loop cannot be closed.
_open: MutableMapping[asyncio.AbstractEventLoop, list[Any]] = weakref.WeakKeyDictionary()


async def leave() -> None:
    """Close this test's visitors' websockets; an open one would cause a warning."""
    for opened in _open.pop(asyncio.get_running_loop(), []):
        opened.close()
        with contextlib.suppress(asyncio.TimeoutError):
            while await asyncio.wait_for(opened.read_message(), 5) is not None:
                pass


def _find(node: Any, label: str) -> str:
    if isinstance(node, dict):
        if node.get("attributes", {}).get("label") == label and "id" in node:
            return node["id"]
        return next(filter(None, (_find(value, label) for value in node.values())), "")
    if isinstance(node, list):
        return next(filter(None, (_find(value, label) for value in node)), "")
    return ""
