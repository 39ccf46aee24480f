"""Two real servers while Redis fails: what messages cost, and what is lost.

Used by ``faults.py``. Server A reaches Redis through a proxy that fails, server B directly. Bob
sends messages to a kernel of A all the time. Other users' logins end on A all the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from fault_proxy import MODES, FaultProxy
from local_server import LocalServer
from people import KernelSocket, Person
from redis_server import RedisServer
from site_ab import PATIENCE_S, at, entered, is_refused, who
from support import percentiles

_PAUSE_S = 0.01
_PHASE_S = 6.0


@dataclass
class Outages:
    """The site, and what has happened on it.

    Attributes:
        here: Server A.
        there: Server B.
        redis: Redis.
        proxy: Between A and Redis.
        socket: Bob's websocket to a kernel of A.
        ended: Browsers with ended logins, as server B sees them.
        unsaved: How many ends the server answered with 503: in effect, and not saved yet.
        wrong: How many cells had another user than the sender.
    """

    here: LocalServer
    there: LocalServer
    redis: RedisServer
    proxy: FaultProxy
    socket: KernelSocket
    ended: list[Person] = field(default_factory=list)
    unsaved: int = 0
    wrong: int = 0

    async def message_ms(self) -> float:
        """Return the ms of a message to bob's kernel and its answer."""
        start = time.perf_counter()
        msg_id = await self.socket.send(self.socket.message("kernel_info_request", {}))
        await self.socket.finish(msg_id)
        return 1_000 * (time.perf_counter() - start)

    async def revoke_one(self) -> Person:
        """Revoke a new user's login on A; return the browser as B sees it."""
        name = f"person-{len(self.ended)}"
        browser, elsewhere = [await entered(self.here, name) for _ in range(2)]
        mine = await browser.json("api/session-user/me")
        self.wrong += mine["user"]["username"] != name
        path = f"api/session-user/sessions/{mine['id']}"
        answer = await elsewhere.fetch(path, method="DELETE")
        if answer.code == HTTPStatus.SERVICE_UNAVAILABLE:
            self.unsaved += 1
        elif answer.code != HTTPStatus.NO_CONTENT:
            raise RuntimeError(f"not revoked: {answer.code}")
        if not await is_refused(browser):
            raise RuntimeError("A accepts a login that it has revoked")
        self.ended.append(at(self.there, browser))
        return self.ended[-1]

    async def during(self, failing: Callable[[], Awaitable[None]]) -> dict[str, float]:
        """Send messages while logins end and something fails; return the percentiles in ms."""
        over, times = asyncio.Event(), list[float]()

        async def end_logins() -> None:
            while not over.is_set():
                await self.revoke_one()
                await asyncio.sleep(0.1)

        async def send_messages() -> None:
            while not over.is_set():
                times.append(await self.message_ms())
                await asyncio.sleep(_PAUSE_S)

        tasks = [asyncio.create_task(end_logins()), asyncio.create_task(send_messages())]
        await failing()
        over.set()
        await asyncio.gather(*tasks)
        self.wrong += await who(self.socket) != "bob"
        return percentiles(times)

    async def known_again(self) -> float:
        """Return the seconds until B refuses all ended logins."""
        start = time.perf_counter()
        for person in list(self.ended):
            while not await is_refused(person):
                if time.perf_counter() - start > PATIENCE_S:
                    raise TimeoutError
                await asyncio.sleep(0.01)
        return round(time.perf_counter() - start, 2)


async def _nothing() -> None:
    await asyncio.sleep(2 * _PHASE_S)


def _phases(site: Outages) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    """Return how each failure begins and ends."""

    def begin(mode: str) -> Callable[[], None]:
        return lambda: site.proxy.fail(mode)

    phases = {mode: (begin(mode), site.proxy.heal) for mode in MODES}
    return {**phases, "restarted_empty": (site.redis.stop, site.redis.start)}


async def measure_messages(site: Outages) -> dict[str, Any]:
    """Return, for each failure, the messages' latencies and the seconds until B knows all."""
    usual = await site.during(_nothing)
    result: dict[str, Any] = {"usual_ms": usual, "failures": {}}
    for mode, (begin, end) in _phases(site).items():

        async def fail(begin: Callable[[], None] = begin) -> None:
            await asyncio.to_thread(begin)
            await asyncio.sleep(_PHASE_S)

        found = await site.during(fail)
        await asyncio.to_thread(end)
        result["failures"][mode] = {
            "ms": found,
            "added_p99_ms": round(found["p99"] - usual["p99"], 2),
            "known_on_b_after_s": await site.known_again(),
        }
    return result


async def measure_kills(site: Outages, kills: int) -> dict[str, Any]:
    """Kill Redis while a login ends, at a later moment each time.

    Returns:
        What got lost, and the seconds from Redis's return until B refuses that login.
    """
    start = time.perf_counter()
    await site.revoke_one()
    usual = time.perf_counter() - start
    times, before = [], site.unsaved
    answered = len(site.ended)
    for number in range(kills):
        ending = asyncio.create_task(site.revoke_one())
        await asyncio.sleep(1.5 * usual * number / kills)  # before, during or after the answer
        await asyncio.to_thread(site.redis.stop)
        await ending
        await asyncio.to_thread(site.redis.start)
        start = time.perf_counter()
        while not await is_refused(site.ended[-1]):
            if time.perf_counter() - start > PATIENCE_S:
                raise TimeoutError
            await asyncio.sleep(0.005)
        times.append(time.perf_counter() - start)
        site.wrong += await who(site.socket) != "bob"
    lost = [not await is_refused(person) for person in site.ended]
    return {
        "kills": kills,
        "revoked": len(site.ended) - answered,
        "answered_503": site.unsaved - before,
        "recovered_s": percentiles(times),
        "accepted_later": sum(lost),
    }
