"""jupyter-ai: the persona of a chat runs cells for two people who write in it.

The client of a chat chooses the name of the sender, on a websocket of the chat and in a document
that jupyter-server-documents shares. The user of a persona's cell is the one whose page sent the
message, and the persona is the actor. ``make test-jupyter-ai`` installs the packages.
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
from agents import AGENTS
from app_servers import free_port
from people import Person
from servers import (
    DEMO,
    EXTENSION,
    eventually,
    kernel_of,
    opened,
    own_server,
    people_on,
    until_it_answers,
    username,
)

pytest.importorskip("jupyter_ai_persona_manager", reason="needs jupyter-ai: make test-jupyter-ai")
pycrdt = pytest.importorskip("pycrdt")

PERSONA = Path(__file__).parents[1] / "support" / "cell_runner_persona.py"
TO_RUNNER = {"to_persona": "jupyter-ai-personas::cell_runner_persona::CellRunner"}
CHAT = "team.chat"


ALICE, BOB = "alice agent 'Runner' (not verified)", "bob agent 'Runner' (not verified)"
NOBODY = "nobody: Jupyter Server does not know the user of this request: sent by "
RAN = "print(*globals().get('_ran', []), sep='\\n')"


def chat_server(*arguments: str, documents: bool = False):
    """Run a server with the demo users, whose chats have a persona that runs cells."""
    return own_server(
        *DEMO,
        f"--MCPExtensionApp.mcp_port={free_port()}",
        "--MCPExtensionApp.use_tool_discovery=False",
        "--MCPExtensionApp.mcp_tools=mcp_tools:run_cell",
        *arguments,
        extensions=(
            *(EXTENSION, "jupyterlab_chat", "jupyter_ai_router", "jupyter_ai_persona_manager"),
            *("jupyter_server_mcp", "jupyter_server_fileid"),
            *(("jupyter_server_documents",) if documents else ()),
        ),
    )


def with_persona(running: Any) -> Any:
    """Give a server its persona and a chat."""
    personas = running.home / "work" / ".jupyter" / "personas"
    personas.mkdir(parents=True)
    shutil.copy(PERSONA, personas)
    (running.home / "work" / CHAT).write_text("{}", encoding="utf-8")
    return running


@pytest.fixture(scope="module", params=[False, True], ids=["websocket", "documents"])
def server(request):
    """Run the server with each kind of chat."""
    with chat_server(documents=request.param) as running:
        yield with_persona(running), request.param


class SocketChat:
    """One person's client of a chat without a shared document."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def send(self, body: str, sender: str) -> str:
        """Write to the persona, and return the id of the message."""
        asked = uuid.uuid4().hex
        message = {"type": "client", "action": "send", "id": asked, "body": body}
        message |= {"metadata": TO_RUNNER, "sender": {"username": sender}}
        await self._socket.write_message(json.dumps(message))
        return asked

    async def hear(self, start: str) -> str:
        """Return the rest of the first message in the chat that begins so."""
        while True:
            said = json.loads(await asyncio.wait_for(self._socket.read_message(), 60))
            text = str(said.get("message", {}).get("body", ""))
            if text.startswith(start):
                return text.removeprefix(start).strip()

    async def ask(self, body: str, sender: str) -> str:
        """Write to the persona, and return its answer."""
        return await self.hear(await self.send(body, sender))


class DocumentChat(SocketChat):
    """One person's client of a chat that is a shared document."""

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self._doc = pycrdt.Doc({"messages": pycrdt.Array()})
        self._said = self._doc["messages"]
        self._doc.observe(lambda event: setattr(self, "_last", event.update))
        self._synced = False

    async def send(self, body: str, sender: str) -> str:
        """Write to the persona, and return the id of the message."""
        if not self._synced:
            await self._write(pycrdt.create_sync_message(self._doc))
            # The room's own question comes last; without an answer it closes the websocket.
            await self._until(lambda kind: kind == pycrdt.YSyncMessageType.SYNC_STEP1)
            self._synced = True
        asked = uuid.uuid4().hex
        message = {"body": body, "sender": sender, "id": asked, "time": time.time()}
        self._said.append(pycrdt.Map({**message, "type": "msg", "metadata": TO_RUNNER}))
        await self._write(pycrdt.create_update_message(self._last))
        return asked

    async def hear(self, start: str) -> str:
        """Return the rest of the first message in the chat that begins so."""

        def heard(_: int) -> str:
            texts = (str(one["body"]) for one in self._said.to_py())
            return next((text for text in texts if text.startswith(start)), "")

        found = heard(0) or str(await self._until(heard))
        return found.removeprefix(start).strip()

    async def _write(self, message: bytes) -> None:
        await self._socket.write_message(message, binary=True)

    async def _until(self, found: Callable[[int], Any]) -> Any:
        while True:
            message = await asyncio.wait_for(self._socket.read_message(), 60)
            assert message is not None, "the server has closed the websocket"
            if message[0] != pycrdt.YMessageType.SYNC:
                continue
            reply = pycrdt.handle_sync_message(message[1:], self._doc)
            if reply is not None:
                await self._write(reply)
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
    socket = await person.websocket(f"{path}{room}")
    try:
        yield client(socket)
    finally:
        socket.close()


@pytest.fixture
async def two(server):
    """Return a kernel, its websockets, and the chat, for alice and for bob."""
    running, documents = server
    alice, bob = await people_on(running)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
        chatting(alice, documents) as alices,
        chatting(bob, documents) as bobs,
    ):
        # The websockets of jupyter-server-documents connect before the kernel listens.
        await until_it_answers(hers, his)
        assert [await username(hers), await username(his)] == ["alice", "bob"]
        yield kernel, (alice, hers, alices), (bob, his, bobs)
        assert await username(his) == "bob"


async def test_a_persona_acts_for_the_user_whose_page_asks(two):
    """The name in the chat is not taken, also not a forged one."""
    kernel, (_, _, alices), (_, _, bobs) = two
    assert await alices.ask(f"here {kernel}", "alice") == f"alice > {ALICE}"
    assert await bobs.ask(f"here {kernel}", "bob") == f"bob > {BOB}"
    # Bob's client says that alice asks: the obvious solution names her.
    assert await bobs.ask(f"here {kernel}", "alice") == f"alice > {BOB}"
    assert await alices.ask(f"here {kernel}", "alice") == f"alice > {ALICE}"


async def test_a_kernel_that_a_persona_starts(two):
    """It belongs to the user whose page asks."""
    kernel, (_, _, alices), (_, _, bobs) = two
    for chat, claimed, user, who in (
        (alices, "alice", "alice", ALICE),
        (bobs, "alice", "bob", BOB),
    ):
        assert await chat.ask(f"start {kernel}", claimed) == f"{claimed} > {user} {who}"


async def test_both_ask_at_the_same_time(two):
    """Bob's message is answered while alice's is, which then goes on as alice's."""
    kernel, (_, _, alices), (_, his, bobs) = two
    asked = await alices.send(f"twice {kernel}", "alice")
    assert await bobs.ask(f"here {kernel}", "bob") == f"bob > {BOB}"
    await his.execute("go_on = 'yes'")
    assert await alices.hear(asked) == f"alice > {ALICE}"


@pytest.mark.parametrize("way", ["worker", "thread", "mcp"])
async def test_what_serves_all_users_has_no_user(two, way):
    """A worker that alice's message starts runs bob's cells: her context would name her."""
    kernel, (_, _, alices), (_, _, bobs) = two
    for chat, name in ((alices, "alice"), (bobs, "bob"), (bobs, "alice")):
        answer = await chat.ask(f"{way} {kernel}", name)
        assert answer.startswith(f"{name} > {NOBODY}"), answer


async def test_a_message_of_the_server_itself_has_no_user(server, two):
    """A worker that alice's message started asks the persona in the chat, for bob."""
    if not server[1]:
        pytest.skip("a chat on a websocket hands no message of the server to a persona")
    kernel, (_, _, alices), (_, his, bobs) = two
    assert await bobs.ask(f"here {kernel}", "bob") == f"bob > {BOB}"

    def unknown() -> int:
        said = [str(one["body"]) for one in bobs._said.to_py()]
        return sum(f"alice > {NOBODY}" in text for text in said)

    before = unknown()  # other tests write into the same chat
    for chat, name in ((alices, "alice"), (bobs, "bob")):
        assert await chat.ask(f"chain {kernel}", name) == f"{name} > asked"

    async def both() -> bool:
        await bobs.ask(f"here {kernel}", "bob")  # it reads the chat meanwhile
        return unknown() == before + 2

    await eventually(both)
    assert set((await his.execute(RAN)).text.strip().split("\n")) == {BOB}


async def test_by_rest(server, two):
    """``POST api/ai/message`` is a request of its user, and the persona acts."""
    kernel, (alice, _, _), (bob, _, _) = two
    for person, who in ((alice, ALICE), (bob, BOB)):
        said = await person.json(
            "api/ai/message/Runner", method="POST", body={"message": f"here {kernel}"}
        )
        assert who in said["response"], said


async def test_the_end_of_the_login_ends_the_persona(two):
    """The next cell that it runs for alice is refused; bob's goes on."""
    kernel, (alice, _, alices), (_, his, bobs) = two
    asked = await alices.send(f"twice {kernel}", "alice")
    assert await alices.hear(f"first {asked}") == ALICE
    *_, agent = await alice.json(f"{AGENTS}?mine=true")
    assert (agent["name"], agent["username"]) == ("Runner", "alice")
    await alice.fetch("logout")
    await his.execute("go_on = 'yes'")
    assert await bobs.ask(f"here {kernel}", "bob") == f"bob > {BOB}"
    assert (await his.execute(RAN)).text.split() == f"{ALICE} {BOB}".split()


async def test_a_revoked_persona(two):
    """Alice revokes it among her agents while it works; bob cannot."""
    kernel, (alice, _, alices), (bob, his, bobs) = two
    asked = await alices.send(f"twice {kernel}", "alice")
    assert await alices.hear(f"first {asked}") == ALICE
    *_, agent = await alice.json(f"{AGENTS}?mine=true")
    assert (await bob.fetch(f"{AGENTS}/{agent['id']}", method="DELETE")).code == 404
    assert (await alice.fetch(f"{AGENTS}/{agent['id']}", method="DELETE")).code == 204
    await his.execute("go_on = 'yes'")
    assert await bobs.ask(f"here {kernel}", "bob") == f"bob > {BOB}"
    assert (await his.execute(RAN)).text.split() == f"{ALICE} {BOB}".split()


async def test_without_agents():
    """Where people may have no agents, a persona has no user."""
    with chat_server("--JupyterSessionUser.max_agent_lifetime=0") as running:
        alice, bob = await people_on(with_persona(running))
        async with (
            kernel_of(alice) as kernel,
            chatting(alice, documents=False) as alices,
            chatting(bob, documents=False) as bobs,
        ):
            for chat, name in ((alices, "alice"), (bobs, "bob")):
                answer = await chat.ask(f"here {kernel}", name)
                assert answer.startswith(
                    f"{name} > {NOBODY}jupyter_ai_persona_manager on the server"
                )
