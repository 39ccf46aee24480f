"""A page of Solara without a browser, limited to the protocol of its websocket."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager

from app_servers import PATIENCE_S, platform_cookie

__all__ = ["SolaraPage", "solara_page"]

TOKENS = {"": "", "forged": "made-up", "alice": "a-token", "bob": "b-token"}


class SolaraPage:
    """One page, with its websocket.

    Its app has a button, whose clicks carry data, and sends what it says as ``case`` and ``said``.
    """

    def __init__(self, socket, person):
        self.kernel = self.session = ""
        self.socket = socket
        self.person = person
        self.told = {}
        self.text = ""
        self.button = ""
        self._new = asyncio.Event()

    async def said(self, case):
        """Return the app's output for a case, once it exists."""
        while case not in self.told:
            self._new.clear()
            await asyncio.wait_for(self._new.wait(), PATIENCE_S)
        return self.told[case]

    async def start(self):
        """Have the app render its page."""
        comm = uuid.uuid4().hex
        await self._send("comm_open", comm_id=comm, target_name="solara.control", data={})
        args = {"path": "/", "themes": {"light": {}, "dark": {}}, "dark": False}
        await self._send("comm_msg", comm_id=comm, data={"method": "run", "args": args})

    async def click(self, data):
        """Click the button."""
        content = {"event": "click", "data": data}
        data = {"method": "custom", "content": content}
        await self._send("comm_msg", comm_id=self.button, data=data)

    async def listen(self):
        """Read messages until the connection ends."""
        async for message in self.socket:
            text = message.data
            if isinstance(text, bytes):
                start = int.from_bytes(text[4:8], "big")
                text = text[start : int.from_bytes(text[8:12], "big")].decode()
            self._take(json.loads(text))

    def _take(self, message):
        self.text += json.dumps(message)
        content = message.get("content", {})
        data = content.get("data", {})
        if data.get("state", {}).get("_model_name") == "BtnModel":
            self.button = content["comm_id"]
        if data.get("method") == "custom" and "said" in data["content"]:
            self.told.setdefault(data["content"]["case"], data["content"]["said"])
            self._new.set()

    async def _send(self, kind, **content):
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "s", "username": ""}
        message = {"header": {**header, "version": "5.3", "date": "2026-01-01T00:00:00Z"}}
        message |= {"parent_header": {}, "metadata": {}, "content": content, "buffers": []}
        await self.socket.send_json({**message, "channel": "shell"})


@asynccontextmanager
async def solara_page(server, person, kernel="", session=""):
    """Open a page as a user, optionally with another page's kernel id and session cookie."""
    import aiohttp

    kernel, session = kernel or str(uuid.uuid4()), session or str(uuid.uuid4())
    cookie = f"solara-session-id={session}"
    if person not in {"", "forged"}:
        cookie += f"; {platform_cookie(person)}"
    url = f"http://{server.host}/jupyter/api/kernels/{kernel}/channels?session_id={uuid.uuid4()}"
    headers = {"x-login": TOKENS[person], "cookie": cookie}
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://{server.host}/", headers=headers) as page:
            await page.read()
        async with client.ws_connect(url, headers=headers) as socket:
            visit = SolaraPage(socket, person)
            visit.server, visit.kernel, visit.session = server, kernel, session
            visit.listening = asyncio.create_task(visit.listen())
            try:
                yield visit
            finally:
                visit.listening.cancel()
