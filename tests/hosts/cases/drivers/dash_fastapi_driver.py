"""Dash 4.4 on FastAPI behind uvicorn, with our middleware; callbacks over websockets as well."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from contextlib import asynccontextmanager, contextmanager

from cases import Works
from drivers import dash_driver
from sockets import shut
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect


class _Visit(dash_driver.Visit):
    async def ask(self, case, other):
        if case == "generator":
            return await self._over_websocket("streamed")
        outcome = await super().ask(case, other)
        if case in ("callback", "anonymous", "forged"):
            over_websocket = await self._over_websocket("pooled")
            assert outcome == over_websocket, (outcome, over_websocket)
        return outcome

    async def _over_websocket(self, output):
        """Return a callback's answer over a websocket, and its output before that."""
        host = self._server.host
        headers = {**self.headers, "Origin": f"http://{host}"}
        socket = await websocket_connect(
            HTTPRequest(f"ws://{host}/_dash-ws-callback", headers=headers)
        )
        request = {"type": "callback_request", "requestId": uuid.uuid4().hex, "rendererId": "r"}
        payload = dash_driver.asked(output, ("case", "data"), "callback")
        await socket.write_message(json.dumps({**request, "payload": payload}))
        said = await asyncio.wait_for(_said(socket, output), 60)
        await shut(socket)
        return " and ".join(sorted(said))


async def _said(socket, output):
    """Return a callback's output until its end, and its answer."""
    said = set()
    while True:
        text = await socket.read_message()
        assert text is not None, (socket.close_code, socket.close_reason)
        found = json.loads(text)
        for message in found if isinstance(found, list) else [found]:
            if message["type"] == "set_props":
                said.add(message["payload"]["props"]["children"])
            elif message["type"] == "callback_response":
                return said | {message["payload"]["data"]["response"][output]["children"]}


WAYS = {**dash_driver.WAYS, "generator": Works()}


class _DashOnFastAPI:
    name = "dash_fastapi"
    title = "Dash on FastAPI"
    needs = ("dash.backends", "fastapi", "janus", "uvicorn")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        options = {"reload": ["--reload"], "processes": ["--workers", "2"]}.get(case, [])
        command = (sys.executable, "-m", "uvicorn", "app:app", "--port", "{port}")
        env = {"BACKEND": "fastapi"}
        with dash_driver.running(case, *command, *options, env=env) as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        yield _Visit(server, person)


DRIVER = _DashOnFastAPI()
