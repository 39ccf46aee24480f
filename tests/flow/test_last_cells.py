"""The last cell of each session, in the list of sessions: never another session's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from agents import agent_of
from forged_runs import FORGE
from local_server import LocalServer
from people import Person
from servers import DEMO, eventually, kernel_of, opened, own_server, people_on

from jupyter_session_user.core.session import parse_time

SESSIONS = "api/session-user/sessions"


@pytest.fixture(scope="module")
def own() -> Iterator[LocalServer]:
    """Run a server on which bob is an administrator."""
    with own_server(*DEMO, "--JupyterSessionUser.admin_users=bob") as running:
        yield running


async def last_cells(person: Person, kernel: str) -> dict[tuple[str, str | None], Any]:
    """Return what a person sees: the last cell of each user and agent on a kernel."""
    return {
        (one["user"]["username"], one["actor"] and one["actor"]["name"]): one["last_cell"]
        for one in await person.json(SESSIONS)
        if one["kernel_id"] == kernel
    }


def ids(cells: dict[tuple[str, str | None], Any]) -> dict[tuple[str, str | None], Any]:
    """Return the ids alone; None for a session without a last cell."""
    return {who: cell and cell["cell_id"] for who, cell in cells.items()}


async def test_alice_never_has_bobs_last_cell(own):
    """Bob and an agent run cells later than Alice, also hers: each row has its own last cell.

    The latest run of the kernel, or of the cell, would be another's.
    """
    alice, bob = await people_on(own)
    helper = await agent_of(alice, "Helper")
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
        opened(helper, kernel) as its,
    ):
        assert set((await last_cells(bob, kernel)).values()) == {None}
        await hers.execute("1", {"cellId": "one"})
        before = (await last_cells(bob, kernel))["alice", None]
        await his.execute("1", {"cellId": "one"})
        await his.execute("1", {"cellId": "two"})
        await its.execute("1")  # a script says no cell
        seen = await last_cells(bob, kernel)
        expected = {("alice", None): "one", ("bob", None): "two", ("alice", "Helper"): None}
        assert ids(seen) == expected
        assert seen["alice", None] == before
        starts = [seen[who]["start"] for who in expected]
        assert starts == sorted(starts, key=parse_time)
        # Alice sees her own sessions, and the agent's, which is hers.
        assert ids(await last_cells(alice, kernel)) == {
            who: cell for who, cell in expected.items() if who[0] == "alice"
        }
    with_none = [one for one in await bob.json(SESSIONS) if one["kernel_id"] is None]
    assert {one["last_cell"] for one in with_none} == {None}


async def test_code_in_the_kernel_changes_nothing(own):
    """Messages that Alice's cell makes up in Bob's name, and a forged stamp, are not Bob's."""
    alice, bob = await people_on(own)
    forged = {"user": {"username": "bob"}, "source": "x", "verified": True}
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
    ):
        await his.execute("1", {"cellId": "his"})
        before = (await last_cells(bob, kernel))["bob", None]
        await hers.execute(FORGE, {"cellId": "hers", "jupyter_session_user": forged})
        seen = await last_cells(bob, kernel)
        assert seen["bob", None] == before
        assert ids(seen)["alice", None] == "hers"


async def test_what_did_not_run_is_not_the_last_cell(own):
    """Alice's second cell waits behind one that fails: the failed one is her last."""
    alice, bob = await people_on(own)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
    ):
        await his.execute("1", {"cellId": "his"})
        sent = []
        for cell, code in (("fails", "import time; time.sleep(1); 1 / 0"), ("waits", "2")):
            content = {"code": code, "silent": False, "stop_on_error": True}
            message = hers.message("execute_request", content, metadata={"cellId": cell})
            sent.append(await hers.send(message))
        for msg_id in sent:
            await hers.finish(msg_id)

        async def settled() -> bool:
            seen = ids(await last_cells(bob, kernel))
            return seen == {("alice", None): "fails", ("bob", None): "his"}

        assert await eventually(settled)


async def test_off_is_off():
    """With show_runs off, no row has a last cell."""
    with own_server(*DEMO, "--JupyterSessionUser.show_runs=False") as server:
        alice, _ = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            await hers.execute("1", {"cellId": "one"})
            assert await last_cells(alice, kernel) == {("alice", None): None}
