"""Who ran which cell: the server's own knowledge, for the people who share a kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from agents import agent_of
from forged_runs import FORGE
from local_server import LocalServer
from people import KernelSocket, Person
from servers import DEMO, eventually, kernel_of, opened, own_server, people_on


@pytest.fixture(scope="module")
def own() -> Iterator[LocalServer]:
    """Run a server with alice and bob."""
    with own_server(*DEMO) as running:
        yield running


def path_of(kernel: str, after: int = 0) -> str:
    """Return the address of a kernel's runs."""
    return f"api/session-user/kernels/{kernel}/runs?after={after}"


def said(answer: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Return the user, the agent and the status of each cell in an answer."""
    return {
        run["cell_id"]: (
            run["who"] and run["who"]["username"],
            run["who"] and run["who"]["agent"],
            run["status"],
        )
        for run in answer["runs"]
    }


async def runs_of(person: Person, kernel: str) -> dict[str, tuple[Any, ...]]:
    """Return what a person sees of a kernel's cells, once none of them runs."""

    async def all_ended() -> Any:
        found = said(await person.json(path_of(kernel)))
        return found if all(status for *_, status in found.values()) else None

    found: dict[str, tuple[Any, ...]] = await eventually(all_ended)
    return found


async def run(socket: KernelSocket, cell: str, code: str = "1") -> None:
    """Run code as JupyterLab runs a cell."""
    await socket.execute(code, {"cellId": cell})


async def test_two_people_and_an_agent(own):
    """Each cell has the name of the one whose request ran it last, for everybody alike."""
    alice, bob = await people_on(own)
    helper = await agent_of(alice, "Helper")
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
        opened(helper, kernel) as its,
    ):
        await run(hers, "one")
        await run(hers, "two")
        await run(his, "two", "1 / 0")
        await run(its, "three")
        expected = {
            "one": ("alice", None, "ok"),
            "two": ("bob", None, "error"),
            "three": ("alice", "Helper", "ok"),
        }
        assert await runs_of(alice, kernel) == await runs_of(bob, kernel) == expected
        answer = await bob.json(path_of(kernel))
        assert answer["shared"] is True
        for shown in answer["runs"]:
            assert shown["start"] <= shown["end"]
            assert shown["who"]["display_name"] in {"Alice Adams", "Bob Brown"}
        later = await alice.json(path_of(kernel, answer["version"]))
        assert later == {**answer, "runs": []}


#: Prints who ran each of these cells, as ``last_run`` says.
LAST = """
import json, jupyter_session_user as j
for cell in {cells!r}:
    run = j.last_run(cell)
    print(json.dumps(run and [run.username, run.agent, run.status, run.verified, run.end is None]))
"""


async def test_code_asks_who_ran_a_cell(own):
    """Cells of both users get the same answer; the running cell has no end, an unknown one none."""
    alice, bob = await people_on(own)
    helper = await agent_of(bob, "Helper")
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
        opened(helper, kernel) as its,
    ):
        await run(hers, "one", FORGE)
        await run(its, "two", "1 / 0")
        code = LAST.format(cells=["one", "two", "never", "mine"])
        for socket, name in ((hers, "alice"), (his, "bob")):
            result = await socket.execute(code, {"cellId": "mine"})
            assert list(map(json.loads, result.text.splitlines())) == [
                ["alice", None, "ok", True, False],
                ["bob", "Helper", "error", True, False],
                None,
                [name, None, None, True, True],
            ]
    async with kernel_of(alice) as other, opened(alice, other) as hers:
        result = await hers.execute(LAST.format(cells=["one"]))  # another kernel's cells
        assert json.loads(result.text) is None


async def test_code_in_the_kernel_names_nobody(own):
    """Messages that a kernel makes up in Bob's name add no run, and change none."""
    alice, bob = await people_on(own)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
    ):
        await run(his, "cell of bob")
        await run(hers, "cell of alice", FORGE)
        assert await runs_of(bob, kernel) == {
            "cell of bob": ("bob", None, "ok"),
            "cell of alice": ("alice", None, "ok"),
        }


async def test_a_client_names_nobody_else(own):
    """A header and a stamp in Bob's name, sent by Alice's browser, leave the run Alice's."""
    alice, bob = await people_on(own)
    forged = {"user": {"username": "bob"}, "source": "x", "verified": True}
    async with kernel_of(alice) as kernel, opened(alice, kernel) as hers, opened(bob, kernel):
        about = {"cellId": "one", "jupyter_session_user": forged}
        message = hers.message("execute_request", {"code": "1", "silent": False}, metadata=about)
        message["header"]["username"] = "bob"
        await hers.finish(await hers.send(message))
        assert await runs_of(bob, kernel) == {"one": ("alice", None, "ok")}


async def test_an_aborted_cell_was_not_run(own):
    """Bob ran a cell; Alice queues it behind a cell that fails: the cell is still Bob's."""
    alice, bob = await people_on(own)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
    ):
        await run(his, "two")
        sent = []
        for cell, code in (("one", "import time; time.sleep(1); 1 / 0"), ("two", "2")):
            content = {"code": code, "silent": False, "stop_on_error": True}
            message = hers.message("execute_request", content, metadata={"cellId": cell})
            sent.append(await hers.send(message))
        for msg_id in sent:
            await hers.finish(msg_id)
        expected = {"one": ("alice", None, "error"), "two": ("bob", None, "ok")}
        assert await runs_of(bob, kernel) == expected


async def test_one_person_is_not_several(own):
    """A kernel with one person is not shared, also in two browsers; with her agent it is."""
    alice, _ = await people_on(own)
    again, _ = await people_on(own)
    helper = await agent_of(alice, "Helper")
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(again, kernel) as elsewhere,
    ):
        await run(hers, "one")
        await run(elsewhere, "two")
        assert (await alice.json(path_of(kernel)))["shared"] is False
        async with opened(helper, kernel) as its:
            await run(its, "three")
        assert (await alice.json(path_of(kernel)))["shared"] is True


async def test_who_may_ask(own):
    """Without a login there is no answer, and none about a kernel that is gone."""
    alice, bob = await people_on(own)
    async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
        await run(hers, "one")
        stranger = await Person(own.url).fetch(path_of(kernel))
        assert stranger.code == 403
        assert b"alice" not in stranger.body
        wrong = await bob.fetch(path_of(kernel).replace("after=0", "after=-1"))
        assert wrong.code == 400
    gone = await bob.fetch(path_of(kernel))
    assert (gone.code, json.loads(gone.body)["message"]) == (404, "no such kernel")


async def test_only_who_may_use_kernels(tmp_path):
    """An authorizer that keeps Bob from kernels keeps the names from him, too."""
    (tmp_path / "only_alice.py").write_text(
        "from jupyter_server.auth import Authorizer\n"
        "class OnlyAlice(Authorizer):\n"
        "    def is_authorized(self, handler, user, action, resource):\n"
        "        return user.username == 'alice' or resource != 'kernels'\n"
    )
    allow = "--ServerApp.authorizer_class=only_alice.OnlyAlice"
    with own_server(*DEMO, allow, env={"PYTHONPATH": str(tmp_path)}) as server:
        alice, bob = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            await run(hers, "one")
            assert await runs_of(alice, kernel) == {"one": ("alice", None, "ok")}
            assert (await bob.fetch(path_of(kernel))).code == 403


async def test_an_administrator_can_switch_it_off():
    """With show_runs off, the server remembers and tells nothing."""
    with own_server(*DEMO, "--JupyterSessionUser.show_runs=False") as server:
        alice, _ = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            await run(hers, "one")
            answer = await alice.fetch(path_of(kernel))
            assert answer.code == 404
            assert b"show_runs" in answer.body
