"""What an identity token costs: in a kernel, and in the service that verifies it.

    python benchmarks/tokens.py [--quick] [--json FILE]

Two users ask in kernels of their own. ``cached``: the kernel has the token. ``cold``: each call
asks the server. Times are in ms. Prints JSON; ends with status 1 if a token was about another user,
or if a cached one cost more than the goal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from people import Person
from support import percentiles, person, report, server

from jupyter_session_user import verify_identity_token

GOAL_CACHED_MS = 1.0
CACHED, COLD, VERIFIED, QUICK = 20_000, 500, 2000, 50
AUDIENCE, ISSUER = "https://data.example.org", "http://127.0.0.1:8888/api/session-user"

CELL = """
import json, time
from jupyter_session_user import get_identity_token
from jupyter_session_user.kernel import identity_tokens
cached, cold, tokens = [], [], []
for _ in range({cold}):
    identity_tokens._kept.clear()
    start = time.perf_counter()
    tokens.append(str(get_identity_token({audience!r})))
    cold.append((time.perf_counter() - start) * 1000)
for _ in range({cached}):
    start = time.perf_counter()
    get_identity_token({audience!r})
    cached.append((time.perf_counter() - start) * 1000)
print(json.dumps([cached, cold, tokens]))
"""


async def ask(who: Person, cached: int, cold: int) -> tuple[list[float], list[float], list[str]]:
    """Return the times of both kinds of calls in a new kernel, and the tokens."""
    kernel_id = await who.start_kernel()
    socket = await who.connect(kernel_id)
    cell = CELL.format(cached=cached, cold=cold, audience=AUDIENCE)
    done = await socket.execute(cell, timeout=300)
    await socket.close()
    if done.errors:
        raise RuntimeError(done.errors[0])
    first, second, tokens = json.loads(done.text)
    return first, second, tokens


async def measure(url: str, people: dict[str, Person], counts: tuple[int, int, int]) -> Any:
    """Measure with each user, one after the other."""
    times: dict[str, list[float]] = {"cached": [], "cold": [], "verify": []}
    wrong = 0
    jwks = await Person(url).json("api/session-user/jwks.json")
    for name, who in people.items():
        cached, cold, tokens = await ask(who, *counts[:2])
        times["cached"] += cached
        times["cold"] += cold
        for token in tokens:
            said = verify_identity_token(token, jwks, AUDIENCE, issuer=ISSUER)
            wrong += said.username != name
        for _ in range(counts[2]):
            start = time.perf_counter()
            verify_identity_token(tokens[-1], jwks, AUDIENCE, issuer=ISSUER)
            times["verify"].append((time.perf_counter() - start) * 1000)
    return {
        **{f"{kind}_ms": percentiles(values) for kind, values in times.items()},
        "calls": {kind: len(values) for kind, values in times.items()},
        "goal_cached_p99_ms": GOAL_CACHED_MS,
        "goal_met": percentiles(times["cached"])["p99"] <= GOAL_CACHED_MS,
        "wrong_users": wrong,
    }


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer calls, for a first look")
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    counts = (QUICK, QUICK, QUICK) if options.quick else (CACHED, COLD, VERIFIED)
    settings = (
        f"--JupyterSessionUser.token_audiences={AUDIENCE}",
        f"--JupyterSessionUser.token_issuer={ISSUER}",
        "--JupyterSessionUser.comm_burst=100000",
    )
    with server(*settings, ours=True, nodelay=True) as running:
        people = {name: person(running, name) for name in ("alice", "bob")}
        result = asyncio.run(measure(running.url, people, counts))
    report(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    sys.exit(0 if result["goal_met"] and not result["wrong_users"] else 1)


if __name__ == "__main__":
    main()
