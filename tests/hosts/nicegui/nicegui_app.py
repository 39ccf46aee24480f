"""The app for the tests of NiceGUI: each answer is the user in one place of a page."""

import asyncio
import gc
import os
import threading

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from nicegui import Client, app, background_tasks, run, ui
from nicegui.page import page as page_of
from nicegui.slot import Slot
from who import who

if "LATE" not in os.environ:
    from jupyter_session_user import SessionUserMiddleware, bind_current_user, identity_from_cookie

LOGINS = {"a-token": "alice", "b-token": "bob"}
server = FastAPI()
said = {}
pages = {}


class User:
    is_authenticated = True

    def __init__(self, name):
        self.username = name


class Framework:
    """Acts as Starlette's AuthenticationMiddleware."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            scope["user"] = User(login(scope))
        await self.app(scope, receive, send)


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


@ui.refreshable
def news(found):
    if found is not None:
        found.append((ui.context.client.id, who()))


async def later():
    return who()


async def now():
    return who()


async def io_bound():
    return [await run.io_bound(who), await run.io_bound(bind_current_user(who))]


async def cpu_bound():
    return await run.cpu_bound(who)


async def to_thread():
    return await asyncio.to_thread(who)


async def task():
    return await asyncio.create_task(later())


async def background_task():
    return await background_tasks.create(later())


async def noted(begin):
    done, found = asyncio.Event(), []

    async def note():
        found.append(who())
        done.set()

    begin(note)
    await done.wait()
    return found[0]


async def background_task_here():
    client = ui.context.client
    return await noted(lambda note: background_tasks.create(note(), context=client))


async def app_timer():
    return await noted(lambda note: app.timer(0.01, note, once=True))


async def binding_of_other():
    name = login(ui.context.client.request.scope)
    other = next(page for visitor, page in pages.items() if visitor != name)

    @bind_current_user
    def bound():
        with ui.row():
            mine = who()
        with other:
            theirs = who()
        return [mine, theirs, who()]

    return bound()


async def no_request():
    with Client(page_of("/nothing")):
        return who()


async def on_air():
    ui.context.client.on_air = True
    return who()


@ui.page("/")
async def page(case: str):
    pages[login(ui.context.client.request.scope)] = ui.context.client
    news(None)
    if "LATE" in os.environ:
        await asyncio.sleep(0)
    return JSONResponse(await globals()[case]())


@app.get("/refresh")
async def refresh():
    found = []
    await news.refresh(found)
    names = {client.id: name for name, client in pages.items()}
    return [[names.get(client), user] for client, user in found]


@app.get("/threads")
def threads(name: str):
    """One thread enters a page, and another thread calls meanwhile: both have the number 0."""
    found, entered, asked = [], threading.Event(), threading.Event()

    def enter():
        with pages[name]:
            found.append(who())
            entered.set()
            asked.wait(30)

    def ask():
        entered.wait(30)
        found.extend([ui.context.client is pages[name], who()])
        asked.set()

    both = [threading.Thread(target=one) for one in (enter, ask)]
    [one.start() for one in both]
    [one.join() for one in both]
    return found


@app.get("/stale")
async def stale(name: str):
    """A task ends within a page's slot, and another task gets its number."""

    async def dying():
        with pages[name]:
            await asyncio.get_running_loop().create_future()

    async def later():
        return id(asyncio.current_task()) == number and (Slot.stacks[number] != [], who())

    task = asyncio.create_task(dying())
    await asyncio.sleep(0)
    number = id(task)
    Slot.stacks[number] = list(Slot.stacks[number])
    kept = Slot.stacks[number]
    del task
    gc.collect()
    Slot.stacks[number] = kept or [pages[name].content.default_slot]
    # The coroutine's own exit may have run under any task's name: the stale stack counts.
    waiting = []
    for _ in range(2000):
        waiting.append(asyncio.create_task(later()))
        if id(waiting[-1]) == number:
            return await waiting[-1]
    return None


if "NOTHING" not in os.environ and "LATE" not in os.environ:
    server.add_middleware(SessionUserMiddleware, user=login)
if "COOKIE" in os.environ:
    identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")
if "LATE" in os.environ:
    server.add_middleware(Framework)
ui.run_with(server)
