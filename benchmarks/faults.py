"""How soon one server knows what another one has ended, and what a failing store costs.

    python benchmarks/faults.py

Two servers' lists of ended logins over one journal. ``known_after_ms``: from the end on one server
to the answer on the other, in milliseconds, for a SQLite file and for Redis. For each failure of
the network to Redis: ``answer_us``, the 99th percentile of one question meanwhile, in
microseconds, and ``recovered_s``, from the end of the failure until both servers know all ends.
Needs redis-server. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from fault_proxy import MODES, FaultProxy
from redis_server import RedisServer
from support import percentiles, report

from jupyter_session_user.store.base import Ended
from jupyter_session_user.store.journal import Journal
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal

FAR = 1e12
PATIENCE_S = 30.0


@contextmanager
def two(*journals: Journal) -> Iterator[list[SharedEnded]]:
    """Return two servers' lists."""
    made = [SharedEnded(journal) for journal in journals]
    for store in made:
        store.follow(lambda _: None, lambda function: function())
    try:
        yield made
    finally:
        for store in made:
            store.close()


def waited(condition: Callable[[], Any]) -> float:
    """Wait until a condition holds; return how long that took, in seconds."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > PATIENCE_S:
            raise TimeoutError
        time.sleep(0.0005)
    return time.perf_counter() - start


def known_after(stores: list[SharedEnded], trials: int) -> dict[str, float]:
    """Measure the time from an end on one server to the answer on the other."""
    one, other = stores
    times = []
    for number in range(trials):
        one.end(f"key-{number}", Ended("revoked", 5.0, FAR))
        times.append(1000 * waited(lambda key=f"key-{number}": other.ended(key, 6.0)))
        time.sleep(0.01)
    return percentiles(times)


async def try_to_save(store: SharedEnded) -> None:
    """Wait for the journal, whatever it says."""
    await asyncio.wait([asyncio.ensure_future(store.saved())], timeout=10)


def failure(server: RedisServer, mode: str) -> dict[str, float]:
    """Let the network of one server fail for some seconds."""
    proxy = FaultProxy(server.port)
    urls = [f"redis://127.0.0.1:{port}/0" for port in (proxy.port, server.port)]
    with two(*(RedisJournal(url) for url in urls)) as (behind, direct):
        proxy.fail(mode)
        behind.end(f"{mode} a", Ended("revoked", 5.0, FAR))
        direct.end(f"{mode} b", Ended("revoked", 5.0, FAR))
        times, until = [], time.perf_counter() + 4.0
        while time.perf_counter() < until:
            start = time.perf_counter()
            behind.ended(f"{mode} a", 6.0)
            times.append(1e6 * (time.perf_counter() - start))
            time.sleep(0.0005)
        proxy.heal()
        recovered = waited(
            lambda: behind.ended(f"{mode} b", 6.0) and direct.ended(f"{mode} a", 6.0)
        )
    proxy.close()
    return {"answer_us": percentiles(times)["p99"], "recovered_s": round(recovered, 2)}


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise SystemExit("redis-server is missing")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ended.sqlite3"
        with two(SqliteJournal(path), SqliteJournal(path)) as stores:
            sqlite = known_after(stores, trials)
        server = RedisServer(program, Path(name))
        try:
            with two(RedisJournal(server.url), RedisJournal(server.url)) as stores:
                redis = known_after(stores, trials)
            failures = {mode: failure(server, mode) for mode in MODES}
        finally:
            server.stop()
    report({"known_after_ms": {"sqlite": sqlite, "redis": redis}, "failures": failures})


if __name__ == "__main__":
    main()
