"""What the extension costs a server, as ratios to the same server without it.

    python benchmarks/costs.py [--quick] [part ...]

Parts: ``http``, ``from_kernel``, ``buffers``, ``connections``, ``idle``. CPU time is the server
process's own (user and system), so the clients and the kernels do not count. Both servers start
alike, and their rounds alternate. Each number is the best of its rounds. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import _paths  # noqa: F401 - for what comes from the tests
from local_server import LocalServer
from people import KernelSocket, Person
from servers import DEMO, PASSWORDS
from support import BY_HEADER, person, report, server

MIB = 2**20
FLAGS = (
    f"--ServerApp.tornado_settings={{'websocket_max_message_size': {200 * MIB}}}",
    "--ZMQChannelsWebsocketConnection.limit_rate=False",
)
HTTP_PATHS = ("api/kernels", "api/me", "static/favicons/favicon.ico")


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time that a process has used, without its children.

    In nanoseconds where /proc counts in hundredths of a second: the clock that Linux gives for
    another process, see clock_getcpuclockid(3).
    """
    return time.clock_gettime((~process.pid << 3) | 2)


def compared(best: dict[str, float], **more: Any) -> dict[str, Any]:
    """Return the results of both servers, and ours as a ratio."""
    shown = {name: float(f"{value:.4g}") for name, value in best.items()}
    return {**shown, "ratio": round(best["ours"] / best["stock"], 3), **more}


@contextmanager
def both(*flags: str, identity: Sequence[str] = BY_HEADER) -> Iterator[dict[str, LocalServer]]:
    """Run the two servers."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                server(*FLAGS, *flags, ours=name == "ours", nodelay=True, identity=identity)
            )
            for name in ("stock", "ours")
        }


async def best_of(rounds: int, measure: Callable[[str], Awaitable[float]]) -> dict[str, float]:
    """Measure both servers in turns, and return the lowest result of each."""
    results: dict[str, list[float]] = {"stock": [], "ours": []}
    for _ in range(rounds):
        for name, values in results.items():
            values.append(await measure(name))
    return {name: min(values) for name, values in results.items()}


# -------------------------------------------------------------------------------------- HTTP


class Client:
    """A browser's connection that stays open, which costs the server least."""

    def __init__(self, running: LocalServer, headers: dict[str, str]) -> None:
        parts = urlsplit(running.url)
        self._process = running.process
        self._headers = headers
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def get(self, path: str) -> None:
        """Send a request, and read the answer."""
        self._connection.request("GET", f"/{path}", headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status}")

    async def cpu_us(self, path: str, count: int) -> float:
        """Return the server's CPU time for one of many requests."""
        before = cpu_s(self._process)
        for _ in range(count):
            self.get(path)
        return (cpu_s(self._process) - before) / count * 1e6


async def signed_in(running: LocalServer) -> dict[str, str]:
    """Return the headers of a browser after its login."""
    alice = Person(running.url)
    await alice.log_in(PASSWORDS["alice"], "alice")
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in alice.cookies.items())}


async def http_requests(rounds: int, count: int) -> dict[str, Any]:
    """Measure authenticated requests: named by a proxy's header, and by a login cookie.

    Many short rounds: what disturbs a machine for seconds then spoils a few rounds, not all.
    """
    result: dict[str, Any] = {"goal_ratio": 1.05}
    for kind, identity in (("header", BY_HEADER), ("cookie", DEMO)):
        with both(identity=identity) as servers:
            clients = {}
            for name, running in servers.items():
                by_cookie = kind == "cookie"
                shown = await signed_in(running) if by_cookie else {"X-User": "alice"}
                clients[name] = Client(running, shown)
            for path in HTTP_PATHS:
                best = await best_of(rounds, partial(cpu_us_of, clients, path, count))
                result[f"{path} by {kind}, us"] = compared(best)
    return result


def cpu_us_of(clients: dict[str, Client], path: str, count: int, name: str) -> Awaitable[float]:
    """Measure one server's requests."""
    return clients[name].cpu_us(path, count)


# ---------------------------------------------------------------------------------- websockets


#: ZMQ drops messages that a slow reader lets pile up to a thousand: a cell sends fewer.
BATCH = 500
MANY = f"""
for _ in range({BATCH}):
    get_ipython().display_pub.publish({{"text/plain": "x"}})
"""


async def from_kernel(rounds: int, count: int) -> dict[str, Any]:
    """Measure messages of a kernel that go to one browser."""
    with both() as servers:
        sockets = {name: await one_socket(running) for name, running in servers.items()}

        async def cpu_us(name: str) -> float:
            before, arrived = cpu_s(servers[name].process), 0
            while arrived < count:
                arrived += len((await sockets[name].execute(MANY)).messages)
                sockets[name].everything.clear()
            return (cpu_s(servers[name].process) - before) / arrived * 1e6

        best = await best_of(rounds, cpu_us)
        return {"cpu_us_per_message": compared(best), "messages": rounds * count, "goal": 1.02}


async def one_socket(running: LocalServer) -> KernelSocket:
    """Return an open websocket to a new kernel."""
    alice = person(running, "alice")
    return await alice.connect(await alice.start_kernel())


SINK = """
import comm
comm.get_comm_manager().register_target("sink", lambda comm, message: None)
"""
COMM = {"comm_id": "1", "data": {}}


async def buffers(rounds: int, mib: int = 95) -> dict[str, Any]:
    """Measure a message to a kernel with one large buffer."""
    with both() as servers:
        sockets = {name: await one_socket(running) for name, running in servers.items()}
        for socket in sockets.values():
            await socket.execute(SINK)
            await socket.send(socket.message("comm_open", {**COMM, "target_name": "sink"}))
        seconds: dict[str, list[float]] = {name: [] for name in servers}

        async def used(name: str) -> float:
            before, started = cpu_s(servers[name].process), time.perf_counter()
            message = {**sockets[name].message("comm_msg", COMM), "buffers": [bytes(mib * MIB)]}
            msg_id = await sockets[name].send(message)
            while (await sockets[name].receive(msg_id))["content"].get("execution_state") != "idle":
                pass
            sockets[name].forget(msg_id)
            seconds[name].append(time.perf_counter() - started)
            return cpu_s(servers[name].process) - before

        cpu = await best_of(rounds, used)
        rates = {name: mib / min(values) for name, values in seconds.items()}
        return {"cpu_s": compared(cpu), "mib_per_s": compared(rates, goal_ratio=0.98)}


def resident_mib(process: subprocess.Popen[bytes]) -> float:
    """Return the memory that a process has in use, as the resident set; see proc(5)."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


async def connections(count: int) -> dict[str, Any]:
    """Measure the memory of open websockets, each of another user, on one kernel."""
    with both() as servers:
        used = {}
        for name, running in servers.items():
            owner = person(running, "alice")
            kernel = await owner.start_kernel()
            await owner.connect(kernel)
            before = resident_mib(running.process)
            sockets = [await person(running, f"user-{n}").connect(kernel) for n in range(count)]
            used[name] = (resident_mib(running.process) - before) * 1_000 / count
            for socket in sockets:
                await socket.close()
    return {"mib_per_1000": compared(used), "connections": count}


# ---------------------------------------------------------------------------------- at rest


def idle(logins: int, seconds: float) -> dict[str, Any]:
    """Measure a server with many known logins and no open websocket."""
    with both(f"--JupyterSessionUser.max_sessions={2 * logins}") as servers:
        for running in servers.values():
            client = Client(running, {})
            for number in range(logins):
                client._headers = {"X-User": f"user-{number}"}  # noqa: SLF001
                client.get("api/me")
        time.sleep(5)  # what the requests left to do is done
        before = {name: cpu_s(running.process) for name, running in servers.items()}
        time.sleep(seconds)
        used = {name: cpu_s(servers[name].process) - then for name, then in before.items()}
    shares = {name: round(100 * value / seconds, 2) for name, value in used.items()}
    return {"percent_of_a_core": shares, "logins": logins, "goal": "as stock"}


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_args()
    rounds = 3 if options.quick else 7
    parts: dict[str, Callable[[], Any]] = {
        "http": lambda: asyncio.run(http_requests(5 * rounds, 60 if options.quick else 200)),
        "from_kernel": lambda: asyncio.run(
            from_kernel(rounds, (20_000 if options.quick else 100_000) // rounds)
        ),
        "buffers": lambda: asyncio.run(buffers(rounds)),
        "connections": lambda: asyncio.run(connections(100 if options.quick else 500)),
        "idle": lambda: idle(10_000, 10 if options.quick else 30),
    }
    report({name: parts[name]() for name in options.parts or parts})


if __name__ == "__main__":
    main()
