"""How soon one server knows what another one has ended, and what a failing store costs.

    python benchmarks/faults.py [--kills 50]

Two servers' lists of ended logins over one journal. ``known_after_ms``: from the end on one server
to the answer on the other, in milliseconds, for a SQLite file and for Redis. For each failure of
the network to Redis: ``answer_us``, the 99th percentile of one question meanwhile, in
microseconds, and ``recovered_s``, from the end of the failure until both servers know all ends.

Then two real servers. ``messages``: the time of a message to a kernel and its answer while logins
end; ``usual_ms`` with a healthy Redis, then for each failure. ``kills``: Redis, without a disk, is
killed while a login is revoked; ``accepted_later`` counts revoked logins that a server accepts
after all kills, and ``new_server`` those that a server accepts that starts after them. ``wrong``
counts requests and cells with another user than the sender. Needs redis-server. Prints JSON; ends
with status 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from fault_proxy import MODES, FaultProxy
from local_server import LocalServer
from outages import Outages, measure_kills, measure_messages
from redis_server import RedisServer
from site_ab import at, entered, is_refused, two_servers, who
from support import percentiles, report

from jupyter_session_user.store.base import Ended
from jupyter_session_user.store.journal import Journal
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.sqlite import SqliteJournal

FAR = 1e12
PATIENCE_S = 30.0
ADDED_MS, RECOVERED_S = 20.0, 3.0


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


async def run_site(
    here: LocalServer, there: LocalServer, redis: RedisServer, proxy: FaultProxy, kills: int
) -> dict[str, Any]:
    """Measure two real servers."""
    bob = await entered(here, "bob")
    kernel_id = await bob.start_kernel()
    socket = await bob.connect(kernel_id)
    site = Outages(here, there, redis, proxy, socket)
    site.wrong += await who(socket) != "bob"
    messages = await measure_messages(site)
    killed = await measure_kills(site, kills)
    await socket.close()
    with tempfile.TemporaryDirectory() as name, two_servers(Path(name), redis.url) as (third,):
        new = [not await is_refused(at(third, person)) for person in site.ended]
        bob_there = not await is_refused(at(third, bob))
    return {
        "messages": messages,
        "kills": {**killed, "new_server": sum(new), "bob_is_accepted_there": bob_there},
        "wrong": site.wrong,
    }


def real_servers(program: str, folder: Path, kills: int) -> dict[str, Any]:
    """Run two real servers, one of them behind the proxy."""
    redis = RedisServer(program, folder)
    proxy = FaultProxy(redis.port)
    try:
        urls = (f"redis://127.0.0.1:{proxy.port}/0", redis.url)
        with two_servers(folder, *urls) as (here, there):
            return asyncio.run(run_site(here, there, redis, proxy, kills))
    finally:
        proxy.close()
        redis.stop()


def goals(result: dict[str, Any]) -> dict[str, bool]:
    """Return which goals of the project are met."""
    failures, kills = result["messages"]["failures"].values(), result["kills"]
    return {
        "added_p99_ms <= 20": all(each["added_p99_ms"] <= ADDED_MS for each in failures),
        "recovered_s <= 3": kills["recovered_s"]["max"] <= RECOVERED_S
        and all(each["known_on_b_after_s"] <= RECOVERED_S for each in failures),
        "nothing lost": kills["accepted_later"] + kills["new_server"] == 0
        and kills["bob_is_accepted_there"],
        "nobody is somebody else": result["wrong"] == 0,
    }


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args()
    trials = options.trials
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
        site = real_servers(program, Path(name), options.kills)
    met = goals(site)
    lists = {"known_after_ms": {"sqlite": sqlite, "redis": redis}, "failures": failures}
    report({**lists, **site, "goals": met})
    sys.exit(not all(met.values()))


if __name__ == "__main__":
    main()
