"""A user with a Shiny app, limited to Shiny's protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

__all__ = ["Tab", "tabs_of"]

PATIENCE_S = 60.0


class Tab:
    """One open tab.

    Attributes:
        said: The output of the app so far, by case, in its order.
        session: The id of its session, as Shiny sends it to the browser.
    """

    def __init__(self, host: str, login: str = "", path: str = "/") -> None:
        self.said: dict[str, list[str]] = {}
        self.session = ""
        self._headers = {"X-Login": login}
        self._at = f"//{host}{path}"
        self._socket: Any = None
        self._news = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None

    async def page(self, path: str = "") -> str:
        """Return a page as text, as a user's browser requests it."""
        request = HTTPRequest(f"http:{self._at}{path}", headers=self._headers)
        answer = await AsyncHTTPClient().fetch(request)
        return answer.body.decode()

    async def open(self, **inputs: Any) -> Tab:
        """Connect the websocket, and start the session."""
        request = HTTPRequest(f"ws:{self._at}websocket/", headers=self._headers)
        self._socket = await websocket_connect(request)
        self._reading = asyncio.create_task(self._read())
        await self._send("init", inputs)
        return self

    async def set(self, **inputs: Any) -> None:
        """Set inputs of the page."""
        await self._send("update", inputs)

    async def _send(self, method: str, data: dict[str, Any]) -> None:
        await self._socket.write_message(json.dumps({"method": method, "data": data}))

    async def until(self, case: str, count: int = 1) -> str:
        """Wait for this many outputs of a case; return the last one."""
        async with self._news:
            arrived = self._news.wait_for(lambda: len(self.said.get(case, ())) >= count)
            try:
                await asyncio.wait_for(arrived, PATIENCE_S)
            except asyncio.TimeoutError:
                raise AssertionError(f"waiting for {case}: {self.said}") from None
        return self.said[case][-1]

    async def _read(self) -> None:
        while (data := await self._socket.read_message()) is not None:
            message = json.loads(data)
            self.session = message.get("config", {}).get("sessionId", self.session)
            said = message.get("custom", {}).get("said")
            async with self._news:
                if said is not None:
                    self.said.setdefault(said["case"], []).append(said["said"])
                self._news.notify_all()

    async def close(self) -> None:
        """Close the page."""
        if self._socket is not None:
            self._socket.close()
        if self._reading is not None:
            await self._reading


@asynccontextmanager
async def tabs_of(host: str, *logins: str, path: str = "/") -> AsyncIterator[list[Tab]]:
    """Make tabs for the block, one for each browser."""
    tabs = [Tab(host, login, path) for login in logins]
    try:
        yield tabs
    finally:
        for tab in tabs:
            await tab.close()
