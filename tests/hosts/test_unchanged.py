"""Jupyter's own features keep working through the mixin, in both formats.

Reconnecting with replay is in ``flow/test_takeover.py``, buffers towards the kernel and
``input()`` are in ``flow/test_stamp_ws.py``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from collections.abc import Iterator

import pytest
from local_server import LocalServer
from people import LEGACY, V1, KernelSocket, Person
from servers import (
    DEMO,
    eventually,
    json_lines,
    kernel_of,
    opened,
    own_server,
    people_on,
    until_it_answers,
    username,
)

FORMATS = pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])


@pytest.fixture(scope="module")
def strict_server() -> Iterator[LocalServer]:
    """Run a server that limits output, and allows three message types."""
    with own_server(
        *DEMO,
        "--ZMQChannelsWebsocketConnection.iopub_msg_rate_limit=50",
        "--ZMQChannelsWebsocketConnection.rate_limit_window=1",
        "--MappingKernelManager.allowed_message_types=execute_request",
        "--MappingKernelManager.allowed_message_types=kernel_info_request",
        "--MappingKernelManager.allowed_message_types=input_reply",
    ) as running:
        yield running


@pytest.fixture
def culling_server() -> Iterator[LocalServer]:
    """Run a server that culls a kernel 5 s after its last use: enough to connect to a new one."""
    with own_server(
        *DEMO,
        "--MappingKernelManager.cull_idle_timeout=5",
        "--MappingKernelManager.cull_interval=1",
    ) as running:
        yield running


@FORMATS
async def test_a_restart_leaves_nothing_of_the_earlier_identity(alice, bob, protocol):
    """After alice's cell and a restart, bob's cell has bob, and a bare thread has no user."""
    remember = "import jupyter_session_user as j; me = j.get_current_user(); j.get_cookies()"
    bare = """
import threading
from jupyter_session_user import get_current_user
from jupyter_session_user.kernel import live_session
seen = []
thread = threading.Thread(target=lambda: seen.append(str(get_current_user(default="nobody"))))
thread.start(); thread.join()
print(seen, "me" in globals(), len(live_session._cookies))
"""
    async with kernel_of(alice) as own:
        options = {"protocol": protocol}
        async with opened(alice, own, **options) as hers, opened(bob, own, **options) as his:
            assert not (await hers.execute(remember)).errors
            await bob.json(f"api/kernels/{own}/restart", method="POST", body={})
            await until_it_answers(his)
            result = await his.execute(bare)
            assert result.text.strip() == "['nobody'] False 0"
            assert await username(his) == "bob"
            await until_it_answers(hers)
            assert await username(hers) == "alice"


@FORMATS
async def test_a_killed_kernel_comes_back_for_both(alice, bob, protocol):
    """Jupyter restarts a dead kernel; open sockets get the status, and messages are stamped."""
    async with kernel_of(alice) as own:
        options = {"protocol": protocol}
        async with opened(alice, own, **options) as hers, opened(bob, own, **options) as his:
            (pid,) = await json_lines(his, "import os; print(os.getpid())")
            os.kill(pid, signal.SIGKILL)
            for socket in (hers, his):
                await eventually(lambda socket=socket: _was_told(socket, "restarting"))
            await until_it_answers(hers, his)
            assert await username(hers) == "alice"
            assert await username(his) == "bob"


async def _was_told(socket: KernelSocket, state: str) -> bool:
    return any(m["content"].get("execution_state") == state for m in socket.everything)


@FORMATS
async def test_interrupting_a_cell_works(alice, bob, kernel, protocol):
    """The REST interrupt stops the cell; the next user's cell runs."""
    async with (
        opened(alice, kernel, protocol=protocol) as hers,
        opened(bob, kernel, protocol=protocol) as his,
    ):
        assert await username(hers) == "alice"
        cell = asyncio.create_task(hers.execute("print('up')\nimport time; time.sleep(60)"))
        await eventually(lambda: _has_printed(hers, "up"))
        await bob.fetch(f"api/kernels/{kernel}/interrupt", method="POST", body={})
        assert (await cell).errors[0].startswith("KeyboardInterrupt")
        assert await username(his) == "bob"


async def _has_printed(socket: KernelSocket, text: str) -> bool:
    return any(text in m["content"].get("text", "") for m in socket.everything)


@FORMATS
async def test_interrupting_by_message_works(alice, bob, kernel, protocol):
    """An ``interrupt_request`` on control reaches the kernel, and gets a reply."""
    for person in (alice, bob):
        async with opened(person, kernel, protocol=protocol) as socket:
            msg_id = await socket.send(socket.message("interrupt_request", {}), "control")
            kinds = []
            while "interrupt_reply" not in kinds:
                kinds.append((await socket.receive(msg_id))["header"]["msg_type"])


@FORMATS
async def test_buffers_from_the_kernel_arrive_byte_for_byte(alice, bob, kernel, protocol):
    """A widget's messages to browsers are the same in every browser."""
    data = [os.urandom(2000), b"", bytes(range(256))]
    code = f"""
import base64
from comm import create_comm
data = [base64.b64decode(text) for text in {[base64.b64encode(d).decode() for d in data]}]
create_comm("anything", data={{}}).send({{"a": 1}}, buffers=data)
"""
    async with (
        opened(alice, kernel, protocol=protocol) as hers,
        opened(bob, kernel, protocol=protocol) as his,
    ):
        assert await username(his) == "bob"
        assert not (await hers.execute(code)).errors
        assert await username(his) == "bob"
        for socket in (hers, his):
            messages = [m for m in socket.everything if m["header"]["msg_type"] == "comm_msg"]
            assert [bytes(buffer) for buffer in messages[-1]["buffers"]] == data


@FORMATS
async def test_other_requests_of_a_notebook_are_answered(alice, bob, kernel, protocol):
    """Completion, inspection, history, comm info and kernel info: replies reach their client."""
    requests = {
        "complete_request": {"code": "pri", "cursor_pos": 3},
        "inspect_request": {"code": "print", "cursor_pos": 5, "detail_level": 0},
        "is_complete_request": {"code": "if True:"},
        "history_request": {"hist_access_type": "tail", "n": 1, "raw": True, "output": False},
        "comm_info_request": {},
        "kernel_info_request": {},
    }
    async with (
        opened(alice, kernel, protocol=protocol) as hers,
        opened(bob, kernel, protocol=protocol) as his,
    ):
        for socket in (hers, his):
            for kind, content in requests.items():
                result = await socket.finish(await socket.send(socket.message(kind, content)))
                assert result.reply["status"] in ("ok", "incomplete")
            replies = [m for m in socket.everything if m["channel"] == "shell"]
            kinds = [m["header"]["msg_type"] for m in replies]
            assert kinds == [kind.replace("request", "reply") for kind in requests]


@FORMATS
async def test_the_output_rate_limit_still_holds(strict_server, protocol):
    """Five thousand displays: Jupyter stops them with a message; the other user's cells run."""
    alice, bob = await people_on(strict_server)
    flood = "for n in range(5000): display(n)"
    async with (
        kernel_of(alice) as own,
        opened(alice, own, protocol=protocol) as hers,
        opened(bob, own) as his,
    ):
        result = await hers.execute(flood)
        assert "IOPub message rate exceeded" in result.text
        shown = [m for m in result.messages if m["header"]["msg_type"] == "display_data"]
        assert len(shown) < 5000
        assert await username(his) == "bob"
        assert await username(hers) == "alice"


@FORMATS
async def test_message_types_that_are_not_allowed_stay_out(strict_server, protocol):
    """``allowed_message_types`` is checked after the stamp was added, and still refuses."""
    alice, bob = await people_on(strict_server)
    watch = """
seen = []
_kernel = get_ipython().kernel
_kernel.shell_handlers["complete_request"] = lambda *args: seen.append("complete_request")
"""
    async with (
        kernel_of(alice) as own,
        opened(alice, own, protocol=protocol) as hers,
        opened(bob, own, protocol=protocol) as his,
    ):
        await hers.execute(watch)
        content = {"code": "pri", "cursor_pos": 3}
        await his.send(his.message("complete_request", content))
        assert await username(his) == "bob"
        assert (await hers.execute("print(seen)")).text.strip() == "[]"


async def test_an_idle_kernel_is_culled_and_one_in_use_is_not(culling_server):
    """Culling depends on activity and connections, and both pass through the mixin."""
    alice, bob = await people_on(culling_server)
    used = await alice.start_kernel()
    async with opened(bob, used) as his:
        assert await username(his) == "bob"
        left = await alice.start_kernel()
        async with opened(alice, left) as hers:
            assert await username(hers) == "alice"
        await eventually(lambda: _is_gone(alice, left))
        assert await username(his) == "bob"
        listed = await alice.json("api/session-user/sessions")
        assert left not in {s["kernel_id"] for s in listed}
    await eventually(lambda: _is_gone(alice, used))


async def _is_gone(person: Person, kernel_id: str) -> bool:
    return (await person.fetch(f"api/kernels/{kernel_id}")).code == 404


@FORMATS
async def test_much_output_arrives_complete_and_in_order(alice, bob, kernel, protocol):
    """The mixin loses, repeats and reorders no message."""
    async with (
        opened(alice, kernel, protocol=protocol) as hers,
        opened(bob, kernel, protocol=protocol) as his,
    ):
        assert await username(his) == "bob"
        start = len(his.everything)
        code = "for n in range(200): print(n, flush=True)"
        result = await hers.execute(code)
        assert await username(his) == "bob"
    assert [json.loads(line) for line in result.text.splitlines()] == list(range(200))
    seen = [m["content"]["text"] for m in his.everything[start:] if "text" in m["content"]]
    assert "".join(seen).split()[:200] == [str(n) for n in range(200)]
