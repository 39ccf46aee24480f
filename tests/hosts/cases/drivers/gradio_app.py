"""The app of the driver for Gradio, mounted in FastAPI behind our middleware."""

import asyncio, functools, threading  # noqa: E401
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
from fastapi import FastAPI
from outcome import outcome

from jupyter_session_user import SessionUserMiddleware, bind_current_user, get_current_user

LOGINS = {"a-token": "alice", "b-token": "bob"}
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
said = {}


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@getattr(gr, "cache", functools.lru_cache)
def cached(name):
    return outcome()


async def callback():
    return outcome()


async def outliving(key):
    go = asyncio.Event()

    async def later():
        await go.wait()
        said[key] = outcome()

    said[key + "task"] = asyncio.create_task(later()), go
    return outcome()


async def what_was_said(key):
    task, go = said[key + "task"]
    go.set()
    await task
    return said[key]


def generator():
    for _ in range(3):
        yield outcome()


with gr.Blocks() as demo:
    shown = gr.Textbox()
    given = gr.Textbox()
    demo.load(outcome, None, shown, api_name="page")
    timer = gr.Timer(3600)
    timer.tick(outcome, None, shown, api_name="periodic")
    for name, function in {
        "callback": callback,
        "thread": lambda: in_thread(outcome),
        "bound_thread": lambda: in_thread(bind_current_user(outcome)),
        "pool": lambda: POOL.submit(bind_current_user(outcome)).result(),
        "generator": generator,
        "warm": lambda: AT_IMPORT,
        "cache": lambda: cached(get_current_user().username),
    }.items():
        gr.Button(name).click(function, None, shown, api_name=name)
    gr.Button().click(outliving, given, shown, api_name="outliving")
    gr.Button().click(what_was_said, given, shown, api_name="said")

app = FastAPI()
app.get("/none")(lambda: 0)
app = gr.mount_gradio_app(app, demo, path="/gradio")
app.add_middleware(SessionUserMiddleware, user=login)
