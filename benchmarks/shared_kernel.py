"""Many people on few kernels: does every line of code get the right name?

    python benchmarks/shared_kernel.py --users 20 --kernels 5 --executions 5000
    python benchmarks/shared_kernel.py --executions 1000000 --minutes 10 --append runs.jsonl
    python benchmarks/shared_kernel.py --sum runs.jsonl

Every user is on every kernel, half of them in each websocket format. Cells are synchronous,
asleep, asynchronous, leave tasks behind, are widget-like callbacks on another user's comm, use
another user's process pool, fork, ask with ``input()`` while another user answers, and stand in
another user's debugger; and a server that one user started on the kernel's loop is visited.
Prints JSON; ``wrong`` counts other people's names, ``unavailable`` errors where the person has
to be known, ``expected_unavailable`` errors where an error is right: in forked processes, for a
server's visitors, in a debugger. Ends with 1 if there was a wrong name or an unexpected error.
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
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from attack_cases.mix import COMM_ID, KINDS, SETUP, Kernel, Turn, attach_debugger, run_cell
from people import LEGACY, V1
from support import LocalServer, person, report, server

_VERDICTS = ("right", "wrong", "unavailable", "expected_unavailable")
#: Executions after which the kernel's records are fetched and cleared.
BATCH = 20_000


async def run_user(me: int, kernels: list[Kernel], share: range, options: Any) -> list[str]:
    """Execute on random kernels, one after the other, as a person would."""
    choose, keys = random.Random(f"{options.seed}-{me}-{share.start}"), []  # noqa: S311 - no secret
    kinds = options.kinds
    weights = [KINDS[kind].weight for kind in kinds]
    for number in share:
        if time.monotonic() > options.deadline:
            break
        (kind,) = choose.choices(kinds, weights)
        place = choose.randrange(len(kernels))
        name = f"user-{me:02}" if KINDS[kind].named else "nobody"
        key = f"{name}|{kind}|{place}|{me}.{number}"
        other = (me + choose.randrange(1, options.users)) % options.users
        turn = Turn(kernels[place], me, other, key, choose.uniform(0, 0.004))
        keys.append(key)
        await KINDS[kind].act(turn)
    for kernel in kernels:
        await run_cell(kernel.sockets[me], "pass")  # behind the last click
    return keys


async def collect(kernel: Kernel) -> dict[str, str]:
    """Wait for the remaining tasks, and return the user that each line of code saw."""
    code = "for task in tasks: await task\ntasks.clear(); told = json.dumps(seen); seen.clear()"
    reply = await run_cell(kernel.sockets[0], code, told="told")
    text = ast.literal_eval(reply["user_expressions"]["told"]["data"]["text/plain"])
    seen: dict[str, str] = json.loads(text)
    return seen


async def prepare(running: LocalServer, options: argparse.Namespace) -> list[Kernel]:
    """Start the kernels, and connect all users."""
    people = [person(running, f"user-{number:02}") for number in range(options.users)]
    kernels = []
    for _ in range(options.kernels):
        kernel_id = await people[0].start_kernel()
        formats = [(V1, LEGACY)[number % 2] for number in range(options.users)]
        sockets = [
            await one.connect(kernel_id, protocol=protocol)
            for one, protocol in zip(people, formats, strict=True)
        ]
        kernel = Kernel(sockets)
        first = sockets[0]
        await run_cell(first, SETUP)
        port = await run_cell(first, "pass", port="port")
        kernel.port = int(port["user_expressions"]["port"]["data"]["text/plain"])
        opening = {"comm_id": COMM_ID, "target_name": "bench", "data": {}}
        first.forget(await first.send(first.message("comm_open", opening)))
        if "debugger" in options.kinds:
            await attach_debugger(first)
        kernels.append(kernel)
    return kernels


async def measure(running: LocalServer, options: argparse.Namespace) -> dict[str, Any]:
    """Let all users work at the same time, and count."""
    kernels = await prepare(running, options)
    verdicts: Counter[tuple[str, str]] = Counter()
    started, share = time.monotonic(), options.executions // options.users
    options.deadline = started + options.minutes * 60
    step = max(1, BATCH // options.users)
    for begin in range(0, share, step):
        part = range(begin, min(begin + step, share))
        jobs = [run_user(me, kernels, part, options) for me in range(options.users)]
        keys = [key for done in await asyncio.gather(*jobs) for key in done]
        seen: dict[str, str] = {}
        for kernel in kernels:
            seen.update(await collect(kernel))
        verdicts.update(verdict(key, seen) for key in keys)
        print(f"{verdicts.total()} executions", file=sys.stderr, flush=True)
        if time.monotonic() > options.deadline:
            break
    return count(verdicts, time.monotonic() - started)


def verdict(key: str, seen: dict[str, str]) -> tuple[str, str]:
    """Return the kind of an execution, and how the user seen compares with the real one."""
    name, kind, *_ = key.split("|")
    got = seen.get(key, "unavailable: lost")
    if got.startswith("unavailable"):
        known = KINDS[kind].known or got.endswith(": lost")
        return kind, "unavailable" if known else "expected_unavailable"
    return kind, "right" if got == name else "wrong"


def count(verdicts: Counter[tuple[str, str]], elapsed: float) -> dict[str, Any]:
    """Return the JSON to print."""
    kinds: dict[str, dict[str, int]] = {}
    for (kind, outcome), number in sorted(verdicts.items()):
        kinds.setdefault(kind, {})[outcome] = number
    sums = {one: sum(kind.get(one, 0) for kind in kinds.values()) for one in _VERDICTS}
    return {
        "executions": verdicts.total(),
        **sums,
        "kinds": kinds,
        "seconds": round(elapsed, 1),
    }


def summed(file: Path) -> dict[str, Any]:
    """Return the sum of the runs that stand in a file, one JSON object per line."""
    runs = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    verdicts: Counter[tuple[str, str]] = Counter()
    for run in runs:
        for kind, outcomes in run["kinds"].items():
            verdicts.update({(kind, outcome): number for outcome, number in outcomes.items()})
    return {"runs": len(runs), **count(verdicts, sum(run["seconds"] for run in runs))}


def main() -> int:
    """Run, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=20, help="how many people, at least two")
    parser.add_argument("--kernels", type=int, default=5, help="how many shared kernels")
    parser.add_argument("--executions", type=int, default=5000, help="how many cells, in all")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after that time")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="of what is done when")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--append", type=Path, help="add the result to this file, as one line")
    parser.add_argument("--sum", type=Path, help="run nothing; add up the lines of this file")
    options = parser.parse_args()
    if options.sum:
        result = summed(options.sum)
    else:
        with server(ours=True, nodelay=True) as running:
            result = asyncio.run(measure(running, options))
        result = {"users": options.users, "kernels": options.kernels, **result}
    report(result)
    if options.append:
        with options.append.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(result) + "\n")
    return 1 if result["wrong"] or result["unavailable"] else 0


if __name__ == "__main__":
    sys.exit(main())
