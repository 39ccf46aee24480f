"""A client chooses its websocket's id, and must not reach another user's socket with it.

Jupyter names ZMQ sockets, open connections and replay buffers by the ``session_id`` of the URL
alone. The first test shows the effect on a server without this extension.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_server import LocalServer
from people import LEGACY, V1, KernelSocket, Person
from servers import (
    DEMO,
    PASSWORDS,
    eventually,
    fresh_id,
    give_sign,
    is_watched,
    kernel_of,
    opened,
    own_server,
    people_on,
    username,
)

FORMATS = pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])


@pytest.fixture(scope="module")
def stock_server() -> Iterator[LocalServer]:
    """Run the same server without the extension."""
    with own_server(*DEMO, extensions=("probe_extension",)) as running:
        yield running


async def leave_output_behind(person: Person, kernel_id: str, flag: Path) -> tuple[str, str]:
    """Have a cell print a secret after its websocket is closed.

    The cell waits for the file ``flag``, so that nothing here depends on how long things take.

    Returns:
        The websocket's session id, and the secret.
    """
    session_id, secret = fresh_id(), fresh_id()
    code = f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(.01)\n"
    async with opened(person, kernel_id, session_id=session_id) as socket:
        await eventually(lambda: is_watched(person, kernel_id, socket))
        content = {"code": code + f"print({secret!r})", "silent": False, "store_history": False}
        msg_id = await socket.send(socket.message("execute_request", content))
        while (await socket.receive(msg_id))["content"].get("execution_state") != "busy":
            pass
    await eventually(lambda: _model(person, kernel_id, "connections", 0))
    give_sign(flag)
    await eventually(lambda: _model(person, kernel_id, "execution_state", "idle"))
    return session_id, secret


async def _model(person: Person, kernel_id: str, key: str, value: object) -> bool:
    return (await person.json(f"api/kernels/{kernel_id}"))[key] == value


async def everything_on(socket: KernelSocket) -> str:
    """Return all messages to this socket until a cell of its own is finished."""
    await socket.execute("pass")
    return json.dumps(socket.everything)


async def test_without_us_the_second_person_takes_the_socket_over(stock_server):
    """The obvious behaviour: Bob's connection with Alice's id closes Alice's socket."""
    alice, bob = await people_on(stock_server)
    async with kernel_of(alice) as kernel_id:
        hers = await alice.connect(kernel_id)
        async with opened(bob, kernel_id, session_id=hers.session):
            await asyncio.wait_for(hers.closed.wait(), 60)
        await hers.close()


async def test_without_us_the_second_person_gets_the_buffered_output(stock_server, tmp_path):
    """The obvious behaviour: Bob gets the messages that were kept for Alice's reconnection."""
    alice, bob = await people_on(stock_server)
    async with kernel_of(alice) as kernel_id:
        session_id, secret = await leave_output_behind(alice, kernel_id, tmp_path / "go")
        async with opened(bob, kernel_id, session_id=session_id) as his:
            assert secret in await everything_on(his)


@FORMATS
async def test_a_stolen_id_neither_closes_her_socket_nor_gets_her_replies(alice, bob, protocol):
    """Both sockets stay open, and each gets only the replies to its own requests."""
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id, protocol=protocol) as hers:
        options = {"protocol": protocol, "session_id": hers.session}
        async with opened(bob, kernel_id, **options) as his:
            for number in range(3):
                assert await username(hers, msg_id=f"hers {number}") == "alice"
                assert await username(his, msg_id=f"his {number}") == "bob"
            assert not hers.closed.is_set()
            assert replied(hers) == ["hers 0", "hers 1", "hers 2"]
            assert replied(his) == ["his 0", "his 1", "his 2"]


def replied(socket: KernelSocket) -> list[str]:
    """Return the ids of the requests with replies on this socket."""
    return [m["parent_header"]["msg_id"] for m in socket.everything if m["channel"] == "shell"]


async def test_a_stolen_id_gets_nothing_that_was_kept_for_her(alice, bob, tmp_path):
    """With Alice's id, Bob gets no message of hers, even while she is away."""
    async with kernel_of(alice) as kernel_id:
        session_id, secret = await leave_output_behind(alice, kernel_id, tmp_path / "go")
        async with opened(bob, kernel_id, session_id=session_id) as his:
            assert secret not in await everything_on(his)
            assert await username(his) == "bob"


@FORMATS
async def test_her_own_reconnect_gets_what_was_kept(alice, tmp_path, protocol):
    """Reconnecting with the same id replays the output, as Jupyter does."""
    async with kernel_of(alice) as kernel_id:
        session_id, secret = await leave_output_behind(alice, kernel_id, tmp_path / "go")
        async with opened(alice, kernel_id, session_id=session_id, protocol=protocol) as again:
            assert secret in await everything_on(again)


async def test_her_reconnect_after_logging_in_again_gets_what_was_kept(server, alice, tmp_path):
    """The buffer belongs to the user, not to the login: another cookie gets the same output."""
    async with kernel_of(alice) as kernel_id:
        session_id, secret = await leave_output_behind(alice, kernel_id, tmp_path / "go")
        later = Person(server.url)
        await later.log_in(PASSWORDS["alice"], "alice")
        name = next(name for name in alice.cookies if name.startswith("username-"))
        assert later.cookies[name] != alice.cookies[name]
        async with opened(later, kernel_id, session_id=session_id) as again:
            assert secret in await everything_on(again)
            assert await username(again) == "alice"


async def test_the_same_persons_second_tab_with_one_id_replaces_the_first(alice):
    """For one user Jupyter's rule stays: the newer connection closes the older one."""
    async with kernel_of(alice) as kernel_id:
        first = await alice.connect(kernel_id)
        async with opened(alice, kernel_id, session_id=first.session) as second:
            await asyncio.wait_for(first.closed.wait(), 60)
            assert await username(second) == "alice"
        await first.close()
