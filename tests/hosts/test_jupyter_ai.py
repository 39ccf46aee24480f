"""jupyter-ai: the persona of a chat runs cells for two people who write in it.

The client of a chat chooses the name of the sender, on a websocket of the chat and in a document
that jupyter-server-documents shares. So nobody knows for whom a persona runs a cell, and its cells
have no user. ``make test-jupyter-ai`` installs the packages.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from app_servers import free_port
from people import Person
from servers import EXTENSION, identity, kernel_of, opened, own_server, username
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

pytest.importorskip("jupyter_ai_persona_manager", reason="needs jupyter-ai: make test-jupyter-ai")
pycrdt = pytest.importorskip("pycrdt")

PERSONA = Path(__file__).parents[1] / "support" / "cell_runner_persona.py"
TO_RUNNER = {"to_persona": "jupyter-ai-personas::cell_runner_persona::CellRunner"}
#: The ways to run a cell, and the package that the error names.
WAYS = {"here": "jupyter_ai_persona_manager", "mcp": "jupyter_server_mcp"}
CHAT = "team.chat"


@pytest.fixture(scope="module", params=[False, True], ids=["websocket", "documents"])
def server(request):
    """Run a server whose chats have a persona that runs cells; a header names its users."""
    with own_server(
        *identity("HeaderIdentityProvider"),
        f"--MCPExtensionApp.mcp_port={free_port()}",
        "--MCPExtensionApp.use_tool_discovery=False",
        "--MCPExtensionApp.mcp_tools=mcp_tools:run_cell",
        extensions=(
            *(EXTENSION, "jupyterlab_chat", "jupyter_ai_router", "jupyter_ai_persona_manager"),
            *("jupyter_server_mcp", "jupyter_server_fileid"),
            *(("jupyter_server_documents",) if request.param else ()),
        ),
    ) as running:
        personas = running.home / "work" / ".jupyter" / "personas"
        personas.mkdir(parents=True)
        shutil.copy(PERSONA, personas)
        (running.home / "work" / CHAT).write_text("{}", encoding="utf-8")
        yield running, request.param


class SocketChat:
    """One person's client of a chat without a shared document."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def ask(self, body: str, sender: str) -> str:
        """Write to the persona, and return its answer."""
        asked = uuid.uuid4().hex
        message = {"type": "client", "action": "send", "id": asked, "body": body}
        message |= {"metadata": TO_RUNNER, "sender": {"username": sender}}
        await self._socket.write_message(json.dumps(message))
        while True:
            said = json.loads(await asyncio.wait_for(self._socket.read_message(), 60))
            text = str(said.get("message", {}).get("body", ""))
            if text.startswith(asked):
                return text.removeprefix(asked).strip()


class DocumentChat:
    """One person's client of a chat that is a shared document."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._doc = pycrdt.Doc({"messages": pycrdt.Array()})
        self._said = self._doc["messages"]
        self._doc.observe(lambda event: setattr(self, "_last", event.update))

    async def ask(self, body: str, sender: str) -> str:
        """Write to the persona, and return its answer."""
        await self._send(pycrdt.create_sync_message(self._doc))
        await self._until(lambda kind: kind == pycrdt.YSyncMessageType.SYNC_STEP2)
        asked = uuid.uuid4().hex
        message = {"body": body, "sender": sender, "id": asked, "time": time.time()}
        self._said.append(pycrdt.Map({**message, "type": "msg", "metadata": TO_RUNNER}))
        await self._send(pycrdt.create_update_message(self._last))

        def answered(_: int) -> str:
            texts = (str(one["body"]) for one in self._said.to_py())
            return next((text for text in texts if text.startswith(asked)), "")

        return str(await self._until(answered)).removeprefix(asked).strip()

    async def _send(self, message: bytes) -> None:
        await self._socket.write_message(message, binary=True)

    async def _until(self, found: Callable[[int], Any]) -> Any:
        while True:
            message = await asyncio.wait_for(self._socket.read_message(), 60)
            if message[0] != pycrdt.YMessageType.SYNC:
                continue
            reply = pycrdt.handle_sync_message(message[1:], self._doc)
            if reply is not None:
                await self._send(reply)
            if result := found(message[1]):
                return result


CHATS = {False: ("api/chat/ws/", SocketChat), True: ("api/collaboration/room/", DocumentChat)}


@asynccontextmanager
async def chatting(person: Person, documents: bool):
    """Open the chat for the block."""
    room = CHAT
    if documents:
        index = await person.json(f"api/fileid/index?path={CHAT}", method="POST", body=None)
        room = f"text:chat:{index['id']}"
    path, client = CHATS[documents]
    url = f"{person.url.replace('http', 'ws', 1)}{path}{room}"
    socket = await websocket_connect(HTTPRequest(url, headers=person.headers))
    try:
        yield client(socket)
    finally:
        socket.close()


@pytest.mark.parametrize(("way", "package"), WAYS.items())
async def test_a_persona_has_no_user(server, way, package):
    """Alice and bob ask in turns; the name in the chat, also a forged one, is not taken."""
    running, documents = server
    alice, bob = (Person(running.url, {"X-User": name}) for name in ("alice", "bob"))
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
        chatting(alice, documents) as alices,
        chatting(bob, documents) as bobs,
    ):
        assert [await username(hers), await username(his)] == ["alice", "bob"]
        unknown = (
            "nobody: Jupyter Server does not know the user of this request: sent by "
            f"{package} on the server, outside any user's request. Run the code from a page with "
            "a logged-in user."
        )
        assert await alices.ask(f"{way} {kernel}", "alice") == f"alice > {unknown}"
        assert await bobs.ask(f"{way} {kernel}", "bob") == f"bob > {unknown}"
        # Bob's client says that alice asks: the obvious solution names her.
        assert await bobs.ask(f"{way} {kernel}", "alice") == f"alice > {unknown}"
        assert [await username(hers), await username(his)] == ["alice", "bob"]
