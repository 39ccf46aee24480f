"""The package's cost: per message, per call, per import, per session.

    python benchmarks/overhead.py [--quick]

Prints JSON: medians, and ratios within this one run. Trust the ratios; the machine is shared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import timeit
import tracemalloc
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from typing import Any

from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from support import person, report, server, summary

from jupyter_session_user.core.cookies import CookieJar
from jupyter_session_user.core.frames import V1
from jupyter_session_user.core.last_runs import LastRuns
from jupyter_session_user.core.lifecycle import Limits, Moment
from jupyter_session_user.core.login import Login
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.server.auth.ended_logins import EndedLogins
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.server.context import ServerContext
from jupyter_session_user.server.messages.executions import Client, Executions
from jupyter_session_user.server.messages.stdin import Questions
from jupyter_session_user.server.messages.websocket import StampedConnection
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.memory import MemoryStore

BLOCK = 25  # cells in a row on one server

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def record(number: int, kernel_id: str | None) -> Record:
    """Return a record as the server makes them."""
    user = User(f"user-{number}", f"User Number {number}", initials="UN", groups=("one", "two"))
    session = Session(
        f"{number:043}{kernel_id}", user, "jupyter_server", True, kernel_id, NOW, NOW, revision=1
    )
    key = f"{number:064}"
    return Record(session, key, f"user:{user.username}", session_stamp(session), CookieJar())


class Nothing:
    """A connection class that does nothing: the rest is the cost of the mixin."""

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Do nothing."""

    def handle_outgoing_message(self, stream: Any, *rest: Any) -> None:
        """Do nothing."""


class Mixed(StampedConnection, Nothing):
    """The mixin over it, wired as after a handshake."""

    def __init__(
        self, store: MemoryStore, mine: Record, executions: Executions | None = None
    ) -> None:
        ended = EndedLogins(MemoryEnded(), _both_clocks)
        log = logging.getLogger(__name__)
        logins = Logins(store, ended, _both_clocks, Limits(), log)
        logins.saw(Login(mine.key, mine.principal, mine.session.user, verified=True, expiry=None))
        # A message needs no more of it.
        unused: Any = [None] * 4
        kernel: Any = Nothing()
        self.kernel_manager, self.session = kernel, kernel
        kernel.session = ""
        self._context = ServerContext(
            store,
            unused[0],
            logins,
            unused[0],
            *unused,
            Questions(),
            unused[0],
            Executions() if executions is None else executions,
            session_policy="quarantine",
            max_connection_age=None,
            websocket_nodelay=True,
            close=lambda: None,
        )
        self._record = mine
        self._format, self._named_client = V1, Client("k", "s", v1=True)


def _both_clocks() -> Moment:
    return Moment(time.time(), time.monotonic())


def per_message() -> dict[str, Any]:
    """Measure the mixin on one execute_request in v1, and on one reply."""
    header = {
        "msg_id": "0" * 36,
        "session": "0" * 36,
        "username": "",
        "msg_type": "execute_request",
        "version": "5.3",
        "date": "2026-01-01T00:00:00Z",
    }
    content = {"code": "x = 1\n" * 20, "silent": False, "store_history": True}
    metadata = {"deletedCells": [], "recordTiming": False, "cellId": "0" * 36}
    parts = [json.dumps(part).encode() for part in (header, {}, metadata, content)]
    frame = serialize_msg_to_ws_v1(parts, "shell")
    reply = [b"kernel.0.stream.stdout", b"<IDS|MSG>", b"0" * 64, parts[0], parts[0], b"{}", b"{}"]
    store, mine = MemoryStore(10), record(1, "k")
    store.put(mine)
    afterwards: deque[Callable[[], None]] = deque(maxlen=1)
    executions = Executions(runs=LastRuns(), later=afterwards.append)
    bare, mixed = Nothing(), Mixed(store, mine, executions)
    # The event loop looks after each message; here, only the latest one waits.
    executions._sent = deque(maxlen=1)  # noqa: SLF001
    incoming = [best(partial(c.handle_incoming_message, frame)) for c in (bare, mixed)]
    outgoing = [best(partial(c.handle_outgoing_message, None, reply)) for c in (bare, mixed)]
    look = afterwards.pop()

    def send_and_look() -> None:
        mixed.handle_incoming_message(frame)
        look()

    later = best(send_and_look)
    return {
        "to_kernel_us": round((incoming[1] - incoming[0]) * 1e6, 2),
        "after_it_has_left_us": round((later - incoming[1]) * 1e6, 2),
        "to_browser_us": round((outgoing[1] - outgoing[0]) * 1e6, 2),
        "goal_to_kernel_us": 3,
        "os_environ_us": round(best(partial(os.environ.get, "HOME")) * 1e6, 2),
    }


def best(call: Any, number: int = 20_000) -> float:
    """Return the median of five runs, in seconds per call."""
    return statistics.median(timeit.repeat(call, number=number, repeat=5)) / number


def memory(count: int = 5000) -> dict[str, Any]:
    """Measure the memory of a session in the store: its record, and its share of the login's."""
    tracemalloc.start()
    store = MemoryStore(10 * count)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        store.put(record(number, "0" * 36))
    used = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()
    return {"bytes_per_session": round(used), "goal": 2048}


def imports() -> dict[str, Any]:
    """Measure the import in a new process, less Python's own share."""
    code = (
        "import time; started = time.perf_counter(); import jupyter_session_user;"
        "print(time.perf_counter() - started)"
    )
    stdlib = "import dataclasses, inspect, json, datetime, threading, contextlib, typing;"
    alone, beside = ([run_python(c) * 1e3 for _ in range(15)] for c in (code, stdlib + code))
    return {"plain_process": summary(alone), "where_stdlib_is_loaded": summary(beside)}


def run_python(code: str) -> float:
    """Return the number that a new Python process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return float(done.stdout)


FIRST_CELL = """
import json, os, statistics, timeit
from jupyter_session_user import get_current_user
os.environ["BENCH"] = "x"
def stmt(code, number):
    runs = timeit.repeat(code, globals=globals(), number=number, repeat=7)
    return statistics.median(runs) / number * 1e9
def measured(number=200_000):
    codes = "get_current_user()", "os.environ['BENCH']"
    pairs = [[stmt(code, number) for code in codes] for _ in range(3)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    return json.dumps({"get_current_user_ns": round(ours), "os_environ_ns": round(theirs),
                       "ratio": round(ours / theirs, 2), "goal_ratio": 1.0})
print(measured(2_000))
"""

BUTTON = """
from ipywidgets import Button
button = Button()
button.on_click(lambda _: globals().update(found=measured()))
print(button.model_id)
"""
CLICK = {"method": "custom", "content": {"event": "click"}}

IMPORT = """
import time
started = time.perf_counter()
import jupyter_session_user
print((time.perf_counter() - started) * 1e3)
"""

FIRST_COOKIES = """
import time
from jupyter_session_user import get_cookies
started = time.perf_counter()
get_cookies()
print((time.perf_counter() - started) * 1e3)
"""


async def in_kernel(url_owner: Any, count: int) -> dict[str, Any]:
    """Measure calls from inside cells: the user's, and the first cookies of new sessions."""
    one = person(url_owner, "alice")
    kernel = await one.start_kernel()
    socket = await one.connect(kernel)
    # The cell that imports is attributed in a slower way than all later ones.
    first_cell = json.loads((await socket.execute(FIRST_CELL)).text)
    call = json.loads((await socket.execute("print(measured())")).text)
    model_id = (await socket.execute(BUTTON)).text.strip()
    await socket.send(socket.message("comm_msg", {"comm_id": model_id, "data": CLICK}))
    callback = json.loads((await socket.execute("print(found)")).text)
    first = []
    for number in range(count):
        visitor = person(url_owner, f"visitor-{number}")
        visitor.cookies["theme"] = "dark"
        theirs = await visitor.connect(kernel)
        first.append(float((await theirs.execute(FIRST_COOKIES)).text))
        await theirs.close()
    return {
        "call": call,
        "call_in_importing_cell": first_cell,
        "callback": callback,
        "first_get_cookies_ms": {**summary(first), "goal": 5},
    }


async def kernel_imports(running: Any, count: int = 5) -> dict[str, float]:
    """Measure the import in fresh kernels, with the helper's installation."""
    one, times = person(running, "alice"), []
    for _ in range(count):
        socket = await one.connect(await one.start_kernel())
        times.append(float((await socket.execute(IMPORT)).text))
    return summary(times)


async def round_trips(servers: dict[str, Any], count: int) -> dict[str, Any]:
    """Measure a trivial cell on all servers in turns, so that noise hits all alike."""
    sockets = {}
    for name, running in servers.items():
        one = person(running, "alice")
        sockets[name] = await one.connect(await one.start_kernel())
        sockets[name].connection.protocol.stream.set_nodelay(True)
    times: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(count // BLOCK):
        for name, socket in sockets.items():
            times[name] += await block(socket)
    return compare(times)


async def kernel_starts(servers: dict[str, Any], count: int) -> dict[str, Any]:
    """Measure the time from asking for a kernel to the reply of its first cell, in turns."""
    pair = {name: servers[name] for name in ("stock_nodelay", "ours")}
    times: dict[str, list[float]] = {name: [] for name in pair}
    for number in range(count):
        for name in sorted(pair, reverse=bool(number % 2)):
            one = person(pair[name], "alice")
            started = time.perf_counter()
            kernel = await one.start_kernel()
            socket = await one.connect(kernel)
            await socket.execute("1")
            times[name].append((time.perf_counter() - started) * 1e3)
            await socket.close()
            await one.fetch(f"api/kernels/{kernel}", method="DELETE")
    ratios = [ours / stock for stock, ours in zip(*times.values(), strict=True)]
    return {
        "ms": {name: summary(values) for name, values in times.items()},
        "median_ratio_of_pairs": round(statistics.median(ratios), 3),
        "goal_ratio": 1.05,
    }


async def block(socket: Any) -> list[float]:
    """Return the times of some cells in a row, in ms.

    In a row: a connection that was idle for a while gets its acknowledgements at once, and then
    does not show the cost of Nagle's algorithm for an active user.
    """
    times = []
    for _ in range(BLOCK):
        started = time.perf_counter()
        await socket.execute("1")
        times.append((time.perf_counter() - started) * 1e3)
    return times


def compare(times: dict[str, list[float]]) -> dict[str, Any]:
    """Return medians and the ratios that the goals speak of."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "ms": {name: summary(values) for name, values in times.items()},
        "ratio_both_nodelay": round(middle["ours"] / middle["stock_nodelay"], 3),
        "goal_both_nodelay": 1.02,
        "ratio_both_default": round(middle["ours"] / middle["stock"], 3),
        "goal_both_default": "below 1",
        "ratio_both_without_nodelay": round(middle["ours_without_nodelay"] / middle["stock"], 3),
    }


async def with_servers(servers: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Run the measurements that need servers."""
    return {
        "import_in_kernel_ms": {**await kernel_imports(servers["ours"]), "goal": 10},
        "in_kernel": await in_kernel(servers["ours"], max(5, rounds // 10)),
        "round_trip": await round_trips(servers, rounds),
        "kernel_start": await kernel_starts(servers, max(4, rounds // 15)),
    }


def main() -> None:
    """Measure everything, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    rounds = 50 if parser.parse_args().quick else 300
    kinds = {
        "stock": {"ours": False, "nodelay": False},
        "stock_nodelay": {"ours": False, "nodelay": True},
        "ours": {"ours": True, "nodelay": True},
        "ours_without_nodelay": {"ours": True, "nodelay": False},
    }
    result = {"per_message": per_message(), "import_ms": imports(), "memory": memory()}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(server(**kind)) for name, kind in kinds.items()}
        result.update(asyncio.run(with_servers(servers, rounds)))
    report(result)


if __name__ == "__main__":
    main()
