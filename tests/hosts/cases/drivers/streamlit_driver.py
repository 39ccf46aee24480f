"""Streamlit as ``streamlit run`` serves it, with a platform's cookie."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "streamlit"))

from app_servers import app_server, platform_cookie
from cases import OUTCOME, Absent, Gives, Works
from tabs import ScriptError, tabs_of

import jupyter_session_user

APP = Path(__file__).with_name("streamlit_app.py")
PACKAGE = str(Path(jupyter_session_user.__file__).parent)
SHARED = """
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread begins with nobody

import threading
import warnings
from outcome import outcome
from jupyter_session_user import SharedResultWarning

ONE_AT_A_TIME = threading.Lock()

def warned():
    # "warning" if asking here warns
    with ONE_AT_A_TIME, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        who = outcome()
    return "warning" if any(w.category is SharedResultWarning for w in seen) else who
"""


class _Visit:
    def __init__(self, server, tab):
        self._server = server
        self._tab = tab

    async def ask(self, case, other):
        tab = self._tab
        for button in _BUTTONS.get(case, ()):
            await tab.run(button=button)
        if case == "reload":
            path = self._server.log.with_name("app.py")
            text = path.read_text(encoding="utf-8")
            if '"old"' in text:
                new = path.with_name("new.py")  # the server never loads a half of the file
                new.write_text(text.replace('"old"', '"new"'), encoding="utf-8")
                new.replace(path)
            await asyncio.wait_for(_new_version(tab), 60)
        return tab.said[case if case in tab.said else "page"]


async def _new_version(tab):
    while tab.said["version"] != "new":
        await _run(tab)


async def _run(tab):
    """Run the script.

    Streamlit's file watcher takes the app's modules out of sys.modules, also while a run imports
    one of them. That import fails, and the next run is right.
    """
    try:
        await tab.run()
    except ScriptError as error:
        text = str(error)
        removed = "KeyError" in text and "_find_and_load" in text
        if not removed and "partially initialized module" not in text:
            raise


_BUTTONS = {"callback": ["press"], "periodic": ["tick"], "outliving": ["begin", "end"]}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),  # the browser's timer has the fragment run
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Works(),  # a thread that add_script_run_ctx gave the run's context
    "others_document": Absent("A run belongs to its own tab."),
    "broadcast": Absent("A run belongs to its own tab."),
    "reload": Works(),
    "processes": Absent("streamlit run is one process."),
    "warm": Absent("Streamlit runs nothing before the first visitor."),
    "reused": Absent("Each run has its own visitor; the host's tests take a session over."),
    "cache": Gives("warning"),
    "generator": Works(),
    "nested": Absent("Streamlit has a server of its own."),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Absent("A session's id is of no use without its connection."),
}


class _Streamlit:
    name = "streamlit"
    title = "Streamlit"
    needs = ("streamlit.runtime",)
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        files = {"app.py": APP.read_text(encoding="utf-8"), "outcome.py": OUTCOME}
        with app_server(
            *(sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "{port}"),
            *("--server.address", "127.0.0.1", "--server.headless", "true"),
            *("--browser.gatherUsageStats", "false", "--server.fileWatcherType", "poll"),
            # As site-packages, where a wheel installs it: Streamlit reloads everything else.
            *("--server.folderWatchBlacklist", PACKAGE),
            files={**files, "shared.py": SHARED},
            ready="/_stcore/health",
        ) as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        made_up = {"": "", "forged": "_streamlit_user=made-up"}
        cookie = made_up[person] if person in made_up else platform_cookie(person)
        async with tabs_of(server.host, cookie) as (tab,):
            await tab.open()
            yield _Visit(server, tab)


DRIVER = _Streamlit()
