"""Two visitors of a marimo notebook at the same time: ``run``, ``edit``, and mounted in FastAPI."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_servers import JANE, WHO, AppServer, app_server, platform_cookie
from marimo_pages import Page, pages_of

HERE = Path(__file__).parent
FILES = {
    "notebook.py": (HERE / "marimo_notebook.py").read_text(encoding="utf-8"),
    "other.py": (HERE / "marimo_notebook.py").read_text(encoding="utf-8"),
    "obvious.py": (HERE / "obvious_cookies.py").read_text(encoding="utf-8"),
    "who.py": WHO,
}
OPTIONS = ("--headless", "--no-token", "--no-skew-protection", "--host", "127.0.0.1")

#: An app as in marimo's documentation, behind our middleware.
MOUNTED = """
import marimo
from fastapi import FastAPI
from jupyter_session_user import SessionUserMiddleware, User

LOGINS = {"session=a": User("alice", "Alice Adams", groups=("staff",)), "session=b": User("bob")}

app = FastAPI()
app.mount("/", marimo.create_asgi_app().with_app(path="", root="notebook.py").build())
app.add_middleware(
    SessionUserMiddleware,
    user=lambda scope: LOGINS.get(dict(scope["headers"]).get(b"cookie", b"").decode()),
)
"""

#: The same with a user of Starlette's own authentication.
STARLETTE = """
import marimo
from fastapi import FastAPI
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware

class Backend(AuthenticationBackend):
    async def authenticate(self, conn):
        name = {"a": "alice", "b": "bob"}.get(conn.cookies.get("session"))
        return (AuthCredentials(["read"]), SimpleUser(name)) if name else None

app = FastAPI()
app.mount("/", marimo.create_asgi_app().with_app(path="", root="notebook.py").build())
app.add_middleware(AuthenticationMiddleware, backend=Backend())
"""


@pytest.fixture(scope="session")
def marimo_installed(need) -> None:
    """Skip without marimo; this folder has its name, hence the longer one."""
    need(importlib.util.find_spec("marimo._runtime"), "marimo is missing")


@pytest.fixture(scope="module")
def running(marimo_installed) -> Iterator[AppServer]:
    """Run ``marimo run``."""
    command = (sys.executable, "-m", "marimo", "run", "notebook.py", *OPTIONS, "--port", "{port}")
    with app_server(*command, files=FILES, ready="/health") as server:
        yield server


@pytest.fixture(scope="module")
def editing(marimo_installed) -> Iterator[AppServer]:
    """Run ``marimo edit`` on a directory."""
    command = (sys.executable, "-m", "marimo", "edit", ".", *OPTIONS, "--port", "{port}")
    with app_server(*command, files=FILES, ready="/health") as server:
        yield server


@pytest.fixture(scope="module", params=["ours", "starlette"])
def mounted(request, marimo_installed, need) -> Iterator[AppServer]:
    """Run FastAPI with marimo in it."""
    need(importlib.util.find_spec("fastapi"), "fastapi is missing")
    app = MOUNTED if request.param == "ours" else STARLETTE
    command = (sys.executable, "-m", "uvicorn", "site_app:app", "--port", "{port}")
    with app_server(*command, files={**FILES, "site_app.py": app}, ready="/health") as server:
        yield server


def expected(who: str) -> dict[str, str]:
    """Return the expected output of a page's cells for a user."""
    right = ("cell", "after_await", "task", "to_thread", "bound_thread", "dependent")
    nobody = ("executor", "bare_thread", "mo_thread")
    return {**dict.fromkeys(right, who), **dict.fromkeys(nobody, "nobody: no_context")}


def shown(page: Page) -> dict[str, str]:
    """Return the part of the cells' output that is the same for each page."""
    return {key: page.said[key] for key in expected("")}


async def both(one: Page, other: Page, **query: str) -> None:
    """Open two pages, the second while the cells of the first one run.

    Not at the same instant: both are compiled in threads of one process, and Python 3.11 sometimes
    fails at that ("AST constructor recursion depth mismatch", CPython issue 106905).
    """
    await one.connect(**query)
    await one.begun()
    await other.connect(**query)
    for page in (one, other):
        await page.until("callback", "cell")


def cookies(*names: str) -> list[str]:
    """Return the cookies of these users' browsers: the platform's cookie, and one more."""
    return [f"{platform_cookie(name)}; theme={name}" for name in names]


async def test_run_two_visitors(running):
    """Cells, tasks, threads and callbacks run as the page's visitor."""
    async with pages_of(running.host, *cookies("ann", "ben")) as (ann, ben):
        await both(ann, ben)
        for page, name in ((ann, "ann"), (ben, "ben")):
            assert shown(page) == expected(f"{name} unverified by marimo")
            assert page.said["theme"] == name
        await asyncio.gather(ann.click(), ben.click())
        for page, name in ((ann, "ann"), (ben, "ben")):
            who = f"{name} unverified by marimo"
            assert (page.said["callback"], page.said["dependent"]) == ([who], who)


async def test_asking_in_a_cache_warns(running):
    """A cache that outlives the page warns; ``mo.cache``, which belongs to one page, does not."""
    async with pages_of(running.host, *cookies("ann", "ben")) as (ann, ben):
        for page in (ann, ben):  # one after the other: Python records warnings for all threads
            await page.open(keep="yes")
            await page.until("kept")
    assert ann.said["kept"] == ben.said["kept"] == [1, 0]


async def test_marimo_cookies_per_process(running):
    """Both visitors are threads of one process: data by process belong to the last visitor."""
    async with pages_of(running.host, *cookies("ann", "ben")) as (ann, ben):
        await both(ann, ben, meet="yes")
        assert (ann.said["theme"], ben.said["theme"]) == ("ann", "ben")
        assert ann.said["obvious"] == ben.said["obvious"]  # the obvious solution is wrong for one


async def test_run_reload_as_the_other_person(running):
    """After a login as another user, clicks run as that user at once, and so does the next page."""
    async with pages_of(running.host, *cookies("ann", "ben")) as (page, reloaded):
        await page.open()
        page.cookie = reloaded.cookie
        await page.click()
        assert page.said["callback"] == ["ben unverified by marimo"]
        await reloaded.open()
        assert shown(reloaded) == expected("ben unverified by marimo")


async def test_the_seeds_visitor(running):
    """The platform's own example names Jane Doe."""
    async with pages_of(running.host, f"numerous_user_info={JANE}") as (page,):
        await page.open()
        assert shown(page) == expected("abcdefghij1234567890 unverified by marimo")
        assert page.said["name"] == "Jane Doe"


async def test_marimos_default_user_is_nobody(running):
    """For marimo each visitor is an authenticated ``user``; the package does not use that."""
    async with pages_of(running.host, "theme=dark") as (page,):
        await page.open()
        assert shown(page) == expected("anonymous")


async def test_edit_two_visitors(editing):
    """In the editor, each cell runs as the user that runs it."""
    async with pages_of(editing.host, *cookies("ann", "ben")) as (ann, ben):
        for page, file in ((ann, "notebook.py"), (ben, "other.py")):
            await page.connect(file=file)
            await page.post("instantiate", objectIds=[], values=[], autoRun=True)
        await asyncio.gather(ann.until("cell", "callback"), ben.until("cell", "callback"))
        assert shown(ann) == expected("ann unverified by marimo")
        assert shown(ben) == expected("ben unverified by marimo")
        await asyncio.gather(ann.click(), ben.click())
        assert ann.said["callback"] == ["ann unverified by marimo"]
        assert ben.said["callback"] == ["ben unverified by marimo"]


async def test_mounted_in_fastapi(mounted):
    """The mounted app's cells and callbacks have the user that the outer app authenticated."""
    async with pages_of(mounted.host, "session=a", "session=b", "session=c") as pages:
        alice, bob, stranger = pages
        await both(alice, bob)
        await asyncio.gather(alice.click(), bob.click())
        for page, name in ((alice, "alice"), (bob, "bob")):
            who = f"{name} verified by marimo"
            assert shown(page) == expected(who)
            assert page.said["callback"] == [who]
        await stranger.open()
        assert shown(stranger) == expected("anonymous")


MOVED = """
import marimo._messaging.context as private
from jupyter_session_user import *
variable = private.HTTP_REQUEST_CTX
{change}
try:
    print(get_current_user())
except IdentityUnavailable as error:
    print(error.reason, error)
"""


def moved(change: str) -> str:
    """Return the error of a script with a changed marimo."""
    run = [sys.executable, "-c", MOVED.format(change=change)]
    return subprocess.run(
        run, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3]
    ).stdout


def test_private_names(marimo_installed):
    """The request's ContextVar is at its known place."""
    from contextvars import ContextVar

    context = pytest.importorskip("marimo._messaging.context")
    assert isinstance(context.HTTP_REQUEST_CTX, ContextVar)


def test_a_private_name_that_moved(marimo_installed):
    """The error names marimo's version; a marimo that is only imported is no host."""
    import marimo

    gone = "del private.HTTP_REQUEST_CTX"
    assert moved(gone).startswith("not_in_kernel")
    inside = f"{gone}; import marimo; marimo.running_in_notebook = lambda: True"
    said = moved(inside)
    assert said.startswith("unsupported_host")
    assert marimo.__version__ in said


def test_merely_imported(marimo_installed):
    """A process that only imports marimo serves no visitor."""
    assert moved("").startswith("not_in_kernel")
