"""marimo as ``marimo run`` serves it, mounted in FastAPI behind our middleware."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "marimo"))

from app_servers import app_server
from cases import OUTCOME, Absent, Gives, Works
from marimo_pages import pages_of

APP = Path(__file__).with_name("marimo_app.py")
SHARED = """
from concurrent.futures import ThreadPoolExecutor
from outcome import outcome

POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread begins with nobody
AT_IMPORT = outcome()
"""
SITE = """
import marimo
import shared
from fastapi import FastAPI
from jupyter_session_user import SessionUserMiddleware

LOGINS = {b"session=a": "alice", b"session=b": "bob"}
app = FastAPI()
app.mount("/", marimo.create_asgi_app().with_app(path="", root="notebook.py").build())
app.add_middleware(
    SessionUserMiddleware, user=lambda scope: LOGINS.get(dict(scope["headers"]).get(b"cookie"))
)
"""


class _Visit:
    def __init__(self, page):
        self._page = page

    async def ask(self, case, other):
        page = self._page
        if case in ("callback", "outliving"):
            del page.said["callback"]
            ids = [page.elements["marimo-button"]]
            await page.post("set_ui_element_value", objectIds=ids, values=[1])
            await page.until("callback")
            said = page.said[case]
            return said if isinstance(said, str) else " and ".join(sorted(set(said)))
        if case == "generator":
            answer = await page.call("marimo-lazy", "load")
            return str(answer).partition("who=(")[2].partition(")")[0]
        if case == "periodic":
            del page.said["periodic"]
            ids, values = [page.elements["marimo-refresh"]], ["1m (1)"]
            await page.post("set_ui_element_value", objectIds=ids, values=values)
            await page.until("periodic")
        return page.said[case if case in page.said else "cell"]


WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),  # the browser's mo.ui.refresh sends a request
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Works(),
    "others_document": Absent("A callback belongs to the page that has sent it."),
    "broadcast": Absent("A kernel has one page."),
    "reload": Absent("marimo run serves the file as it was; --watch reloads the page."),
    "processes": Absent("A session's kernel and its page meet in one process."),
    "warm": Gives("error: not_in_kernel"),
    "reused": Absent("marimo run has a session for each page."),
    "cache": Absent("mo.cache is of one session."),
    "generator": Works(),  # functions that the page calls, and their streams
    "nested": Works(),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Absent("Calls over another session are their sender's; see the host's tests."),
}


class _Marimo:
    name = "marimo"
    title = "marimo"
    needs = ("marimo._runtime", "fastapi", "uvicorn")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        files = {"notebook.py": APP.read_text(encoding="utf-8"), "outcome.py": OUTCOME}
        with app_server(
            *(sys.executable, "-m", "uvicorn", "site_app:app", "--port", "{port}"),
            *("--log-level", "warning"),
            files={**files, "shared.py": SHARED, "site_app.py": SITE},
            ready="/health",
        ) as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        cookie = f"session={ {'': 'none', 'forged': 'made-up'}.get(person, person[:1]) }"
        async with pages_of(server.host, cookie) as (page,):
            await page.open()
            await page.until("thread", "periodic")
            yield _Visit(page)


DRIVER = _Marimo()
