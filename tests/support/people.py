"""Users with a browser of their own, as HTTP and websocket clients.

Tornado is the client library, since every Jupyter Server has it already.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import SimpleCookie  # of our own server's Set-Cookie only, never of requests
from typing import Any
from urllib.parse import urlencode, urlsplit

from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

__all__ = ["LEGACY", "V1", "KernelSocket", "Person", "Result"]

V1 = "v1.kernel.websocket.jupyter.org"
LEGACY = None

TIMEOUT_S = 60.0


@dataclass
class Result:
    """The outcome of one request to a kernel.

    Attributes:
        reply: Content of the reply.
        text: The printed output, and the plain text of results and displays.
        html: HTML of results and displays.
        errors: Names and texts of errors.
        messages: All iopub messages of this request.
    """

    reply: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    html: str = ""
    errors: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)


class Person:
    """One browser: a store of cookies, and optionally headers that a proxy would add.

    Args:
        url: The server's base address, with a slash at the end.
        headers: Sent with every request.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self.cookies: dict[str, str] = {}
        #: Options of each HTTP request and websocket, such as ``ca_certs``.
        self.connection: dict[str, Any] = {}

    async def fetch(
        self, path: str, *, method: str = "GET", body: Any = None, form: Any = None
    ) -> HTTPResponse:
        """Return the answer to one request; an error status is not an exception."""
        headers = {**self.headers, **self._cookie_header()}
        if "_xsrf" in self.cookies:
            headers["X-XSRFToken"] = self.cookies["_xsrf"]
        data = urlencode(form) if form is not None else None if body is None else json.dumps(body)
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        response = await AsyncHTTPClient().fetch(
            HTTPRequest(
                self.url + path,
                method=method,
                headers=headers,
                body=data,
                follow_redirects=False,
                request_timeout=TIMEOUT_S,
                allow_nonstandard_methods=True,
                **self.connection,
            ),
            raise_error=False,
        )
        self.keep_cookies(response)
        return response

    def keep_cookies(self, response: HTTPResponse) -> None:
        """Store the cookies of a response; a client without a store overrides this."""
        for line in response.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.coded_value
                if morsel["expires"].startswith("Thu, 01 Jan 1970") or not morsel.value:
                    del self.cookies[name]

    async def json(self, path: str, **options: Any) -> Any:
        """Return the parsed answer.

        Raises:
            RuntimeError: The server answered with an error.
        """
        response = await self.fetch(path, **options)
        if response.code >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{path}: {response.code} {response.body[:300]!r}")
        return json.loads(response.body)

    async def log_in(self, password: str, username: str = "") -> None:
        """Log in with the form.

        Raises:
            RuntimeError: The server did not accept it.
        """
        await self.fetch("login")
        form = {"username": username, "password": password, "_xsrf": self.cookies.get("_xsrf", "")}
        response = await self.fetch("login", method="POST", form=form)
        if response.code != HTTPStatus.FOUND:
            raise RuntimeError(f"login failed: {response.code}")

    async def start_kernel(self, name: str | None = None) -> str:
        """Start a kernel, and return its id."""
        body = {"name": name} if name else {}
        model = await self.json("api/kernels", method="POST", body=body)
        kernel_id: str = model["id"]
        return kernel_id

    async def connect(
        self, kernel_id: str, *, protocol: str | None = V1, session_id: str | None = None
    ) -> KernelSocket:
        """Open a websocket to a kernel.

        Args:
            kernel_id: The kernel.
            protocol: :data:`V1` or :data:`LEGACY`.
            session_id: The id that a browser generates; None generates one here.
        """
        session = session_id or uuid.uuid4().hex
        path = f"api/kernels/{kernel_id}/channels?session_id={session}"
        return KernelSocket(await self.websocket(path, protocol), session)

    async def websocket(self, path: str, protocol: str | None = None) -> WebSocketClientConnection:
        """Open a websocket.

        Args:
            path: Relative to the server's base address.
            protocol: The subprotocol; None for none.
        """
        headers = {**self.headers, **self._cookie_header()}
        request = HTTPRequest(
            f"ws{self.url[4:]}{path}", headers=headers, connect_timeout=TIMEOUT_S, **self.connection
        )
        return await websocket_connect(request, subprotocols=[protocol] if protocol else None)

    def _cookie_header(self) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": pairs} if pairs else {}

    @property
    def origin(self) -> str:
        """Return the origin of the server's pages."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class KernelSocket:
    """An open kernel websocket, in either format."""

    def __init__(self, connection: WebSocketClientConnection, session: str) -> None:
        self.connection = connection
        self.session = session
        self.v1 = connection.selected_subprotocol == V1
        self.everything: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self._queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Close the websocket."""
        self.connection.close()
        await asyncio.wait_for(self.closed.wait(), TIMEOUT_S)
        await self._reader

    def message(
        self,
        msg_type: str,
        content: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        **header: Any,
    ) -> dict[str, Any]:
        """Return a new message, not yet sent."""
        names = {"msg_id": uuid.uuid4().hex, "session": self.session, "username": ""}
        rest = {"msg_type": msg_type, "version": "5.3", "date": "2026-01-01T00:00:00Z", **header}
        return {
            "header": {**names, **rest},
            "parent_header": {},
            "metadata": metadata or {},
            "content": content,
            "buffers": [],
            "channel": "shell",
        }

    async def send(self, message: dict[str, Any], channel: str = "shell") -> str:
        """Send a message, and return its id; the caller can wait for answers to it."""
        msg_id: str = message["header"]["msg_id"]
        self._queues[msg_id] = asyncio.Queue()
        await self.send_frame(self.frame({**message, "channel": channel}))
        return msg_id

    def frame(self, message: dict[str, Any]) -> str | bytes:
        """Return the message in the format of this socket."""
        if self.v1:
            parts = [message[k] for k in ("header", "parent_header", "metadata", "content")]
            data = [json.dumps(part).encode() for part in parts]
            frame: bytes = serialize_msg_to_ws_v1([*data, *message["buffers"]], message["channel"])
            return frame
        if message["buffers"]:
            legacy: bytes = serialize_binary_message(message)
            return legacy
        return json.dumps(message)

    async def send_frame(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        await self.connection.write_message(frame, binary=isinstance(frame, bytes))

    async def receive(self, msg_id: str, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        """Return the next message with the parent ``msg_id``."""
        return await asyncio.wait_for(self._queues[msg_id].get(), timeout)

    def forget(self, msg_id: str) -> None:
        """Drop a request, and the messages of it that have arrived."""
        self._queues.pop(msg_id, None)
        self.everything.clear()

    async def finish(self, msg_id: str, timeout: float = TIMEOUT_S) -> Result:
        """Collect the messages of a request until the kernel is idle and has replied."""
        result, idle = Result(), False
        while not (idle and result.reply):
            message = await self.receive(msg_id, timeout)
            if message["header"]["msg_type"].endswith("_reply"):
                result.reply = message["content"]
            else:
                result.messages.append(message)
                _add(result, message)
                idle = idle or message["content"].get("execution_state") == "idle"
        del self._queues[msg_id]
        return result

    async def execute(
        self,
        code: str,
        metadata: dict[str, Any] | None = None,
        timeout: float = TIMEOUT_S,
        **header: Any,
    ) -> Result:
        """Run code, and return the outcome."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = self.message("execute_request", content, metadata, **header)
        return await self.finish(await self.send(message), timeout)

    async def _read(self) -> None:
        while (frame := await self.connection.read_message()) is not None:
            message = self._parse(frame)
            self.everything.append(message)
            queue = self._queues.get(message["parent_header"].get("msg_id", ""))
            if queue is not None:
                queue.put_nowait(message)
        self.closed.set()

    def _parse(self, frame: str | bytes) -> dict[str, Any]:
        if isinstance(frame, str):
            text: dict[str, Any] = json.loads(frame)
            return text
        if not self.v1:
            legacy: dict[str, Any] = deserialize_binary_message(frame)
            return legacy
        channel, parts = deserialize_msg_from_ws_v1(frame)
        header, parent, metadata, content = (json.loads(part) for part in parts[:4])
        return {
            "header": header,
            "parent_header": parent,
            "metadata": metadata,
            "content": content,
            "buffers": parts[4:],
            "channel": channel,
        }


def _add(result: Result, message: dict[str, Any]) -> None:
    kind, content = message["header"]["msg_type"], message["content"]
    if kind == "stream":
        result.text += content["text"]
    elif kind in {"execute_result", "display_data"}:
        result.text += content["data"].get("text/plain", "")
        result.html += content["data"].get("text/html", "")
    elif kind == "error":
        result.errors.append(f"{content['ename']}: {content['evalue']}")
