"""Shiny for Python behind uvicorn, with our middleware."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "shiny_py"))

from app_servers import app_server
from cases import OUTCOME, Absent, Gives, Works, change
from drivers.http_app import token_of
from shiny_tabs import tabs_of

APP = Path(__file__).with_name("shiny_app.py")


class _Visit:
    def __init__(self, person, tab, inner):
        self.name = person if person in ("alice", "bob") else "alice"
        self.tab = tab
        self._inner = inner

    async def ask(self, case, other):
        if case == "nested":
            return await self._callback(self._inner, "callback")
        if case in ("page", "first_page", "reload", "processes"):
            page = (await self.tab.page()).partition("who=(")[2].partition(")")[0]
            later = await self._callback(self.tab, "callback")
            return page if page == later else f"{page} on the page, {later} in a callback"
        if case in ("generator", "others_token"):
            return await self._download(self.tab if case == "generator" else other.tab)
        inputs = {"others_document": {"poke": other.name}, "broadcast": {"news": case}}
        if case in (*inputs, "periodic", "outliving"):
            await self.tab.set(**inputs.get(case, {"case": case}))
            return await self.tab.until(case)
        return await self._callback(self.tab, case if case in _OWN else "callback")

    async def _download(self, owner):
        await owner.until("periodic")  # then its session has begun
        text = await self.tab.page(f"session/{owner.session}/download/download")
        return text.strip("[]")

    @staticmethod
    async def _callback(tab, case):
        await tab.set(case=case)
        return await tab.until(case)


_OWN = {"thread", "bound_thread", "pool", "warm", "cache"}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Works(),
    "others_document": Works(),
    "broadcast": Works(),
    "reload": Works(),
    "processes": Works(),
    "warm": Gives("error: not_in_kernel"),
    "reused": Absent("A session of Shiny's is one websocket's."),
    "cache": Gives("error: no_context"),  # a reactive.calc of the module is filled once for all
    "generator": Works(),
    "nested": Works(),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Gives("error: disagreement"),
}


class _Shiny:
    name = "shiny"
    title = "Shiny"
    needs = ("shiny", "uvicorn")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        options = {"reload": ["--reload"], "processes": ["--workers", "2"]}.get(case, [])
        with app_server(
            *(sys.executable, "-m", "uvicorn", "app:site", "--port", "{port}"),
            *("--log-level", "warning", *options),
            files={"app.py": APP.read_text(encoding="utf-8"), "outcome.py": OUTCOME},
            ready="/none",
        ) as server:
            if case == "reload":
                _change(server)
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        login = token_of(person)
        async with (
            tabs_of(server.host, login) as (tab,),
            tabs_of(server.host, login, path="/inner/") as (inner,),
        ):
            visit = _Visit(person, tab, inner)
            await asyncio.gather(tab.open(name=visit.name), inner.open(name=visit.name))
            yield visit


def _change(server):
    """Make uvicorn load the app again, and wait until it has."""
    path = server.log.with_name("app.py")
    text = path.read_text(encoding="utf-8")
    change(path, text.replace("who=", "changed: who="), lambda: "changed: who=" in _page(server))


def _page(server):
    try:
        with server.connect() as connection:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
    except OSError:
        return ""


DRIVER = _Shiny()
