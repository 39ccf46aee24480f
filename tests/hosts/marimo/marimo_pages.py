"""A user with a marimo page, limited to marimo's protocol."""

from __future__ import annotations

import asyncio
import html
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sockets import shut
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

__all__ = ["Page", "pages_of"]

PATIENCE_S = 60.0


class Page:
    """One open page.

    Attributes:
        said: The output of its cells so far.
        session: Its id, made up as marimo's front end does.
        cookie: The browser's cookie; a test may change it, as a login in another tab does.
        elements: The ids of the elements in the output, by the kind of element.
        results: The answers of called functions, by the call's id.
    """

    def __init__(self, host: str, cookie: str) -> None:
        self.said: dict[str, Any] = {}
        self.session = f"s_{uuid.uuid4().hex[:6]}"
        self.cookie = cookie
        self.elements: dict[str, str] = {}
        self.results: dict[str, Any] = {}
        self._url = f"//{host}"
        self._button = ""
        self._running = False
        self._socket: Any = None

    async def open(self, **query: str) -> Page:
        """Connect, and wait until all cells have run."""
        await self.connect(**query)
        return await self.until("callback", "cell")

    async def connect(self, **query: str) -> None:
        """Connect the websocket."""
        query = {"session_id": self.session, **query}
        url = f"ws:{self._url}/ws?{'&'.join(f'{k}={v}' for k, v in query.items())}"
        self._socket = await websocket_connect(HTTPRequest(url, headers={"Cookie": self.cookie}))

    async def begun(self) -> None:
        """Wait until a cell runs: then all of them are compiled."""

        async def read() -> None:
            while not self._running:
                await self._read()

        await asyncio.wait_for(read(), PATIENCE_S)

    async def until(self, *keys: str) -> Page:
        """Wait until the cells have shown these."""

        async def read() -> None:
            while not all(key in self.said for key in keys):
                await self._read()

        try:
            await asyncio.wait_for(read(), PATIENCE_S)
        except asyncio.TimeoutError:
            raise TimeoutError(f"waiting for {keys} of {self._button}: {self.said}") from None
        return self

    async def _read(self) -> None:
        message = await self._socket.read_message()
        assert message is not None, (self._socket.close_code, self._socket.close_reason)
        self._take(json.loads(message)["data"])

    def _take(self, data: dict[str, Any]) -> None:
        self._running |= data.get("status") == "running"
        if data["op"] == "function-call-result":
            self.results[data["function_call_id"]] = data
        output = data.get("output") or {}
        shown = output.get("data") if data["op"] == "cell-op" else None
        assert output.get("channel") != "marimo-error", shown
        if not isinstance(shown, str):
            return
        if found := re.search(r"<pre>(.*?)</pre>", shown):
            self.said.update(json.loads(html.unescape(found[1])))
        for name, kind in re.findall(r"object-id='([^']+)'[^>]*>\s*<(marimo-[\w-]+)", shown):
            self.elements[kind] = name
        if found := re.search(r"object-id='([^']+)'", shown):
            self._button = found[1]

    async def click(self) -> Page:
        """Press the button, and wait until its callback and the cell behind it have run."""
        del self.said["callback"]
        await self.post("set_ui_element_value", objectIds=[self._button], values=[1])
        return await self.until("callback")

    async def call(self, element: str, function: str, **args: Any) -> Any:
        """Call a function of an element, as the page does, and return its answer."""
        call = uuid.uuid4().hex

        async def answered() -> None:
            while call not in self.results:
                await self._read()

        await self.post(
            "function_call",
            functionCallId=call,
            namespace=self.elements[element],
            functionName=function,
            args=args,
        )
        await asyncio.wait_for(answered(), PATIENCE_S)
        return self.results[call]["return_value"]

    async def post(self, command: str, **body: Any) -> None:
        """Send one command, as the page does."""
        headers = {"Cookie": self.cookie, "Marimo-Session-Id": self.session}
        await AsyncHTTPClient().fetch(
            f"http:{self._url}/api/kernel/{command}",
            method="POST",
            headers={**headers, "Content-Type": "application/json"},
            body=json.dumps(body),
        )

    async def close(self) -> None:
        """Close the page."""
        if self._socket is not None:
            await shut(self._socket)


@asynccontextmanager
async def pages_of(host: str, *cookies: str) -> AsyncIterator[list[Page]]:
    """Make pages for the block, one for each browser."""
    pages = [Page(host, cookie) for cookie in cookies]
    try:
        yield pages
    finally:
        for page in pages:
            await page.close()
