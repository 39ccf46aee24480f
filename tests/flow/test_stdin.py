"""``input()``: a line of a client that was not asked does not reach the kernel.

The helper is not loaded in these kernels: these tests cover the server alone. The kernel's own
check is in ``tests/kernel/test_stdin.py``.
"""

from __future__ import annotations

import asyncio
import importlib.util

import pytest
from people import LEGACY, V1, KernelSocket
from servers import DEMO, eventually, fresh_id, kernel_of, log_after, opened, own_server, people_on

FORMATS = pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])
DROPPED = "dropped an answer to input() from a client that was not asked"
#: A cell that asks, and how it asks.
QUESTIONS = {
    "input": "print('line:', input())",
    "getpass": "import getpass; print('line:', getpass.getpass())",
    "pdb": "import pdb; pdb.Pdb(nosigint=True).set_trace(); pass",
}


async def start(socket: KernelSocket, code: str) -> str:
    """Send a cell that may ask for input, and return its id."""
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": True}
    return await socket.send(socket.message("execute_request", content))


async def until_asked(socket: KernelSocket, msg_id: str) -> dict:
    """Wait until the kernel asks this client, and return the question."""
    while True:
        message = await socket.receive(msg_id)
        if message["header"]["msg_type"] == "input_request":
            return message


async def answer(socket: KernelSocket, line: str, msg_type: str = "input_reply") -> None:
    """Send a line on the stdin channel."""
    await socket.send(socket.message(msg_type, {"value": line}), "stdin")


async def handled(socket: KernelSocket) -> None:
    """Wait until the server has taken everything that this socket has sent.

    Frames of one websocket are handled in their order, and the server answers this one itself.
    """
    await socket.finish(await socket.send(socket.message("kernel_info_request", {}), "control"))


@FORMATS
@pytest.mark.parametrize("code", QUESTIONS.values(), ids=QUESTIONS.keys())
async def test_another_users_line_is_dropped(server, protocol, code):
    """Bob's line does not answer the kernel's question to Alice, and the log says so."""
    alice, bob = await people_on(server)
    with log_after(server) as lines:
        async with (
            kernel_of(alice) as kernel_id,
            opened(alice, kernel_id, protocol=protocol) as hers,
            opened(bob, kernel_id, protocol=protocol) as his,
        ):
            cell = await start(hers, code)
            await until_asked(hers, cell)
            await answer(his, "print('line:', 'bob was here')")
            await answer(his, "print('line:', 'bob was here')", "execute_request")
            await handled(his)
            await answer(hers, "c" if "pdb" in code else "alice's own")
            result = await hers.finish(cell)
            assert "bob" not in result.text
            assert "pdb" in code or "line: alice's own" in result.text
    assert lines[0].count(DROPPED) == 2
    assert "bob was here" not in lines[0]


async def test_her_other_window_does_not_answer(server):
    """Only the client that runs the cell is asked; another window of the same user is not."""
    alice, _ = await people_on(server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(alice, kernel_id) as other,
    ):
        cell = await start(hers, QUESTIONS["input"])
        await until_asked(hers, cell)
        await answer(other, "from the other window")
        await handled(other)
        await answer(hers, "from this one")
        assert (await hers.finish(cell)).text.strip().endswith("from this one")


async def test_an_answer_is_used_up(server):
    """A user that was interrupted or has answered may not answer the next question."""
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        for ends in ("interrupt", "answer"):
            cell = await start(his, QUESTIONS["input"])
            await until_asked(his, cell)
            if ends == "interrupt":
                await bob.fetch(f"api/kernels/{kernel_id}/interrupt", method="POST", body={})
            else:
                await answer(his, "bob's own")
            await his.finish(cell)
            cell = await start(hers, QUESTIONS["input"])
            await until_asked(hers, cell)
            await answer(his, "bob was here")
            await handled(his)
            await answer(hers, "alice's own")
            assert (await hers.finish(cell)).text.strip().endswith("alice's own")


async def test_a_line_before_the_question(server):
    """A line that is sent before a question does not answer a later question."""
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        await answer(his, "bob was here")
        await handled(his)
        cell = await start(hers, QUESTIONS["input"])
        await until_asked(hers, cell)
        await answer(hers, "alice's own")
        assert (await hers.finish(cell)).text.strip().endswith("alice's own")


async def test_reconnected_while_asked(server):
    """After a reconnection, the same client may answer over its new websocket."""
    alice, bob = await people_on(server)
    session_id = fresh_id()
    async with kernel_of(alice) as kernel_id, opened(bob, kernel_id) as his:
        async with opened(alice, kernel_id, session_id=session_id) as hers:
            cell = await start(hers, QUESTIONS["input"])
            await until_asked(hers, cell)
        async with opened(alice, kernel_id, session_id=session_id) as again:
            again._queues[cell] = asyncio.Queue()
            await answer(his, "bob was here")
            await handled(his)
            await answer(again, "alice's own")
            assert (await again.finish(cell)).text.strip().endswith("alice's own")


@pytest.fixture(scope="module")
def nbmodel_server(need):
    """Run a server with jupyter-server-nbmodel."""
    need(importlib.util.find_spec("jupyter_server_nbmodel"), "jupyter-server-nbmodel is missing")
    extensions = ("jupyter_session_user", "jupyter_server_nbmodel")
    with own_server(*DEMO, extensions=extensions) as running:
        yield running


async def test_nbmodel(nbmodel_server):
    """Only the user that queued a cell of nbmodel may answer its question."""
    alice, bob = await people_on(nbmodel_server)
    async with kernel_of(alice) as kernel_id:

        async def runs(code: str, status: int) -> None:
            path, body = f"api/kernels/{kernel_id}/execute", {"code": code, "metadata": {}}
            queued = await alice.fetch(path, method="POST", body=body)
            location = queued.headers["Location"].lstrip("/")

            async def has_come() -> bool:
                answer = await alice.fetch(location)
                assert answer.code in {202, status}, answer.body
                return answer.code == status

            await eventually(has_come)

        # nbmodel's client connects its sockets with the first cell. The kernel's ROUTER drops a
        # question for a client with an unconnected stdin socket, and waits for ever.
        await runs("pass", 200)
        await runs(QUESTIONS["input"], 300)
        path, line = f"api/kernels/{kernel_id}/input", {"input": "bob was here"}
        assert (await bob.fetch(path, method="POST", body=line)).code == 403
        line = {"input": "alice's own"}
        assert (await alice.fetch(path, method="POST", body=line)).code == 201


async def test_nbmodel_while_another_is_asked(nbmodel_server):
    """Bob's nbmodel cell waits behind Alice's question, and Bob cannot answer it that way."""
    alice, bob = await people_on(nbmodel_server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        cell = await start(hers, QUESTIONS["input"])
        await until_asked(hers, cell)
        body = {"code": "1", "metadata": {}}
        await bob.fetch(f"api/kernels/{kernel_id}/execute", method="POST", body=body)
        line = {"input": "bob was here"}
        answered = await bob.fetch(f"api/kernels/{kernel_id}/input", method="POST", body=line)
        assert answered.code == 403
        await answer(hers, "alice's own")
        assert (await hers.finish(cell)).text.strip().endswith("alice's own")


async def test_a_line_without_an_id(server):
    """A stdin frame without an id in its header closes at most its own socket; no traceback."""
    alice, bob = await people_on(server)
    with log_after(server) as lines:
        async with (
            kernel_of(alice) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id, protocol=LEGACY) as his,
        ):
            frame = {**his.message("input_reply", {"value": "1"}), "channel": "stdin", "header": {}}
            await his.send_frame(his.frame(frame))
            assert (await hers.execute("print(6 * 7)")).text.strip() == "42"
    assert "Traceback" not in lines[0]
