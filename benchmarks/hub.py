"""How soon does an open kernel websocket notice what happens at JupyterHub?

    python benchmarks/hub.py [--trials 200] [--exits 3] [--outage 60]

A real Hub with configurable-http-proxy; bob is a guest on alice's server. Prints JSON:

``by_push``: bob logs out, and the Hub's own message tells the server, which would ask only once an
hour. ``by_default``: without such a message, the server asks every ten seconds; bob's token or user
is deleted, or bob loses the role. Each trial logs bob in with a new browser, opens a websocket to
alice's kernel, and sends cells from the event on until one is refused. ``outage``: the Hub is
killed for that many seconds, and its proxy goes on; until bob's session is degraded, until it is as
before once the Hub answers again, and the lines in the log. ``wrong`` counts cells with another
user than the sender.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from hub import Hub, HubPerson, hub_running, proxy_program
from people import KernelSocket
from support import percentiles, report

WHO = "from jupyter_session_user import get_current_user; print(get_current_user().username)"
DEGRADED = "from jupyter_session_user import get_session; print(get_session().degraded)"
INTERVAL_S = 10.0
PATIENCE_S = 120.0


class Server:
    """Alice's server, with her websocket to a kernel.

    Attributes:
        wrong: Cells with another user than the sender.
    """

    def __init__(self, hub: Hub, kernel_id: str, socket: KernelSocket) -> None:
        self.hub, self._kernel_id, self._socket = hub, kernel_id, socket
        self.wrong = 0

    @contextlib.asynccontextmanager
    async def guest(self) -> AsyncIterator[tuple[HubPerson, KernelSocket]]:
        """Log bob in with a new browser, and open a websocket; check who both are."""
        bob = await asyncio.to_thread(HubPerson(self.hub, "bob").enter)
        socket = await bob.connect(self._kernel_id)
        self.wrong += (await socket.execute(WHO)).text.strip() != "bob"
        try:
            yield bob, socket
        finally:
            await socket.close()
            bob.browser.close()
            self.wrong += (await self._socket.execute(WHO)).text.strip() != "alice"

    async def refused_after(self, act: Callable[[HubPerson], None]) -> float:
        """Return the seconds from an event to the first cell that is refused."""
        async with self.guest() as (bob, socket):
            start = time.perf_counter()
            acting = asyncio.create_task(asyncio.to_thread(act, bob))
            while True:
                if time.perf_counter() - start > PATIENCE_S:
                    raise TimeoutError
                try:
                    if (await socket.execute("pass", timeout=2)).errors:
                        break
                except asyncio.TimeoutError:  # revoked while the cell was running: muted
                    continue
                await asyncio.sleep(0.005)
            seconds = time.perf_counter() - start
            await acting
        return seconds


@contextlib.asynccontextmanager
async def alices(interval: float, *, own_proxy: bool = True) -> AsyncIterator[Server]:
    """Run a Hub whose servers ask again in that interval."""
    setting = f"--JupyterSessionUser.revalidate_interval={interval}"
    with (
        tempfile.TemporaryDirectory() as name,
        hub_running(Path(name), setting, own_proxy=own_proxy) as hub,
    ):
        alice = await asyncio.to_thread(HubPerson(hub, "alice").enter)
        kernel_id = await alice.start_kernel()
        socket = await alice.connect(kernel_id)
        yield Server(hub, kernel_id, socket)
        await socket.close()
        alice.browser.close()


async def by_push(trials: int) -> dict[str, Any]:
    """Measure logouts of which the Hub tells the server."""
    times = []
    async with alices(3_600) as server:
        for number in range(trials):
            times.append(1000 * await server.refused_after(HubPerson.log_out))
            if number % 10 == 9:
                print(f"{number + 1} of {trials}", file=sys.stderr)
        return {
            "trials": trials,
            "refused_after_ms": percentiles(times),
            "goal": 1000,
            "wrong": server.wrong,
        }


async def by_default(trials: int) -> dict[str, Any]:
    """Measure ends of which nothing tells the server."""
    longest: dict[str, float] = {}
    async with alices(INTERVAL_S) as server:
        hub = server.hub

        def delete_tokens(_bob: HubPerson) -> None:
            for token in hub.api("GET", "users/bob/tokens").json()["api_tokens"]:
                hub.api("DELETE", f"users/bob/tokens/{token['id']}", check=False)

        ways: dict[str, Callable[[HubPerson], Any]] = {
            "token_deleted": delete_tokens,
            "role_removed": lambda _bob: hub.unshare("bob"),
            "user_deleted": lambda _bob: hub.api("DELETE", "users/bob"),
        }
        for way, act in ways.items():
            times = []
            for _ in range(trials):
                times.append(await server.refused_after(act))
                hub.restore()
            longest[way] = round(max(times), 2)
            print(way, file=sys.stderr)
        return {
            "trials_each": trials,
            "interval_s": INTERVAL_S,
            "longest_s": longest,
            "goal_s": INTERVAL_S + 2,
            "wrong": server.wrong,
        }


async def says(socket: KernelSocket, text: str, since: float) -> float:
    """Wait until a cell prints whether the session is degraded; return the seconds since then."""
    while (await socket.execute(DEGRADED, timeout=20)).text.strip() != text:
        if time.perf_counter() - since > PATIENCE_S:
            raise TimeoutError
        await asyncio.sleep(0.05)
    return round(time.perf_counter() - since, 2)


async def outage(seconds: float) -> dict[str, Any]:
    """Measure what the kernel says of a Hub that does not answer."""
    async with alices(INTERVAL_S, own_proxy=False) as server, server.guest() as (_bob, socket):
        start = time.perf_counter()
        server.hub.process.kill()
        server.hub.process.wait()
        try:
            degraded_after = await says(socket, "True", start)
            await asyncio.sleep(max(0.0, seconds - degraded_after))
        finally:
            await asyncio.to_thread(server.hub.start)
        back_after = await says(socket, "False", time.perf_counter())
        return {
            "seconds": seconds,
            "interval_s": INTERVAL_S,
            "degraded_after_s": degraded_after,
            "back_after_s": back_after,
            "goal_back_s": 3,
            "log_lines": server.hub.log_text().count("cannot be validated again"),
            "wrong": server.wrong,
        }


async def measure(trials: int, exits: int, seconds: float) -> dict[str, Any]:
    """Return the figures of the parts that are wanted."""
    results = {}
    if trials:
        results["by_push"] = await by_push(trials)
    if exits:
        results["by_default"] = await by_default(exits)
    if seconds:
        results["outage"] = await outage(seconds)
    return results


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200, help="logouts by push; 0 for none")
    parser.add_argument("--exits", type=int, default=3, help="trials of each other end; 0 for none")
    parser.add_argument("--outage", type=float, default=60, help="seconds; 0 for none")
    args = parser.parse_args()
    if proxy_program() is None:
        raise SystemExit("configurable-http-proxy is missing: make .venv/.proxy")
    report(asyncio.run(measure(args.trials, args.exits, args.outage)))


if __name__ == "__main__":
    main()
