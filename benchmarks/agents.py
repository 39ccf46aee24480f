"""Two people and their two agents on one kernel: is each call the right person's, with its actor?

    python benchmarks/agents.py [--calls 10000] [--minutes 15] [--json FILE]

Each agent sends cells over its websocket, cells that leave a task behind, and REST requests, with
its token and no cookies. Meanwhile both people run cells of their own from their browsers.
``wrong_user`` counts calls under a person who did not ask, ``without_actor`` calls of an agent
without its actor, ``wrong_actor`` those with another agent's, and ``actor_of_person`` people's own
cells with an actor. ``cell_ms`` is the time of an agent's cell, ``rest_ms`` of its REST request,
``person_rest_ms`` of its person's, in milliseconds. Prints JSON; ends with status 1 if a count is
not 0, or if there were fewer calls than asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from agents import Agent, agent_of
from people import KernelSocket, Person
from servers import DEMO, kernel_of, opened, own_server, people_on
from support import percentiles, report

ME = "api/session-user/me"

SETUP = """
import asyncio, json
import jupyter_session_user as jsu
seen, tasks = [], []
def who():
    s = jsu.get_session()
    return [jsu.get_current_user().username, s.actor.name if s.actor else None]
async def later(key):
    await asyncio.sleep(0.002)
    seen.append([key, *who()])
"""
CELL = "print(json.dumps(who()))"
TASK = "tasks.append(asyncio.ensure_future(later({key!r})))\n" + CELL
#: What an agent's calls are, in turn; a call that leaves a task behind counts twice.
KINDS = ("cell", "cell", "task", "rest")


class Tally:
    """The counts, and the times in milliseconds."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.times: defaultdict[str, list[float]] = defaultdict(list)

    def note(self, expected: tuple[str, str | None], user: str, actor: str | None) -> None:
        """Count what one call saw.

        Args:
            expected: The person and the agent that sent it.
            user: The person that it saw.
            actor: The agent's name that it saw.
        """
        name, agent = expected
        self.counts["agent_calls" if agent else "person_calls"] += 1
        self.counts["wrong_user"] += user != name
        self.counts["without_actor"] += agent is not None and actor is None
        self.counts["wrong_actor"] += agent is not None and actor not in {None, agent}
        self.counts["actor_of_person"] += agent is None and actor is not None


async def run_cell(socket: KernelSocket, code: str) -> tuple[str, str | None]:
    """Return the user and the actor that a cell prints."""
    result = await socket.execute(code)
    if result.errors:
        raise RuntimeError(result.errors[0])
    user, actor = json.loads(result.text)
    return user, actor


async def ask_me(person: Person) -> tuple[str, str | None]:
    """Return the user and the actor of a REST request."""
    me = await person.json(ME)
    return me["user"]["username"], me["actor"] and me["actor"]["name"]


async def run_agent(
    agent: Agent, socket: KernelSocket, tally: Tally, goes_on: Callable[[], bool]
) -> None:
    """Send an agent's calls, one after the other."""
    expected = agent.model["username"], agent.model["name"]
    for number in itertools.count():
        if not goes_on():
            return
        kind, start = KINDS[number % len(KINDS)], time.perf_counter()
        if kind == "rest":
            found = await ask_me(agent)
        else:
            code = CELL if kind == "cell" else TASK.format(key="|".join(expected))
            found = await run_cell(socket, code)
        tally.times["rest" if kind == "rest" else "cell"].append(_ms_since(start))
        tally.note(expected, *found)


async def run_person(
    person: Person, name: str, socket: KernelSocket, tally: Tally, goes_on: Callable[[], bool]
) -> None:
    """Run a person's own cells meanwhile."""
    while goes_on():
        tally.note((name, None), *await run_cell(socket, CELL))
        start = time.perf_counter()
        tally.note((name, None), *await ask_me(person))
        tally.times["person_rest"].append(_ms_since(start))
        await asyncio.sleep(0.1)


def _ms_since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


async def measure(calls: int, minutes: float) -> dict[str, Any]:
    """Return the counts and times."""
    tally = Tally()
    with own_server(*DEMO) as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
        async with (
            kernel_of(alice) as kernel,
            opened(alice, kernel) as a,
            opened(bob, kernel) as b,
            opened(hers, kernel) as alpha,
            opened(his, kernel) as beta,
        ):
            await a.execute(SETUP)
            deadline = time.monotonic() + 60 * minutes

            def goes_on() -> bool:
                left = sum(len(s.everything) for s in (a, b, alpha, beta))
                if left > 20_000:  # the sockets keep what they have heard
                    for socket in (a, b, alpha, beta):
                        socket.everything.clear()
                return tally.counts["agent_calls"] < calls and time.monotonic() < deadline

            start = time.perf_counter()
            await asyncio.gather(
                run_agent(hers, alpha, tally, goes_on),
                run_agent(his, beta, tally, goes_on),
                run_person(alice, "alice", a, tally, goes_on),
                run_person(bob, "bob", b, tally, goes_on),
            )
            seconds = time.perf_counter() - start
            result = await a.execute("await asyncio.gather(*tasks); print(json.dumps(seen))")
            tasks = json.loads(result.text)
            for key, user, actor in tasks:
                name, agent = key.split("|")
                tally.note((name, agent), user, actor)
    return {
        "calls_wanted": calls,
        "seconds": round(seconds, 1),
        "tasks_left_behind": len(tasks),
        **tally.counts,
        "cell_ms": percentiles(tally.times["cell"]),
        "rest_ms": percentiles(tally.times["rest"]),
        "person_rest_ms": percentiles(tally.times["person_rest"]),
    }


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000, help="calls of the agents")
    parser.add_argument("--minutes", type=float, default=15.0, help="end after that time")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    result = asyncio.run(measure(options.calls, options.minutes))
    report(result)
    if options.json:
        options.json.write_text(json.dumps(result))
    zeros = ("wrong_user", "without_actor", "wrong_actor", "actor_of_person")
    return int(any(result[name] for name in zeros) or result["agent_calls"] < options.calls)


if __name__ == "__main__":
    sys.exit(main())
