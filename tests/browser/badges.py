"""Cells of a notebook, who runs them, and the badges beside them."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from pathlib import Path

from agents import AGENTS, Agent
from forged_runs import FORGE

ALICE, BOB = r"Alice Adams \(alice\)", r"Bob Brown \(bob\)"
CELLS = (
    "import statistics\n\nsales = [120, 95, 143, 87]\nstatistics.mean(sales)",
    "from jupyter_session_user import get_current_user\n\nprint('by', get_current_user())",
    "max(sales)",
    "1 / 0",
    FORGE,
)
MAKE_AGENT = """async ([path, name]) => {
    const {baseUrl} = jupyterapp.serviceManager.serverSettings;
    const token = document.cookie.match(/_xsrf=([^;]*)/)[1];
    const headers = {'Content-Type': 'application/json', 'X-XSRFToken': token};
    const body = JSON.stringify({name});
    return (await fetch(baseUrl + path, {method: 'POST', headers, body})).json();
}"""
WRITE = """code => jupyterapp.shell.currentWidget.content.widgets[4].model.sharedModel
    .setSource(code)"""
KEPT = """index => jupyterapp.shell.currentWidget.content.widgets[index].model
    .getMetadata('jupyter_session_user')"""


def badge(desk, index):
    """The badge of a cell."""
    notebook = desk.page.locator(".jp-Notebook:visible")
    return notebook.locator(f".jp-Cell[data-windowed-list-index='{index}'] .jp-SessionUser-run")


def says(who):
    """Return what the name of a badge must match."""
    return re.compile(rf"^Run by {who} at \d\d:\d\d, took ")


def agent_acts(desk, office, cell, code):
    """Let a new agent of the person at this desk run a cell on the kernel of the notebook."""
    model = desk.page.evaluate(MAKE_AGENT, [AGENTS, "Helper"])
    kernel = desk.kernel()

    async def act() -> None:
        socket = await Agent(office.url, model).connect(kernel)
        await socket.execute(code, {"cellId": cell})
        await socket.close()

    # Playwright has a loop in this thread.
    thread = threading.Thread(target=asyncio.run, args=(act(),))
    thread.start()
    thread.join()


def picture(desk, name):
    """Save a picture of the window, if somebody wants to look at it."""
    directory = os.environ.get("SCREENSHOTS")
    if directory:
        desk.page.screenshot(path=Path(directory, f"{name}.png"), animations="disabled")
