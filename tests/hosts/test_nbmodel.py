"""jupyter-server-nbmodel: cells over HTTP, queued by users and run by one worker per kernel."""

from __future__ import annotations

import asyncio
import importlib.util
import json

import pytest
from people import Person
from servers import WHO, eventually, fresh_id, kernel_of, opened, username

NAMES = ["alice", "bob", "carol"]


@pytest.fixture(autouse=True)
def _nbmodel(need):
    need(importlib.util.find_spec("jupyter_server_nbmodel"), "jupyter-server-nbmodel is missing")


@pytest.fixture
def people(as_user) -> list[Person]:
    """Return three users of the header server."""
    return [as_user(name) for name in NAMES]


async def queue(person: Person, kernel_id: str, code: str, **metadata: object) -> str:
    """Queue a cell, and return the address of its result."""
    body = {"code": code, "metadata": metadata}
    answer = await person.fetch(f"api/kernels/{kernel_id}/execute", method="POST", body=body)
    assert answer.code == 202
    return answer.headers["Location"].lstrip("/")


async def result(person: Person, location: str) -> str:
    """Return the output of the cell."""

    async def poll() -> dict | None:
        answer = await person.fetch(location)
        assert answer.code in (200, 202), answer.body
        return json.loads(answer.body) if answer.code == 200 else None

    outputs = json.loads((await eventually(poll))["outputs"])
    return "".join(output.get("text", "") for output in outputs).strip()


async def test_each_cell_is_that_of_who_queued_it(people):
    """Three users take turns: the worker that the first one started has each user in turn."""
    async with kernel_of(people[0]) as kernel_id:
        for _ in range(2):
            for person, name in zip(people, NAMES, strict=True):
                assert await result(person, await queue(person, kernel_id, WHO)) == name


async def test_cells_queued_together_keep_their_people(people):
    """All users queue before the first cell has finished, and fetch each other's results."""
    async with kernel_of(people[0]) as kernel_id:
        slow = await queue(people[2], kernel_id, "import time; time.sleep(.3)\n" + WHO)
        where = await asyncio.gather(*(queue(p, kernel_id, WHO) for p in people * 2))
        collector = people[1]
        assert await result(collector, slow) == "carol"
        assert [await result(collector, w) for w in where] == NAMES * 2


async def test_a_websocket_next_to_it_changes_nothing(people):
    """Cells by HTTP and by websocket on one kernel: each has its sender."""
    async with kernel_of(people[0]) as kernel_id, opened(people[1], kernel_id) as socket:
        first = await queue(people[0], kernel_id, WHO)
        assert await username(socket) == "bob"
        third = await queue(people[2], kernel_id, WHO)
        assert await result(people[0], first) == "alice"
        assert await result(people[2], third) == "carol"


async def test_the_obvious_way_would_name_the_first_person_for_everybody(people):
    """The obvious implementation: CallContext, when the cell is sent, always names alice."""
    async with kernel_of(people[0]) as kernel_id:
        marks = [f"{WHO}# {kernel_id} {name}" for name in NAMES]
        for person, name, code in zip(people, NAMES, marks, strict=True):
            assert await result(person, await queue(person, kernel_id, code)) == name
        named = dict(await people[0].json("api/probe/nbmodel"))
    assert [named[code] for code in marks] == ["alice", "alice", "alice"]


async def test_a_forged_request_id_borrows_nobodys_name(people):
    """Metadata of the request comes from the client: another user's request id has no effect."""
    async with kernel_of(people[0]) as kernel_id:
        slow = await queue(people[0], kernel_id, "import time; time.sleep(.3)\n" + WHO)
        waiting = await queue(people[0], kernel_id, WHO)
        stolen = waiting.rsplit("/", 1)[1]
        forged = await queue(
            people[1], kernel_id, WHO, request_id=stolen, jupyter_session_user={"user": "alice"}
        )
        assert await result(people[1], forged) == "bob"
        assert await result(people[0], slow) == "alice"
        assert await result(people[0], waiting) == "alice"


async def test_a_cell_whose_login_is_over_before_its_turn_does_not_run(as_user, tmp_path):
    """Alice queues behind bob's cell, then all her logins are revoked; carol's cell still runs.

    Behind a proxy a revoked name is refused for a while, so these users are in no other test.
    """
    names = [f"{name}-{fresh_id()}" for name in ("alice", "bob", "carol")]
    alice, bob, carol = (as_user(name) for name in names)
    flag, mark = tmp_path / "flag", tmp_path / "mark"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(flag)!r}).exists(): time.sleep(.02)"
    async with kernel_of(bob) as kernel_id:
        first = await queue(bob, kernel_id, wait + WHO)
        hers = await queue(alice, kernel_id, f"open({str(mark)!r}, 'w')", cell_id="hers")
        last = await queue(carol, kernel_id, WHO, cell_id="carol's")
        await alice.json("api/session-user/logout-everywhere", method="POST", body={})
        flag.touch()
        assert [await result(p, w) for p, w in ((bob, first), (carol, last))] == names[1:]
        answer = json.loads((await bob.fetch(hers)).body)
        assert "SessionRevoked" in answer["outputs"]
        assert not mark.exists()
