"""Solara: work that a page's code may start, and work that must not count as a page's code."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
from app_servers import WHO, app_server, eventually
from solara_pages import solara_page

HERE = Path(__file__).parent
PEOPLE = ("alice", "bob")
NOBODY = "nobody: no_context"
OWN = {person: f"{person} verified by solara" for person in PEOPLE}


@contextmanager
def serving(mode, **env):
    """Run the app."""
    pytest.importorskip("solara")
    pytest.importorskip("aiohttp")
    command = ("-m", "uvicorn", "app:server", "--port", "{port}", "--log-level", "warning")
    if mode == "flask":
        pytest.importorskip("flask_sock")
        command = ("app.py",)
    files = {
        "app.py": (HERE / "solara_app.py").read_text(encoding="utf-8"),
        "page.py": (HERE / "solara_page.py").read_text(encoding="utf-8"),
        "who.py": WHO,
    }
    env = {"MODE": mode, "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "False", **env}
    with app_server(sys.executable, *command, files=files, env=env, ready="/readyz") as server:
        yield server


@pytest.fixture(scope="module")
def server():
    """Run the app with the middleware around it."""
    with serving("starlette") as running:
        yield running


class Both:
    """A page of each of two visitors."""

    def __init__(self, pages):
        self.pages = pages

    def other(self, person):
        """Return the other visitor's page."""
        return next(page for name, page in self.pages.items() if name != person)

    async def click(self, case):
        """Return each page's answer to a click, at the same time."""

        async def one(person):
            await self.pages[person].click([case, self.other(person).kernel])
            return await self.pages[person].said(case)

        return dict(zip(PEOPLE, await asyncio.gather(*map(one, PEOPLE)), strict=True))

    async def said(self, case):
        """Return each page's output without a click."""
        return {person: await page.said(case) for person, page in self.pages.items()}


class Opened:
    """Opens both pages, and closes them."""

    def __init__(self, server):
        self._server = server
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        pages = {}
        for person in PEOPLE:
            page = solara_page(self._server, person)
            pages[person] = await self._stack.enter_async_context(page)
            await pages[person].start()
        await asyncio.gather(*(page.said("page") for page in pages.values()))
        return Both(pages)

    async def __aexit__(self, *_):
        await self._stack.aclose()


async def test_the_visitors_own_code(server):
    """The page, a task of Solara, a click, and the effects of a changed variable."""
    async with Opened(server) as both:
        assert await both.said("page") == OWN
        assert await both.said("use_task") == OWN
        assert await both.click("now") == OWN
        assert await both.click("on_change") == OWN


@pytest.mark.parametrize("case", ["executor", "thread_pool", "to_thread", "outside"])
async def test_threads_of_pools_name_no_visitor(server, case):
    """A click of the first visitor makes the pool; its threads also serve the next visitor."""
    async with Opened(server) as both:
        assert await both.click(case) == dict.fromkeys(PEOPLE, NOBODY)


async def test_async_with_is_the_context_it_enters(server):
    """The context counts only for the task that enters it."""
    async with Opened(server) as both:
        found = await both.click("async_with")
        for person in PEOPLE:
            theirs = OWN[next(name for name in PEOPLE if name != person)]
            assert found[person][0] == [theirs, theirs]
            assert found[person][1] in {OWN[person], NOBODY}


async def test_a_coroutine_that_waits_in_another_context_lends_it_to_no_click(server):
    """Solara sets the other visitor's context for the whole thread meanwhile."""
    async with Opened(server) as both:
        alice, bob = both.pages["alice"], both.pages["bob"]
        await alice.click(["wait_elsewhere", bob.kernel])
        await alice.click(["after_waiting", bob.kernel])
        assert await alice.said("after_waiting") == NOBODY


async def test_flask():
    """The middleware's function reads the request, which is available when the websocket opens."""
    with serving("flask") as server:
        async with Opened(server) as both:
            assert await both.said("page") == OWN
            assert await both.said("use_task") == OWN
            assert await both.click("now") == OWN


async def test_all_visitors_in_one_thread():
    """With SOLARA_KERNEL_THREADED off, Solara identifies contexts by its own ContextVar."""
    with serving("starlette", SOLARA_KERNEL_THREADED="False") as server:
        async with Opened(server) as both:
            assert await both.said("page") == OWN
            assert await both.click("now") == OWN


async def test_without_a_middleware_the_error_says_what_to_do():
    """Solara's kernels are not Jupyter's, and this is no notebook without a server."""
    with serving("nothing") as server:
        async with Opened(server) as both:
            assert await both.click("now") == dict.fromkeys(PEOPLE, "nobody: not_in_kernel")


async def test_the_same_visitor_may_come_back(server):
    """A page that lost its connection, and another visitor's attempt to take its place."""
    async with Opened(server) as both:
        alice = both.pages["alice"]
        await alice.socket.close()
        async with solara_page(server, "bob", alice.kernel, alice.session) as stolen:
            await asyncio.wait_for(stolen.listening, 60)
            assert stolen.socket.closed
        async with solara_page(server, "alice", alice.kernel, alice.session) as again:
            again.button = alice.button
            await again.click(["now", ""])
            assert await again.said("now") == OWN["alice"]


async def test_the_example():
    """Its own login greets each visitor. Solara's page needs a CDN, so no browser opens it here."""
    pytest.importorskip("solara")
    pytest.importorskip("fastapi")
    example = HERE.parents[2] / "examples" / "solara"
    files = {path.name: path.read_text(encoding="utf-8") for path in example.glob("*.py")}
    command = (sys.executable, "-m", "uvicorn", "server:app", "--port", "{port}")
    with app_server(*command, files=files, ready="/readyz") as server:
        for name, shown, thing in (("alice", "Alice Adams", "Clean room"), ("bob", "Bob", "Micro")):
            with server.connect() as connection:
                connection.request("GET", f"/as/{name}")
                cookie = connection.getresponse().headers["set-cookie"].partition(";")[0]
            async with solara_page(server, "", session=f"{name}; {cookie}") as page:
                await page.start()
                await asyncio.to_thread(eventually, lambda page=page: thing in page.text)  # noqa: B023
                assert f"Hello, {shown}" in page.text
