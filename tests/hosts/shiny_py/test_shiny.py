"""Two visitors of a Shiny app at the same time: a click of one runs code for the other."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_servers import WHO, AppServer, app_server
from shiny_tabs import Tab, tabs_of

HERE = Path(__file__).parent
EXPRESS = """
from pathlib import Path
from shiny.express import wrap_express_app
from jupyter_session_user import SessionUserMiddleware
from shiny_app import login

app = wrap_express_app(Path(__file__).with_name("express_page.py"))
app.starlette_app.add_middleware(SessionUserMiddleware, user=login)
"""
SAYS = """
from shiny.session import get_current_session as session_now

async def say(session, said):
    await session.send_custom_message("said", {"case": "click", "said": said})
"""
FILES = {
    "shiny_app.py": (HERE / "shiny_app.py").read_text(encoding="utf-8"),
    "express_page.py": (HERE / "express_page.py").read_text(encoding="utf-8"),
    "express_app.py": EXPRESS,
    "express_says.py": SAYS,
    "who.py": WHO,
}
ALICE = "alice verified by asgi"
BOB = "bob verified by asgi"


@pytest.fixture(scope="module")
def shiny_installed(need) -> None:
    """Skip without Shiny or uvicorn."""
    need(importlib.util.find_spec("shiny"), "shiny is missing")
    need(importlib.util.find_spec("uvicorn"), "uvicorn is missing")


def running(app: str) -> Iterator[AppServer]:
    """Run a server of an app."""
    command = (sys.executable, "-m", "uvicorn", app, "--port", "{port}", "--log-level", "warning")
    with app_server(*command, files=FILES, ready="/none") as server:
        yield server


@pytest.fixture(scope="module")
def server(shiny_installed) -> Iterator[AppServer]:
    """Run the app behind the middleware."""
    yield from running("shiny_app:app")


@pytest.fixture(scope="module")
def bare(shiny_installed) -> Iterator[AppServer]:
    """Run the app without the middleware."""
    yield from running("shiny_app:bare")


@pytest.fixture(scope="module")
def express(shiny_installed) -> Iterator[AppServer]:
    """Run an app of Shiny Express."""
    yield from running("express_app:app")


async def both(alice: Tab, bob: Tab) -> None:
    """Begin both sessions."""
    await asyncio.gather(alice.open(name="alice"), bob.open(name="bob"))
    await asyncio.gather(alice.until("flushed"), bob.until("flushed"))


async def test_callbacks_and_tasks(server):
    """A click runs as the visitor that sent it, also in a thread of Python."""
    async with tabs_of(server.host, "a-token", "b-token", "") as (alice, bob, stranger):
        await both(alice, bob)
        await stranger.open(name="nobody")
        for tab, who in ((alice, ALICE), (bob, BOB), (stranger, "anonymous")):
            await tab.set(click=1, staff=1)
            assert await tab.until("to_thread") == who
            assert tab.said["click"] == [who]
            assert await tab.until("staff") == ("may" if tab is alice else "may not")


async def test_a_task_that_visitors_share(server):
    """A call that waits for another visitor's call of the task has its own visitor."""
    async with tabs_of(server.host, "a-token", "b-token") as (alice, bob):
        await both(alice, bob)
        await asyncio.gather(alice.set(share=1), bob.set(share=1))
        for tab in (alice, bob):
            assert await tab.until("shared by alice") == ALICE
            assert await tab.until("shared by bob") == BOB


async def test_a_binding_that_stays_open(server):
    """It ends with the effect; other visitors' effects that the click triggers have their own."""
    async with tabs_of(server.host, "a-token", "b-token") as (alice, bob):
        await both(alice, bob)
        await alice.set(leave_open=1)
        assert await bob.until("news") == BOB
        assert await alice.until("news") == ALICE
        await bob.set(leave_open=1)
        assert await alice.until("news", 2) == ALICE
        assert await bob.until("news", 2) == BOB


async def test_an_effect_of_no_session(server):
    """An effect of the module has no visitor, even if a visitor's click has triggered it."""
    async with tabs_of(server.host, "a-token", "b-token") as (alice, bob):
        await both(alice, bob)
        await bob.set(leave_open=1)
        said = await alice.until("effect_of_nobody")
        assert set(said.split("; ")) == {"nobody: no_context"}


async def test_callbacks_after_a_flush(server):
    """They run as the visitor that registered them, also after another visitor's click."""
    async with tabs_of(server.host, "a-token", "b-token") as (alice, bob):
        await both(alice, bob)
        seen = len(alice.said["flushed"])
        await bob.set(click=1)
        await alice.until("flushed", seen + 1)
        assert set(alice.said["flushed"] + alice.said["own_flush"]) == {ALICE}
        assert set(bob.said["flushed"] + bob.said["own_flush"]) == {BOB}


async def test_express(express):
    """Effects have the visitor; the page is made once, before the first visitor."""
    async with tabs_of(express.host, "a-token", "b-token") as (alice, bob):
        for tab in (alice, bob):
            assert "who=(nobody: not_in_kernel)" in await tab.page()
            await tab.open()
            await tab.set(click=1)
        assert await alice.until("click") == ALICE
        assert await bob.until("click") == BOB


async def test_without_the_middleware(bare):
    """The error names the missing middleware."""
    async with tabs_of(bare.host, "a-token", "b-token") as (alice, bob):
        await both(alice, bob)
        await asyncio.gather(alice.set(click=1), bob.set(click=1))
        for tab in (alice, bob):
            assert await tab.until("click") == "nobody: no_context"


MOVED = """
import shiny, shiny.session._utils, shiny.reactive._core as core
from shiny.session._session import AppSession
from shiny.reactive._extended_task import ExtendedTask
{change}
from jupyter_session_user import *
if {serves}:
    SessionUserMiddleware(None)
try:
    print(get_current_user())
except IdentityUnavailable as error:
    print(error.reason, error)
"""


def told(change: str = "", *, serves: bool = True) -> str:
    """Return the error of a script with a changed Shiny."""
    run = [sys.executable, "-c", MOVED.format(change=change, serves=serves)]
    return subprocess.run(
        run, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3]
    ).stdout


@pytest.mark.parametrize(
    "change",
    [
        "del AppSession._run",
        "del shiny.session._utils._current_session",
        "del shiny.session._utils.session_context",
        "del ExtendedTask.invoke",
        "del core.ReactiveEnvironment.on_flushed",
    ],
)
def test_a_private_name_that_moved(shiny_installed, change):
    """The error names Shiny's version."""
    import shiny

    said = told(change)
    assert said.startswith("unsupported_host")
    assert shiny.__version__ in said


def test_merely_imported(shiny_installed):
    """A process that only imports Shiny serves no visitor; the error gives the fix for an app."""
    assert told().startswith("no_context")  # the middleware is present, but no request
    said = told(serves=False)
    assert said.startswith("not_in_kernel")
    assert "starlette_app.add_middleware" in said


def test_the_queue_of_a_task_is_where_we_look(shiny_installed):
    """Waiting calls of a task are in a list of the task."""
    from shiny.reactive import ExtendedTask

    async def nothing() -> None: ...

    assert ExtendedTask(nothing)._invocation_queue == []
