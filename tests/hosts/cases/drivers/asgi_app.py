"""The app of the driver for FastAPI."""

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from outcome import outcome

from jupyter_session_user import SessionUserMiddleware, bind_current_user

LOGINS = {"a-token": "alice", "b-token": "bob"}
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
said = {}
app = FastAPI()


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@functools.lru_cache
def cached(key):
    return outcome()


@app.get("/page")
async def page():
    return outcome()


@app.get("/callback")
def callback():
    return outcome()


@app.get("/thread")
def thread():
    return in_thread(outcome)


@app.get("/bound_thread")
def bound_thread():
    return in_thread(bind_current_user(outcome))


@app.get("/pool")
def pool():
    return POOL.submit(bind_current_user(outcome)).result()


@app.get("/outliving")
async def outliving(key: str):
    async def later():
        await asyncio.sleep(0.3)
        said[key] = outcome()

    said[key + "task"] = asyncio.create_task(later())


@app.get("/said")
async def what_was_said(key: str):
    await said[key + "task"]
    return said[key]


@app.get("/generator")
async def generator():
    async def parts():
        yield '"'
        await asyncio.sleep(0.05)
        yield outcome()
        yield '"'

    return StreamingResponse(parts(), media_type="application/json")


@app.get("/warm")
async def warm():
    return AT_IMPORT


inner = FastAPI()
inner.get("/page")(page)
app.mount("/inner", inner)
app.add_middleware(SessionUserMiddleware, user=login)
