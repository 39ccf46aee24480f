"""A browser's requests to the demo's server, for its check of itself."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import SimpleCookie  # of our own server's Set-Cookie only
from typing import Any
from urllib.parse import urlencode

from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

__all__ = ["LEGACY", "V1", "Cells", "Outcome", "Visitor"]

#: The formats of a kernel's websocket.
V1 = "v1.kernel.websocket.jupyter.org"
LEGACY = None

_TIMEOUT_S = 60.0
_PARTS = ("header", "parent_header", "metadata", "content")


@dataclass
class Outcome:
    """What a cell printed, and its errors as texts."""

    text: str = ""
    errors: list[str] = field(default_factory=list)


class Visitor:
    """A browser with cookies of its own.

    Args:
        url: The server's base address, with a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._cookies: dict[str, str] = {}

    async def visit(self, path: str) -> HTTPResponse:
        """Open a page, without what it redirects to."""
        return await self._fetch(path)

    async def post(self, path: str, **form: str) -> HTTPResponse:
        """Send a form, without what the answer redirects to."""
        return await self._fetch(path, method="POST", body=urlencode(form))

    async def open_websocket(self, path: str, *subprotocols: str) -> WebSocketClientConnection:
        """Open a websocket of a page."""
        url = f"ws{self._url[4:]}{path}"
        request = HTTPRequest(url, headers=self._headers, connect_timeout=_TIMEOUT_S)
        return await websocket_connect(request, subprotocols=list(subprotocols) or None)

    async def start_kernel(self) -> str:
        """Start a kernel, and return its id."""
        model = json.loads((await self._fetch("api/kernels", method="POST", body="{}")).body)
        kernel_id: str = model["id"]
        return kernel_id

    async def stop_kernel(self, kernel_id: str) -> None:
        """End a kernel."""
        await self._fetch(f"api/kernels/{kernel_id}", method="DELETE")

    async def connect(self, kernel_id: str, protocol: str | None) -> Cells:
        """Open a kernel's websocket in one of the formats."""
        session = uuid.uuid4().hex
        path = f"api/kernels/{kernel_id}/channels?session_id={session}"
        connection = await self.open_websocket(path, *([protocol] if protocol else []))
        return Cells(connection, session)

    @property
    def _headers(self) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {"Cookie": pairs, "X-XSRFToken": self._cookies.get("_xsrf", "")}

    async def _fetch(self, path: str, **options: Any) -> HTTPResponse:
        request = HTTPRequest(
            self._url + path, headers=self._headers, follow_redirects=False, **options
        )
        request.request_timeout = _TIMEOUT_S
        response = await AsyncHTTPClient().fetch(request, raise_error=False)
        if response.code >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{path.partition('?')[0]}: the server answered {response.code}")
        for line in response.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self._cookies[name] = morsel.coded_value
        return response


class Cells:
    """A kernel's websocket; several cells may be under way."""

    def __init__(self, connection: WebSocketClientConnection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._v1 = connection.selected_subprotocol == V1
        self._queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def execute(self, code: str) -> Outcome:
        """Run a cell, and return its outcome once the kernel has replied and is idle."""
        msg_id = uuid.uuid4().hex
        queue = self._queues[msg_id] = asyncio.Queue()
        await self._send(msg_id, {"code": code, "allow_stdin": False})
        outcome, missing = Outcome(), {"reply", "idle"}
        while missing:
            message = await asyncio.wait_for(queue.get(), _TIMEOUT_S)
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                outcome.text += content["text"]
            elif kind == "error":
                outcome.errors.append(f"{content['ename']}: {content['evalue']}")
            elif kind == "execute_reply":
                missing.discard("reply")
            elif content.get("execution_state") == "idle":
                missing.discard("idle")
        del self._queues[msg_id]
        return outcome

    async def close(self) -> None:
        """Close the websocket."""
        self._connection.close()
        await asyncio.wait_for(self._reader, _TIMEOUT_S)

    async def _send(self, msg_id: str, content: dict[str, Any]) -> None:
        header = {
            "msg_id": msg_id,
            "session": self._session,
            "username": "",
            "version": "5.3",
            "msg_type": "execute_request",
            "date": "2026-01-01T00:00:00Z",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        if not self._v1:
            text = json.dumps({**message, "buffers": [], "channel": "shell"})
            await self._connection.write_message(text)
            return
        parts: Iterable[bytes] = (json.dumps(message[part]).encode() for part in _PARTS)
        frame: bytes = serialize_msg_to_ws_v1(list(parts), "shell")
        await self._connection.write_message(frame, binary=True)

    async def _read(self) -> None:
        while (frame := await self._connection.read_message()) is not None:
            message = self._parse(frame)
            queue = self._queues.get(message["parent_header"].get("msg_id", ""))
            if queue is not None:
                queue.put_nowait(message)

    def _parse(self, frame: str | bytes) -> dict[str, Any]:
        if isinstance(frame, str):
            text: dict[str, Any] = json.loads(frame)
            return text
        _, parts = deserialize_msg_from_ws_v1(frame)
        return {name: json.loads(part) for name, part in zip(_PARTS, parts, strict=False)}
