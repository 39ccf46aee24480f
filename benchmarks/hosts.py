"""The package's cost in Voila: page loads with and without us, and calls in cells and callbacks.

    python benchmarks/hosts.py [--quick]

Then a row for each host without a kernel: our call against its own. Prints JSON: medians, and
ratios within this one run. Trust the ratios; the machine is shared. Needs all the hosts.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
import app_hosts
import served_hosts
from local_server import LocalServer, local_server
from support import HERE, person, report, summary

PAGE = "voila/render/page.ipynb"

#: The first lines of most dashboards, and nothing of ours: both servers do the same work.
PLAIN = ("import json, os", "print('<<' + json.dumps({'here': os.getpid()}) + '>>')")

MEASURE = """
import json, os, statistics, timeit
from jupyter_session_user import get_current_user
os.environ["BENCH"] = "x"
def stmt(code, number):
    runs = timeit.repeat(code, globals=globals(), number=number, repeat=7)
    return statistics.median(runs) / number * 1e9
def measure(number=100_000):
    pairs = [[stmt(c, number) for c in ("get_current_user()", "os.environ['BENCH']")]
             for _ in range(3)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    return {"get_current_user_ns": round(ours), "os_environ_ns": round(theirs),
            "ratio": round(ours / theirs, 2), "goal_ratio": 1.0,
            "user": get_current_user().username}
"""
ANSWER = """
def opened(comm, message):
    @comm.on_msg
    def asked(message):
        comm.send(measure())
get_ipython().kernel.comm_manager.register_target("bench", opened)
"""
CALLS = (MEASURE, "print('<<' + json.dumps(measure()) + '>>')", ANSWER)


def notebook(*cells: str) -> str:
    """Return a notebook with these code cells."""
    fields = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {
            "cells": [{**fields, "id": f"cell-{n}", "source": c} for n, c in enumerate(cells)],
            "metadata": {"kernelspec": kernel},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


@contextmanager
def voila(*, ours: bool) -> Iterator[LocalServer]:
    """Run Jupyter Server with Voila, with or without us."""
    extensions = {"voila.server_extension": True, "jupyter_session_user": ours}
    arguments = (
        "--ServerApp.identity_provider_class=support.HeaderIdentity",
        f"--ServerApp.jpserver_extensions={extensions}",
        "--ServerApp.disable_check_xsrf=True",
    )
    files = {"page.ipynb": notebook(*PLAIN), "calls.ipynb": notebook(*CALLS)}
    env = {"PYTHONPATH": f"{HERE}:{HERE.parent}"}
    with local_server(*arguments, files=files, env=env) as running:
        yield running


async def load(running: LocalServer, path: str = PAGE) -> tuple[Any, str, Any]:
    """Load a page with all its cells; return its text, its kernel, and its browser."""
    visitor = person(running, "alice")
    visitor.headers["Accept"] = "text/html"
    response = await visitor.fetch(path)
    text = html.unescape(response.body.decode())
    said = re.search(r"<<(.*?)>>", text)
    kernel = re.search(r'"kernelId": "([^"]+)"', text)
    if said is None or kernel is None:
        raise RuntimeError(f"{path}: {response.code} {text[-300:]}")
    return json.loads(said[1]), kernel[1], visitor


async def page_loads(servers: dict[str, LocalServer], rounds: int) -> dict[str, Any]:
    """Measure page loads on both servers in turns, each first as often as the other.

    Each load starts a kernel of its own; it is ended before the next one is measured.
    """
    times: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(rounds + 2):
        for name in sorted(servers, reverse=bool(number % 2)):
            started = time.perf_counter()
            _, kernel, visitor = await load(servers[name])
            took = (time.perf_counter() - started) * 1e3
            ended = await visitor.fetch(f"api/kernels/{kernel}", method="DELETE")
            if ended.code != HTTPStatus.NO_CONTENT:
                raise RuntimeError(f"the kernel did not end: {ended.code}")
            if number >= 2:  # the first ones fill caches
                times[name].append(took)
    ratios = [one / other for one, other in zip(times["ours"], times["stock"], strict=True)]
    return {
        "ms": {name: summary(values) for name, values in times.items()},
        "ratio_of_medians": round(
            statistics.median(times["ours"]) / statistics.median(times["stock"]), 3
        ),
        "median_ratio_of_pairs": round(statistics.median(ratios), 3),
        "goal_ratio": 1.02,
        "pairs": rounds,
    }


async def callback(visitor: Any, kernel: str) -> dict[str, Any]:
    """Let a comm's callback measure, as a widget's would, over the page's own websocket."""
    socket = await visitor.connect(kernel)
    comm = {"comm_id": "bench", "target_name": "bench", "data": {}}
    await socket.send(socket.message("comm_open", comm))
    asked = await socket.send(socket.message("comm_msg", {"comm_id": "bench", "data": {}}))
    while True:
        message = await socket.receive(asked)
        if message["header"]["msg_type"] == "comm_msg":
            await socket.close()
            answer: dict[str, Any] = message["content"]["data"]
            return answer


async def measure(servers: dict[str, LocalServer], rounds: int) -> dict[str, Any]:
    """Run everything."""
    in_cell, kernel, visitor = await load(servers["ours"], "voila/render/calls.ipynb")
    in_callback = await callback(visitor, kernel)
    return {
        "voila": {
            "call_in_cell": in_cell,
            "call_in_callback": in_callback,
            "page_load": await page_loads(servers, rounds),
        }
    }


def main() -> None:
    """Measure everything, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    rounds = 6 if parser.parse_args().quick else 40
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(voila(ours=ours))
            for name, ours in (("stock", False), ("ours", True))
        }
        rows = asyncio.run(measure(servers, rounds))
    for module in (served_hosts, app_hosts):
        rows.update({name: module.measured(name) for name in module.HOSTS})
    report(rows)


if __name__ == "__main__":
    main()
