"""Code that the event loop runs later has the user of the cell that scheduled it."""

from __future__ import annotations

import pytest

#: Ways in which Alice's cell starts ``job``. All of them run during Bob's cell.
LATER = {
    "create_task": "task = asyncio.create_task(job.run())",
    "ensure_future": "task = asyncio.ensure_future(job.run())",
    "gather": "task = asyncio.gather(job.run())",
    "to_thread": "task = asyncio.ensure_future(asyncio.to_thread(job))",
    "call_soon": "asyncio.get_running_loop().call_soon(job.tick)",
    "call_later": "asyncio.get_running_loop().call_later(0.001, job.tick)",
    "IOLoop.add_callback": "IOLoop.current().add_callback(job.tick)",
    "IOLoop.call_later": "IOLoop.current().call_later(0.001, job.tick)",
    "copied context in a thread": (
        "threading.Thread(target=contextvars.copy_context().run, args=(job,)).start()"
    ),
}


@pytest.mark.parametrize("start", LATER.values(), ids=LATER.keys())
@pytest.mark.parametrize("prefix", ["", "await asyncio.sleep(0); "], ids=["sync", "async"])
def test_started_by_alice_runs_during_bobs_cell(alice, bob, start, prefix):
    """The task has Alice, in sync and async cells; Bob's cell has Bob throughout."""
    assert alice.run(f"{prefix}job = Job(who); {start}").reply["status"] == "ok"
    assert bob.run("(who(), await job.open(), who())").value == ("bob", "alice", "bob")
    assert alice.run("who()").value == "alice"


def test_periodic_callback(alice, bob):
    """A repeated callback keeps the user that started it."""
    alice.run(
        "ticks = []\njob = Job(who)\n"
        "def tick():\n"
        "    ticks.append(who())\n"
        "    if job.gate.is_set() and not job.done.done(): job.finish()\n"
        "periodic = PeriodicCallback(tick, 1); periodic.start()"
    )
    seen = bob.run("answer = await job.open(); periodic.stop(); (answer, set(ticks), who())").value
    assert seen == ("alice", {"alice"}, "bob")


def test_done_callback(alice, bob):
    """A callback that Alice puts on a future runs as Alice, also if Bob sets the future."""
    alice.run(
        "job = Job(who)\nwaited = asyncio.get_running_loop().create_future()\n"
        "waited.add_done_callback(lambda _: job.finish())"
    )
    assert bob.run("waited.set_result(1); (await job.open(), who())").value == ("alice", "bob")


def test_awaiting_a_coroutine_of_the_other(alice, bob):
    """A coroutine that Bob awaits runs as Bob, even if Alice made it; a task would be Alice's."""
    alice.run("async def work(): return who()\nmade = work()")
    assert bob.run("await made").value == "bob"


def test_two_tasks_at_once(alice, bob):
    """Tasks of two users that take turns each keep their own user."""
    code = (
        "async def watch():\n"
        "    while not stop.is_set(): names.append(who()); await asyncio.sleep(0)\n"
        "names = []; {0} = (asyncio.ensure_future(watch()), names)"
    )
    alice.run("stop = asyncio.Event()")
    alice.run(code.format("hers").replace("names", "hers_names"))
    bob.run(code.format("his").replace("names", "his_names"))
    alice.run("for _ in range(20): await asyncio.sleep(0)\nstop.set(); await hers[0]; await his[0]")
    assert alice.run("(set(hers_names), set(his_names))").value == ({"alice"}, {"bob"})
