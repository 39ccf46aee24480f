"""How soon does server B refuse a login that was revoked on server A?

    python benchmarks/several_servers.py [--trials 200]

Two real Jupyter Servers with one cookie secret, and one Redis or one SQLite file. In each trial
a user logs in on A and opens a websocket to a kernel of B. Another browser of that user revokes
the login on A. Times are in ms, from the request to A: ``http`` until B refuses a request,
``open_websocket`` until B refuses a cell. Bob runs a cell on B after each trial; ``wrong`` counts
cells with another user than the sender. Needs redis-server. Prints JSON; ends with status 1 if a
goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from local_server import LocalServer
from redis_server import RedisServer
from site_ab import Trial, entered, two_servers, who
from support import percentiles, report

GOAL_MS = 1_000


async def measure(here: LocalServer, there: LocalServer, trials: int) -> dict[str, Any]:
    """Return the figures."""
    bob = await entered(there, "bob")
    kernel_id = await bob.start_kernel()
    his = await bob.connect(kernel_id)
    times: list[tuple[float, float]] = []
    wrong = 0
    for number in range(trials):
        trial = Trial(here, there, f"person-{number}")
        await trial.start(kernel_id)
        if (status := await trial.revoke()) != HTTPStatus.NO_CONTENT:
            raise RuntimeError(f"not revoked: {status}")
        times.append(await trial.refused_after())
        await trial.close()
        wrong += await who(his) != "bob"
        if number % 50 == 49:
            print(f"{number + 1} of {trials}", file=sys.stderr)
    await his.close()
    await bob.fetch(f"api/kernels/{kernel_id}", method="DELETE")
    columns = dict(zip(("http", "open_websocket"), zip(*times, strict=True), strict=True))
    ms = {name: percentiles(values) for name, values in columns.items()}
    met = all(each["p99"] <= GOAL_MS for each in ms.values()) and not wrong
    return {"trials": trials, "ms": ms, "goal_p99_ms": GOAL_MS, "wrong": wrong, "goal_met": met}


def main() -> None:
    """Run the measurement with both kinds of list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise SystemExit("redis-server is missing")
    result = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = RedisServer(program, folder)
        try:
            for kind, url in (("redis", redis.url), ("sqlite", f"sqlite:///{folder / 'ended'}")):
                with two_servers(folder, url, url) as servers:
                    result[kind] = asyncio.run(measure(*servers, trials))
        finally:
            redis.stop()
    report(result)
    sys.exit(not all(each["goal_met"] for each in result.values()))


if __name__ == "__main__":
    main()
