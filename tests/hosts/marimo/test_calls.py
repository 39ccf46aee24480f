"""Functions that a page of marimo calls: ``mo.lazy``, ``mo.ui.chat``, ``mo.download``."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_servers import WHO, AppServer, app_server, platform_cookie
from marimo_pages import Page, pages_of

HERE = Path(__file__).parent
FILES = {
    "notebook.py": (HERE / "calls_notebook.py").read_text(encoding="utf-8"),
    "who.py": WHO,
}
OPTIONS = ("--headless", "--no-token", "--no-skew-protection", "--host", "127.0.0.1")
ANN = "ann unverified by marimo"
BEN = "ben unverified by marimo"


@pytest.fixture(scope="module")
def marimo_installed(need) -> None:
    """Skip without marimo."""
    need(importlib.util.find_spec("marimo._runtime"), "marimo is missing")


def serving(verb: str) -> Iterator[AppServer]:
    """Run marimo's command."""
    command = (sys.executable, "-m", "marimo", verb, "notebook.py", *OPTIONS, "--port", "{port}")
    with app_server(*command, files=FILES, ready="/health") as server:
        yield server


@pytest.fixture(scope="module")
def running(marimo_installed) -> Iterator[AppServer]:
    """Run ``marimo run``."""
    yield from serving("run")


@pytest.fixture(scope="module")
def editing(marimo_installed) -> Iterator[AppServer]:
    """Run ``marimo edit``."""
    yield from serving("edit")


def cookies(*names: str) -> list[str]:
    """Return the cookies of these users' browsers."""
    return [platform_cookie(name) for name in names]


async def lazily(page: Page, part: str = "who") -> str:
    """Make the page load its lazy content, and return the user of the content."""
    answer = await page.call("marimo-lazy", "load")
    return str(answer).partition(f"{part}=(")[2].partition(")")[0]


async def download(page: Page) -> str:
    """Make the page start a download, and return its text."""
    answer = await page.call("marimo-download", "load")
    return base64.b64decode(answer["data"].partition("base64,")[2]).decode()


async def test_each_call_is_its_senders(running):
    """Two pages call functions at the same time."""
    async with pages_of(running.host, *cookies("ann", "ben")) as (ann, ben):
        await ann.open()
        await ben.open()
        assert await asyncio.gather(lazily(ann), lazily(ben)) == [ANN, BEN]
        assert await asyncio.gather(download(ann), download(ben)) == [ANN, BEN]


async def test_chat(running):
    """The model of a chat has the user, also in the middle of its streamed answer."""
    async with pages_of(running.host, *cookies("ann", "ben")) as pages:
        for page in pages:
            await page.open()
        message = {"role": "user", "content": "who am I?", "id": "m", "parts": []}
        for page in pages:
            await page.call("marimo-chatbot", "send_prompt", messages=[message], config={})
        assert [await lazily(page, "chat") for page in pages] == [f"{w}; {w}" for w in (ANN, BEN)]


async def test_a_session_that_another_user_calls(running):
    """After another user's login, a call belongs to the user that sent it."""
    async with pages_of(running.host, *cookies("ann", "ben")) as (page, other):
        await page.open()
        await other.open()
        page.cookie = other.cookie
        assert await lazily(page) == BEN
        page.cookie = cookies("ann")[0]
        assert await lazily(page) == ANN


async def test_in_the_editor(editing):
    """The kernel is a process without the server: the caller is unknown."""
    async with pages_of(editing.host, *cookies("ann")) as (page,):
        await page.connect()
        await page.post("instantiate", objectIds=[], values=[], autoRun=True)
        await page.until("cell")
        assert page.said["cell"] == ANN
        assert await lazily(page) == "nobody: no_context"


def test_private_names_of_calls(marimo_installed):
    """The function that passes a call on is at its known place."""
    execution = pytest.importorskip("marimo._server.api.endpoints.execution")
    runtime = pytest.importorskip("marimo._runtime.runtime")
    assert callable(execution.dispatch_control_request)
    assert callable(execution.InvokeFunctionRequest.as_command)
    assert callable(runtime.Kernel.function_call_request)
