"""How long after a logout at JupyterHub is an open kernel websocket refused?

    python benchmarks/hub.py [--trials 200]

A real Hub with configurable-http-proxy. Bob is a guest on alice's server. The server asks the Hub
about open logins once an hour, so that only the Hub's own message can end bob's login. Each trial
logs bob in with a new browser, opens a websocket to alice's kernel, logs bob out, and sends cells
until one is refused. Alice runs a cell after each trial. ``wrong`` counts cells with another user
than the sender.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import _paths  # noqa: F401 - for what comes from the tests
from hub import Hub, HubPerson, hub_running, proxy_program
from people import KernelSocket
from support import percentiles, report

WHO = "from jupyter_session_user import get_current_user; print(get_current_user().username)"
HOUR = "--JupyterSessionUser.revalidate_interval=3600"
PATIENCE_S = 30.0


async def refused_after(hub: Hub, kernel_id: str) -> tuple[float, bool]:
    """Return the seconds from bob's logout to the first refused cell, and if bob was bob before."""
    bob = await asyncio.to_thread(HubPerson(hub, "bob").enter)
    socket = await bob.connect(kernel_id)
    right = (await socket.execute(WHO)).text.strip() == "bob"
    start = time.perf_counter()
    leaving = asyncio.create_task(asyncio.to_thread(bob.log_out))
    while not (await socket.execute("pass")).errors:
        if time.perf_counter() - start > PATIENCE_S:
            raise TimeoutError
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - start
    await leaving
    await socket.close()
    bob.browser.close()
    return seconds, right


async def is_alice(socket: KernelSocket) -> bool:
    """Tell whether alice's cell has alice."""
    return (await socket.execute(WHO)).text.strip() == "alice"


async def measure(hub: Hub, trials: int) -> dict[str, object]:
    """Return the figures."""
    alice = await asyncio.to_thread(HubPerson(hub, "alice").enter)
    kernel_id = await alice.start_kernel()
    socket = await alice.connect(kernel_id)
    times, wrong = [], 0
    for number in range(trials):
        seconds, right = await refused_after(hub, kernel_id)
        times.append(1000 * seconds)
        wrong += (not right) + (not await is_alice(socket))
        if number % 10 == 9:
            print(f"{number + 1} of {trials}", file=sys.stderr)
    await socket.close()
    alice.browser.close()
    return {"trials": trials, "refused_after_ms": percentiles(times), "goal": 1000, "wrong": wrong}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    if proxy_program() is None:
        raise SystemExit("configurable-http-proxy is missing: make .venv/.proxy")
    with tempfile.TemporaryDirectory() as name, hub_running(Path(name), HOUR) as hub:
        report(asyncio.run(measure(hub, trials)))


if __name__ == "__main__":
    main()
