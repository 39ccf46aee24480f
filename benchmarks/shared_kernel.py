"""Many people on few kernels: does every line of code get the right name?

    python benchmarks/shared_kernel.py --users 20 --kernels 5 --executions 5000

Every user is on every kernel, half of them in each websocket format. Cells are synchronous,
asleep, asynchronous, leave tasks behind, or are widget-like callbacks on a comm that somebody
else made. Prints JSON; ``wrong`` counts other people's names, ``unavailable`` errors. Ends
with 1 if there was either.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

from support import LocalServer, person, report, server

from jupyter_session_user.testing.people import LEGACY, V1, KernelSocket

SETUP = """
import asyncio, json, time
from jupyter_session_user import IdentityUnavailable, get_current_user

seen = {}
def note(key):
    try:
        seen[key] = get_current_user().username
    except IdentityUnavailable as error:
        seen[key] = f"unavailable: {error.reason}"
async def later(key, pause):
    await asyncio.sleep(pause)
    note(key)
def on_open(comm, message):
    comm.on_msg(lambda message: note(message["content"]["data"]["key"]))
get_ipython().kernel.comm_manager.register_target("bench", on_open)
tasks = []
"""

CELLS = {
    "sync": "note({key!r})",
    "sleep": "time.sleep({pause}); note({key!r})",
    "async": "await asyncio.sleep({pause}); note({key!r})",
    "task": "tasks.append(asyncio.create_task(later({key!r}, {pause})))",
}
KINDS = (*CELLS, "callback")
COMM_ID = "bench-comm"


async def run_user(name: str, sockets: list[KernelSocket], count: int, seed: int) -> list[str]:
    """Execute ``count`` times on random kernels, one after the other, as a person would."""
    choose, keys = random.Random(seed), []  # noqa: S311 - nothing secret
    for number in range(count):
        kernel, kind = choose.randrange(len(sockets)), choose.choice(KINDS)
        key = f"{name}|{kind}|{kernel}|{number}"
        keys.append(key)
        await run_one(sockets[kernel], kind, key, choose.uniform(0, 0.004))
    for socket in sockets:
        await run_cell(socket, "pass")  # behind the last click
    return keys


async def run_one(socket: KernelSocket, kind: str, key: str, pause: float) -> None:
    """Execute one cell, or click once."""
    if kind != "callback":
        await run_cell(socket, CELLS[kind].format(key=key, pause=pause))
        return
    # ipykernel 7 announces no "idle" for a callback that runs while a cell awaits, so there is
    # nothing to wait for here; whoever collects waits for what is still on its way.
    await socket.send(socket.message("comm_msg", {"comm_id": COMM_ID, "data": {"key": key}}))


async def run_cell(socket: KernelSocket, code: str, **expressions: str) -> dict[str, Any]:
    """Run code, and return its reply: what comes on iopub, ZMQ drops for a slow reader."""
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    content["user_expressions"] = expressions
    msg_id = await socket.send(socket.message("execute_request", content))
    while (message := await socket.receive(msg_id))["channel"] != "shell":
        pass
    reply: dict[str, Any] = message["content"]
    return reply


async def collect(socket: KernelSocket) -> dict[str, str]:
    """Wait for the tasks that were left behind, and return whom each line of code saw."""
    reply = await run_cell(socket, "for task in tasks: await task", seen="json.dumps(seen)")
    text = ast.literal_eval(reply["user_expressions"]["seen"]["data"]["text/plain"])
    seen: dict[str, str] = json.loads(text)
    return seen


async def measure(running: LocalServer, options: argparse.Namespace) -> dict[str, Any]:
    """Let everybody work at the same time, and count."""
    people = [person(running, f"user-{number:02}") for number in range(options.users)]
    kernels = [await people[0].start_kernel() for _ in range(options.kernels)]
    sockets = []
    for number, one in enumerate(people):
        protocol = (V1, LEGACY)[number % 2]
        sockets.append([await one.connect(kernel, protocol=protocol) for kernel in kernels])
    for socket in sockets[0]:
        await socket.execute(SETUP)
        opening = {"comm_id": COMM_ID, "target_name": "bench", "data": {}}
        await socket.send(socket.message("comm_open", opening))
    started = time.perf_counter()
    share = options.executions // options.users
    names = [one.headers["X-User"] for one in people]
    jobs = [
        run_user(name, mine, share, i)
        for i, (name, mine) in enumerate(zip(names, sockets, strict=True))
    ]
    keys = [key for done in await asyncio.gather(*jobs) for key in done]
    elapsed = time.perf_counter() - started
    seen: dict[str, str] = {}
    for socket in sockets[0]:
        seen.update(await collect(socket))
    return count(keys, seen, elapsed)


def count(keys: list[str], seen: dict[str, str], elapsed: float) -> dict[str, Any]:
    """Compare whom the code saw with whose it was."""
    verdicts: Counter[str] = Counter()
    for key in keys:
        name, got = key.split("|")[0], seen.get(key, "unavailable: lost")
        known = "unavailable" if got.startswith("unavailable") else "wrong"
        verdicts["right" if got == name else known] += 1
    return {
        "executions": len(keys),
        "right": verdicts["right"],
        "wrong": verdicts["wrong"],
        "unavailable": verdicts["unavailable"],
        "kinds": dict(Counter(key.split("|")[1] for key in keys)),
        "seconds": round(elapsed, 1),
    }


def main() -> int:
    """Run, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=20, help="how many people")
    parser.add_argument("--kernels", type=int, default=5, help="how many shared kernels")
    parser.add_argument("--executions", type=int, default=5000, help="how many cells, in all")
    options = parser.parse_args()
    with server(ours=True, nodelay=True) as running:
        result = asyncio.run(measure(running, options))
    report({"users": options.users, "kernels": options.kernels, **result})
    return 1 if result["wrong"] or result["unavailable"] else 0


if __name__ == "__main__":
    sys.exit(main())
