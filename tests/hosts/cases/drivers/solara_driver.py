"""Solara: alone, and in a FastAPI app; with the protocol that its page speaks."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from app_servers import PATIENCE_S, app_server, eventually
from cases import OUTCOME, Absent, Gives, Works
from solara_pages import solara_page

PAGE = Path(__file__).with_name("solara_page.py")
APP = Path(__file__).with_name("solara_app.py")


class _Visit:
    def __init__(self, page):
        self.page = page

    async def ask(self, case, other):
        if case == "others_token":
            return await _others_token(self.page, other.page)
        if case in {"callback", "others_document", "broadcast", *_IN_CALLBACK}:
            await asyncio.gather(self.page.said("page"), other.page.said("page"))
            await self.page.click([case, other.page.kernel])
            return await self.page.said(case)
        if case == "periodic":
            assert await self.page.said("own_thread") == self.page.person
            return await self.page.said("periodic")
        return await self.page.said(case if case == "warm" else "page")


async def _others_token(page, other):
    """Open the other visitor's page with its kernel id and session cookie, and click there."""
    await other.said("page")
    async with solara_page(page.server, page.person, other.kernel, other.session) as stolen:
        stolen.button = other.button
        with suppress(ConnectionError, RuntimeError):
            await stolen.click(["callback", ""])
            await asyncio.wait_for(stolen.listening, PATIENCE_S)
        assert stolen.socket.closed
        assert not stolen.told
    assert "callback" not in other.told
    return "error: refused"


_IN_CALLBACK = {"thread", "bound_thread", "pool", "outliving"}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),
    "thread": Works(),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Works(),
    "others_document": Works(),
    "broadcast": Works(),
    "reload": Works(),
    "processes": Works(),
    "warm": Gives("error: not_in_kernel|error: no_context"),
    "reused": Absent("A kernel context is one page's."),
    "cache": Absent("solara.memoize keys by its arguments, as functools does."),
    "generator": Absent("Solara streams no answers."),
    "nested": Works(),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Gives("error: refused"),
}


class _Solara:
    name = "solara"
    title = "Solara"
    needs = ("solara", "aiohttp", "fastapi")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        command = ["-m", "uvicorn", "app:server", "--port", "{port}", "--log-level", "warning"]
        mode = "mounted" if not case else "alone"
        if case == "processes":
            command += ["--workers", "2"]
        if case in {"first_page", "reload"}:
            command = ["-m", "solara", "run", "page.py", "--port", "{port}", "--no-open"]
            command += ["--host", "127.0.0.1"]
            mode = "run"
        files = {"page.py": PAGE.read_text(encoding="utf-8"), "outcome.py": OUTCOME}
        files["app.py"] = APP.read_text(encoding="utf-8")
        env = {"MODE": mode, "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "False"}
        with app_server(sys.executable, *command, files=files, env=env, ready="/readyz") as server:
            if case == "reload":
                _change(server)
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        async with solara_page(server, person) as page:
            await page.start()
            yield _Visit(page)


def _change(server):
    """Make Solara load the page again, and wait until it has."""
    path = server.log.with_name("page.py")
    text = path.read_text(encoding="utf-8")

    async def version():
        async with solara_page(server, "") as page:
            await page.start()
            return await page.said("version")

    with ThreadPoolExecutor(1) as pool:  # the test's own loop is running here
        assert pool.submit(asyncio.run, version()).result() == 1
        path.write_text(text.replace("VERSION = 1", "VERSION = 2"), encoding="utf-8")
        eventually(lambda: pool.submit(asyncio.run, version()).result() == 2)


DRIVER = _Solara()
