"""NiceGUI: alone, and in a FastAPI app; with the protocol that its page speaks."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app_servers import eventually
from cases import Absent, Gives, Works
from drivers.http_app import served, token_of

APP = Path(__file__).with_name("nicegui_app.py")


class _Visit:
    def __init__(self, server, headers, client, socket):
        self._server = server
        self._headers = headers
        self.client = client
        self._socket = socket

    async def ask(self, case, other):
        if case == "warm":
            return await asyncio.to_thread(self._server.get, "/warm")
        if case not in _ON_PAGE:
            page = other if case == "others_token" else self
            element, listener = await page.said("listener")
            message = {"client_id": page.client, "id": element, "listener_id": listener}
            await self._socket.emit(
                "event", {**message, "args": [json.dumps([case, other.client])]}
            )
            return await page.said(case)
        assert await self.said("connected") == await self.said("page")
        return await self.said("page")

    async def said(self, case):
        path = f"/said?client={self.client}&case={case}"
        return await asyncio.to_thread(
            eventually, lambda: self._server.get(path, **self._headers)["said"]
        )


_ON_PAGE = {"page", "first_page", "reload", "nested", "anonymous", "forged"}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Gives("error: no_context"),
    "others_document": Works(),
    "broadcast": Works(),
    "reload": Works(),
    "processes": Absent("NiceGUI serves all pages from one process."),
    "warm": Gives("error: not_in_kernel"),
    "reused": Absent("A page is one visitor's."),
    "cache": Absent("NiceGUI has no cache of its own."),
    "generator": Absent("Its streamed answers are FastAPI's."),
    "nested": Works(),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Gives("error: disagreement"),
}


class _NiceGui:
    name = "nicegui"
    title = "NiceGUI"
    needs = ("nicegui", "aiohttp")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        command = [sys.executable, "app.py"]
        env = {"MODE": "run", "NICEGUI_STORAGE_PATH": str(folder), "MPLBACKEND": "agg"}
        if not case:
            command = [sys.executable, "-m", "uvicorn", "app:server", "--port", "{port}"]
            env["MODE"] = "run_with"
        if case == "reload":
            env["RELOAD"] = "1"
        with served(case, *command, app=APP, edit=_edited, env=env, ready="/warm") as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        import socketio

        token = token_of(person)
        text = await asyncio.to_thread(_page, server, token)
        client = re.search(r"'client_id': '([0-9a-f-]{36})'", text)[1]
        async with _connected(socketio.AsyncClient(), server, client, token) as socket:
            yield _Visit(server, {"x_login": token}, client, socket)


@asynccontextmanager
async def _connected(socket, server, client, token):
    query = f"client_id={client}&next_message_id=0&implicit_handshake=true"
    await socket.connect(
        f"http://{server.host}/?{query}&tab_id=tab-{client}&document_id=document-{client}",
        headers={"x-login": token},
        socketio_path="/_nicegui_ws/socket.io",
        transports=["websocket"],
    )
    try:
        yield socket
    finally:
        await socket.disconnect()


def _page(server, token):
    with server.connect() as connection:
        connection.request("GET", "/", headers={"x-login": token})
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == http.client.OK, text
        return text


def _edited(text):
    mark = "if server is app"
    return text.replace(mark, f'app.get("/changed")(lambda: True)\n{mark}')


DRIVER = _NiceGui()
