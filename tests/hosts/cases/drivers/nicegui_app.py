"""The app of the driver for NiceGUI. ``MODE`` selects its server."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from nicegui import Client, app, ui
from outcome import outcome

from jupyter_session_user import SessionUserMiddleware, bind_current_user

os.environ.pop("PYTEST_CURRENT_TEST", None)  # otherwise NiceGUI serves on a port of pytest
LOGINS = {"a-token": "alice", "b-token": "bob"}
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
said = {}
server = app if os.environ["MODE"] == "run" else FastAPI()


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


def say(case, client=None):
    said[(client or ui.context.client).id, case] = outcome()


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


async def ask(event):
    case, other = event.args
    client = ui.context.client
    key = client.id, case
    if case == "thread":
        said[key] = in_thread(outcome)
    elif case == "bound_thread":
        said[key] = in_thread(bind_current_user(outcome))
    elif case == "pool":
        said[key] = POOL.submit(bind_current_user(outcome)).result()
    elif case == "outliving":

        async def later():
            await asyncio.sleep(0.3)
            said[key] = outcome()

        said[("task", *key)] = asyncio.create_task(later())
    elif case == "periodic":
        ui.timer(0.05, lambda: say(case), once=True)
    elif case == "others_document":
        with Client.instances[other]:
            await asyncio.sleep(0.05)
            say(case)
    elif case == "broadcast":
        for one in list(app.clients("/")):
            with one:
                ui.label("News")
                say(case)
    else:
        await asyncio.sleep(0.05)
        say(case)


@ui.page("/")
async def page():
    say("page")
    asking = ui.element().on("ask", ask)
    said[ui.context.client.id, "listener"] = [asking.id, *asking._event_listeners]
    await ui.context.client.connected()
    say("connected")


@app.get("/said")
async def what_was_said(client: str, case: str):
    return {"said": said.get((client, case))}


@app.get("/warm")
async def warm():
    return AT_IMPORT


server.add_middleware(SessionUserMiddleware, user=login)
if server is app:
    if __name__ in {"__main__", "__mp_main__"}:
        ui.run(host="127.0.0.1", port=int("{port}"), show=False, reload="RELOAD" in os.environ)
else:
    ui.run_with(server)
