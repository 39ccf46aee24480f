"""The events that a browser's tab receives."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from people import Person
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_session_user.server.web.events import SCHEMA_ID

__all__ = ["subscription"]


async def subscription(person: Person) -> tuple[Any, list[dict[str, Any]]]:
    """Subscribe as every JupyterLab tab does; return the socket and the received events."""
    url = f"ws{person.url[4:]}api/events/subscribe"
    headers = {**person.headers, **person._cookie_header()}
    socket = await websocket_connect(HTTPRequest(url, headers=headers))
    heard: list[dict[str, Any]] = []

    async def listen() -> None:
        while (text := await socket.read_message()) is not None:
            event = json.loads(text)
            if event["schema_id"] == SCHEMA_ID:
                heard.append(event)

    socket.listening = asyncio.create_task(listen())
    return socket, heard
