"""The cost of a call under ``panel serve`` and ``bokeh serve``, against the host's own call.

    python benchmarks/served_hosts.py

Prints JSON: nanoseconds, measured in the visitor's own page and callback, and the ratio within
this one run. Trust the ratios; the machine is shared. Needs Panel, and the tests' client.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "hosts" / "bokeh")]

import serving  # noqa: E402 - after sys.path
from support import report  # noqa: E402
from tornado.web import create_signed_value  # noqa: E402

GOAL_RATIO = 1.0
APP = """
import json, os, statistics, timeit
import panel as pn
from bokeh.io import curdoc
from bokeh.models import Button
from tornado.web import decode_signed_value
from jupyter_session_user import get_current_user

SECRET = {secret!r}

def bokeh_own():  # what an app of Bokeh's has to do by itself
    cookie = curdoc().session_context.request.cookies["user"]
    return decode_signed_value(SECRET, "user", cookie)

def panel_own():
    return pn.state.user

def timed(function, number=3_000):
    runs = timeit.repeat(function, number=number, repeat=5)
    return statistics.median(runs) / number * 1e9

def measure(where):
    own = {tool}_own
    pairs = [[timed(f) for f in (get_current_user, own)] for _ in range(3)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    line = {{"where": where, "get_current_user_ns": round(ours), "own_ns": round(theirs),
             "ratio": round(ours / theirs, 3), "user": get_current_user().username}}
    with open(os.environ["PROBE_LOG"], "a") as log:
        log.write(json.dumps(line) + "\\n")

measure("page")
button = Button(label="Click")
button.on_click(lambda: measure("callback"))
curdoc().add_root(button)
"""
HOSTS = {"panel": "pn.state.user", "bokeh": "decode_signed_value(…, curdoc()… cookies)"}


async def _visit(server: serving.Server) -> dict[str, Any]:
    cookie = create_signed_value(serving.SECRET, "user", "alice").decode()
    visit = await serving.Visit(server, "bench", cookies={"user": cookie}).open()
    await visit.click("Click")
    lines = [(await server.wait(where=where))[0] for where in ("page", "callback")]
    await serving.leave()
    return {line.pop("where"): line for line in lines}


def measured(tool: str) -> dict[str, Any]:
    """Run one server, and return the measurements of its page and its callback."""
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app.py"
        app.write_text(APP.format(secret=serving.SECRET, tool=tool))
        secret = ("--cookie-secret", serving.SECRET)
        with serving.serve(Path(folder), tool, app, *secret) as server:
            return {"own": HOSTS[tool], **asyncio.run(_visit(server)), "goal_ratio": GOAL_RATIO}


def main() -> None:
    """Measure everything, and print it."""
    report({tool: measured(tool) for tool in HOSTS})


if __name__ == "__main__":
    main()
