"""Visitors of Bokeh's and Panel's servers: shared code of the drivers."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

from app_servers import ROOT, eventually
from cases import OUTCOME
from tornado.web import create_signed_value

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "bokeh"))

import serving  # noqa: E402 - the path above leads there

__all__ = [
    "HERE",
    "LOGIN",
    "SHARED",
    "Visit",
    "change",
    "load",
    "serve",
    "serving",
    "signed_in",
    "visiting",
]

#: The server accepts only a cookie ``user`` with its signature.
LOGIN = ("--cookie-secret", serving.SECRET)
#: For the apps: state that all visitors of a process share, since each page reruns the script.
SHARED = """
import json, os, threading, warnings
from concurrent.futures import ThreadPoolExecutor
from outcome import outcome
from jupyter_session_user import SharedResultWarning

version = 1
documents = {}
pool = ThreadPoolExecutor(1)
pool.submit(int).result()  # its only thread begins with nobody
tasks = []
one_at_a_time = threading.Lock()

def say(tag, where, by=""):
    line = {"tag": tag, "where": where, "by": by, "user": outcome(), "version": version}
    write(line)

def write(line):
    with open(os.environ["PROBE_LOG"], "a") as log:
        log.write(json.dumps(line) + "\\n")

def warned():
    # "warning" if it warns to ask here
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        who = outcome()
    return "warning" if any(w.category is SharedResultWarning for w in seen) else who
"""


class Visit:
    """One page; it is open together with other pages, and returns the app's lines about itself."""

    def __init__(self, page):
        self.page = page
        self._opening = asyncio.ensure_future(page.open())

    @property
    def tag(self):
        """Return the app's lines about this page."""
        return self.page.tag

    async def ask(self, case, other):
        """Do the case, and return the outcome."""
        await asyncio.gather(self._opening, other._opening)
        steps = getattr(self, f"_{case}", None)
        if steps is not None:
            return await steps(other)
        if case in _OF_CALLBACK:
            await self.page.click(case)
            return await self._said(case)
        return await self._of_page_and_callback()

    async def _said(self, where, tag=None, **more):
        return await self.page.server.user(tag=tag or self.tag, where=where, **more)

    async def _of_page_and_callback(self):
        await self.page.click("callback")
        return _one([await self._said("page"), await self._said("callback")])

    async def _page(self, _other):
        return await self._said("page")

    async def _first_page(self, _other):
        return await self._said("page")

    async def _periodic(self, _other):
        lines = await self.page.server.wait(2, tag=self.tag, where="periodic")
        return _one([line["user"] for line in lines])

    async def _others_document(self, other):
        await other.page.click("others_document")
        return await self._said("others_document", by=other.tag)

    async def _broadcast(self, other):
        await self.page.click("broadcast")
        return _one([await self._said("broadcast", by=tag) for tag in (self.tag, other.tag)])

    async def _warm(self, _other):
        return await self._said("warm", "in advance")

    async def _others_token(self, other):
        headers, cookies = self.page.headers, dict(self.page.cookies)
        thief = serving.Visit(self.page.server, f"{self.tag} steals", headers, cookies)
        await thief.connect(other.page.token)
        await thief.click("others_token")
        return await self._said("others_token", other.tag)


_OF_CALLBACK = frozenset(
    {"callback", "thread", "bound_thread", "pool", "outliving", "generator", "cache", "nested"}
)
#: Number of reports from an app's periodic callback, one every 100 ms.
TICKS = 8
_numbers = iter(range(100_000))


def _one(outcomes):
    """Return the outcome if all are the same, else all of them."""
    return "|".join(sorted(set(outcomes)))


def signed_in(server, person):
    """Return a page with the cookie that the server's login form gives."""
    secret = "another secret" if person == "forged" else serving.SECRET
    signed = create_signed_value(secret, "user", person or "-").decode()
    cookies = {"user": signed} if person else {}
    return serving.Visit(server, f"{person} {next(_numbers)}", cookies=cookies)


@asynccontextmanager
async def visiting(page):
    """Open a page for as long as the block lasts."""
    visit = Visit(page)
    try:
        yield visit
    finally:
        visit._opening.cancel()
        await serving.leave()


@contextmanager
def serve(folder, tool, app, *arguments, before="", **files):
    """Run ``bokeh serve`` or ``panel serve`` with an app.

    Args:
        folder: For its files.
        tool: ``bokeh`` or ``panel``.
        app: The file of the app; it is copied to a folder.
        arguments: Further ones.
        before: A script to run instead of the server.
        files: Further modules of the app, without ``.py``.
    """
    home, library = folder / "app", folder / "library"
    texts = {home: {"main": app.read_text(encoding="utf-8"), **files}}
    texts[library] = {"outcome": OUTCOME, "shared": SHARED}
    for place, modules in texts.items():
        place.mkdir()
        for name, text in modules.items():
            (place / f"{name}.py").write_text(text, encoding="utf-8")
    paths = os.pathsep.join([str(ROOT), str(library)])
    if before:
        port = serving.free_port()
        command = [sys.executable, str(before), str(port), str(home / "main.py"), *arguments]
        url, log = f"http://localhost:{port}", folder / "said"
        with serving.running(command, url, log, folder / "output", PYTHONPATH=paths) as server:
            server.path = "/main"
            yield server
        return
    target = home if "server_lifecycle" in files else home / "main.py"
    with serving.serve(folder, tool, target, *arguments, PYTHONPATH=paths) as server:
        yield server


def load(server, person, tag):
    """Load a page and leave at once; return whether the server answered."""
    page = signed_in(server, person)
    connection = HTTPConnection(server.url.rpartition("/")[2], timeout=60)
    with closing(connection), suppress(OSError, HTTPException):  # while the server restarts
        path = f"{server.path}?{urlencode({'tag': tag})}"
        connection.request("GET", path, headers=page._headers())
        return bool(connection.getresponse().read())
    return False


def change(server, folder):
    """Change the app's file and a library of it, and wait until the server runs the new ones."""
    assert load(server, "carol", "before")
    # Tornado checks every 500 ms, and ignores a change before its first check.
    eventually(lambda: len(server.said(where="periodic", tag="before")) >= TICKS)
    for path, old, new in (
        (folder / "app" / "main.py", "import ", "changed = 1\nimport "),
        (folder / "library" / "shared.py", "version = 1", "version = 2"),
    ):
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    eventually(lambda: load(server, "carol", "after") and server.said(tag="after", version=2))
