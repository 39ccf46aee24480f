"""100,000 people on two servers with one Redis: what the ends of their logins cost.

    python benchmarks/campus.py [--people 100000]

Two server processes, each of which knows a login of each person, and a real Redis. No browser and
no kernel is connected. Takes two to three minutes for 100,000 people. Prints JSON:

``idle``: commands per second at Redis while nothing happens. ``peak``: logins end at the rate of
``per_second`` on server A, as if all people signed out within an hour; ``known_on_b_ms`` is the
time until server B knows, and ``loop_lag_ms`` how late a timer of B is, which is what a message
waits. ``burst``: the rest of the logins end as fast as A can; ``ends_per_second`` counts until B
knows all, and ``loop_lag_ms`` is that of B meanwhile. ``emptied_redis``: ``refill_s`` until an
emptied Redis has all ends again, for a minute at most. ``start_s``: until a new server knows them.
``forget_ms``: how long the hourly removal of old entries takes on the server's thread.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from redis_server import RedisServer
from scale import login, now
from support import percentiles, report

from jupyter_session_user.core.lifecycle import Limits
from jupyter_session_user.server.auth.ended_logins import EndedLogins
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.store.memory import MemoryStore
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded

PEAK_S = 20
IDLE_S = 5
LAG_STEP_S = 0.005
PATIENCE_S = 300.0
REFILL_S = 60.0


class Server:
    """The logins of one server, without its browsers and kernels.

    Args:
        url: Redis.
        people: How many logins it knows.
    """

    def __init__(self, url: str, people: int) -> None:
        start = time.perf_counter()
        self.store = SharedEnded(RedisJournal(url))
        self.start_s = time.perf_counter() - start
        self.ended = EndedLogins(self.store, now)
        limits = Limits(absolute=86_400.0)
        log = logging.getLogger("campus")
        self.logins = Logins(MemoryStore(10), self.ended, now, limits, log, limit=people)
        self.known = 0
        self.known_at: dict[str, float] | None = {}
        before = memory()
        for number in range(people):
            self.logins.saw(login(number))
        self.bytes_per_login = (memory() - before) / max(1, people)

    def follow(self) -> None:
        """Take over the ends of the other server, in the running loop."""
        loop = asyncio.get_running_loop()

        def run(function: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(function)

        self.ended.follow(self._changed, run)

    def _changed(self, names: Collection[str]) -> None:
        self.logins.ended_elsewhere(names)
        self.known += len(names)
        if self.known_at is not None:
            self.known_at.update(dict.fromkeys(names, time.time()))


def memory() -> int:
    """Return the memory of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


async def watch_lag(lags: list[float]) -> None:
    """Note how late a timer is, in ms."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(LAG_STEP_S)
        lags.append(1_000 * (time.perf_counter() - start - LAG_STEP_S))


async def serve(pipe: Connection, url: str, people: int) -> None:
    """Be server B: answer the questions of server A."""
    server, lags = Server(url, people), list[float]()
    server.follow()
    watching = asyncio.create_task(watch_lag(lags))
    pipe.send(server.bytes_per_login)
    memory_before = memory()
    while True:
        while not pipe.poll():  # noqa: ASYNC110 - the other process cannot set an event
            await asyncio.sleep(LAG_STEP_S)
        question = pipe.recv()
        if question == "known":
            pipe.send(server.known)
        elif question == "report":
            pipe.send((server.known_at, percentiles(lags or [0.0]), memory() - memory_before))
            lags.clear()
            memory_before = memory()
        elif question == "stop timing":  # it takes memory
            server.known_at = None
            pipe.send(None)
        elif question == "forget":
            start = time.perf_counter()
            server.ended.forget()
            pipe.send(1_000 * (time.perf_counter() - start))
        else:
            break
    watching.cancel()
    server.store.close()


def run_other(pipe: Connection, url: str, people: int) -> None:
    """Run server B in this process."""
    asyncio.run(serve(pipe, url, people))


class Campus:
    """Server A, the pipe to server B, and a client of Redis.

    Args:
        server: Server A.
        pipe: To server B.
        redis: The Redis server.
    """

    def __init__(self, server: Server, pipe: Connection, redis: RedisServer) -> None:
        from redis import Redis  # noqa: PLC0415 - the program says so where it is missing

        self.server, self._pipe, self.redis = server, pipe, redis
        self._client = Redis.from_url(redis.url)
        self._next = 0

    def info(self, name: str) -> int:
        """Return a figure of Redis."""
        return int(self._client.info()[name])

    def rows(self) -> int:
        """Return how many ends Redis holds."""
        return int(self._client.hlen("{jupyter-session-user}:rows"))

    def ask(self, question: str) -> Any:
        """Ask server B."""
        self._pipe.send(question)
        return self._pipe.recv()

    async def until_known(self) -> None:
        """Wait until B knows all ends."""
        end = time.monotonic() + PATIENCE_S
        while self.ask("known") < self._next:
            if time.monotonic() > end:
                raise TimeoutError
            await asyncio.sleep(0.05)

    def end_next(self) -> tuple[str, float]:
        """End a login; return the name that B hears, and the time."""
        shown = login(self._next)
        self._next += 1
        name, _ = self.server.ended.names_of(shown.key, shown.principal)
        at = time.time()
        self.server.logins.end(shown.key, "revoked")
        return name, at

    async def idle(self) -> dict[str, float]:
        """Count what two servers ask of Redis for nothing."""
        before = self.info("total_commands_processed")
        await asyncio.sleep(IDLE_S)
        return {"redis_commands_per_s": (self.info("total_commands_processed") - before) / IDLE_S}

    async def peak(self, per_second: float) -> dict[str, Any]:
        """End logins at a steady rate."""
        self.ask("report")
        before, start = self.info("total_commands_processed"), time.perf_counter()
        ended = {}
        while (elapsed := time.perf_counter() - start) < PEAK_S:
            while len(ended) < elapsed * per_second:
                name, at = self.end_next()
                ended[name] = at
            await asyncio.sleep(0.002)
        await self.until_known()
        commands = (self.info("total_commands_processed") - before) / PEAK_S
        known, lag, _ = self.ask("report")
        times = [1_000 * (known[name] - at) for name, at in ended.items()]
        return {
            "per_second": round(per_second, 1),
            "known_on_b_ms": percentiles(times),
            "loop_lag_ms": lag,
            "redis_commands_per_s": round(commands, 1),
        }

    async def burst(self, people: int) -> dict[str, Any]:
        """End all other logins as fast as possible."""
        self.ask("stop timing")
        self.ask("report")
        start, count = time.perf_counter(), people - self._next
        before = {name: self.info(name) for name in ("total_commands_processed", "used_memory")}
        while self._next < people:
            for _ in range(min(50, people - self._next)):
                self.end_next()
            await asyncio.sleep(0)
        await self.server.ended.saved()
        await self.until_known()
        seconds = time.perf_counter() - start
        commands = self.info("total_commands_processed") - before["total_commands_processed"]
        _, lag, grown = self.ask("report")
        return {
            "ends": count,
            "ends_per_second": round(count / seconds),
            "redis_commands_per_s": round(commands / seconds),
            "redis_commands_per_end": round(commands / count, 2),
            "loop_lag_ms": lag,
            "server_bytes_per_end": round(grown / count),
            "redis_bytes_per_end": round(
                (self.info("used_memory") - before["used_memory"]) / count
            ),
        }

    async def refill(self, people: int) -> dict[str, Any]:
        """Empty Redis, and wait until the servers have written all ends again."""
        self.redis.stop()
        self.redis.start()
        self.ask("report")
        start = time.perf_counter()
        rows = 0
        while rows < people and time.perf_counter() - start < REFILL_S:
            await asyncio.sleep(0.05)
            rows = self.rows()
        seconds = time.perf_counter() - start
        lag = self.ask("report")[1]
        return {"rows": rows, "refill_s": round(seconds, 2), "loop_lag_ms": lag}


async def measure(pipe: Connection, redis: RedisServer, people: int) -> dict[str, Any]:
    """Return all figures; this process is server A."""
    server = Server(redis.url, people)
    server.follow()
    campus = Campus(server, pipe, redis)
    of_b = await asyncio.to_thread(pipe.recv)  # it is ready
    result: dict[str, Any] = {"people": people}
    result["idle"] = await campus.idle()
    result["peak"] = await campus.peak(people / 3_600)
    result["burst"] = await campus.burst(people)
    result["redis_memory_mb"] = round(campus.info("used_memory") / 1e6, 1)
    result["server_bytes_per_login"] = round((server.bytes_per_login + of_b) / 2)
    result["forget_ms"] = round(campus.ask("forget"), 1)
    third = Server(redis.url, 0)
    result["start_s"] = round(third.start_s, 2)
    result["emptied_redis"] = await campus.refill(people)
    for store in (third.store, server.store):
        await asyncio.to_thread(store.close)
    pipe.send("end")
    return result


def main() -> None:
    """Run the simulation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=100_000)
    people = parser.parse_args().people
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        sys.exit("redis-server is missing")
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    with tempfile.TemporaryDirectory() as name:
        redis = RedisServer(program, Path(name))
        other = spawn.Process(target=run_other, args=(theirs, redis.url, people), daemon=True)
        other.start()
        try:
            report(asyncio.run(measure(mine, redis, people)))
            other.join(PATIENCE_S)
        finally:
            other.kill()
            redis.stop()


if __name__ == "__main__":
    main()
