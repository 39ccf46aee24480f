"""The app of these tests, launched with Gradio's login, or mounted in FastAPI."""

import asyncio
import functools
import sys
import threading
from contextvars import ContextVar

from who import who  # imports the package before Gradio

from jupyter_session_user import (
    SessionUserMiddleware,
    bind_current_user,
    get_cookies,
    get_current_user,
    require_user,
)

import gradio as gr  # isort: skip

ARRIVED = {}
NOTES = {}
inside = threading.Condition()
#: A common pattern: a middleware notes the visitor in a ContextVar.
obvious = ContextVar("obvious", default="")


def two_at_once(name):
    """Wait until the other visitor's event is here as well; then return the user."""
    with inside:
        ARRIVED[name] = True
        inside.notify_all()
        assert inside.wait_for(lambda: len(ARRIVED) >= 2, 60)
    return who()


async def two_at_once_async(name):
    ARRIVED["async " + name] = True
    while sum(key.startswith("async") for key in ARRIVED) < 2:
        await asyncio.sleep(0.01)
    return [who(), await asyncio.to_thread(who), await asyncio.create_task(later())]


async def later():
    await asyncio.sleep(0)
    return who()


def words():
    for _ in range(3):
        yield who()


async def async_words():
    for _ in range(3):
        await asyncio.sleep(0.05)
        yield who()


def chat(message, history):
    yield message
    yield who()


def bare_thread():
    said = []
    for target in (who, bind_current_user(who)):
        thread = threading.Thread(target=lambda t=target: said.append(t()))
        thread.start()
        thread.join()
    return said


async def submit(name):
    """Put work into a queue with a worker that starts with the first visitor, as Gradio's does."""
    done = asyncio.Event()
    if not NOTES:
        NOTES["queue"] = asyncio.Queue()
        NOTES["worker"] = asyncio.create_task(work(NOTES["queue"]))
    await NOTES["queue"].put((name, done))
    await done.wait()
    return NOTES[name]


async def work(queue):
    while True:
        name, done = await queue.get()
        NOTES[name] = [obvious.get(), who()]
        done.set()


async def fails():
    raise gr.Error("of the app's own", print_exception=False)


def batched(names):
    return [[who() for _ in names]]


def described():
    return [
        get_current_user().is_anonymous,
        get_cookies().get("theme"),
        get_current_user().username,
    ]


@getattr(gr, "cache", functools.lru_cache)
def greet(username):
    return who()


def staff_only():
    with require_user(usernames=["alice"]):
        return who()


def build():
    with gr.Blocks() as demo:
        given, shown, data = gr.Textbox(), gr.Textbox(), gr.JSON()
        demo.load(who, None, shown, api_name="load")
        gr.Timer(3600).tick(who, None, shown, api_name="tick")
        for name, function, takes, puts in (
            ("both", two_at_once, given, shown),
            ("aboth", two_at_once_async, given, data),
            ("words", words, None, shown),
            ("awords", async_words, None, shown),
            ("bare_thread", bare_thread, None, data),
            ("submit", submit, given, data),
            ("queue_worker", lambda: [obvious.get(), who()], None, data),
            ("fails", fails, None, shown),
            ("described", described, None, data),
            ("cached", lambda: greet(get_current_user().username), None, shown),
            ("staff", staff_only, None, shown),
        ):
            gr.Button().click(function, takes, puts, api_name=name, concurrency_limit=4)
        gr.Button().click(who, None, shown, api_name="direct", queue=False)
        gr.Button().click(
            batched, given, shown, api_name="batched", batch=True, max_batch_size=4
        ).then(who, None, shown, api_name="then")
        gr.ChatInterface(chat, api_name="chat")
        gr.Examples(
            [["one"], ["two"]],
            given,
            shown,
            lambda text: who(),
            cache_examples=True,
            cache_mode="lazy",
            api_name="example",
        )

        @gr.render()
        def rendered():
            NOTES.setdefault("rendered", []).append(who())

    return demo


def header(name):
    def read(scope):
        return dict(scope["headers"]).get(name, b"").decode() or None

    return read


class Obvious:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            obvious.set(header(b"x-outer")(scope) or "anonymous")
        await self.app(scope, receive, send)


def mounted():
    from fastapi import FastAPI, Request
    from starlette.middleware.sessions import SessionMiddleware

    app = FastAPI()
    app.get("/none")(lambda: 0)

    @app.get("/oauth/{name}")
    def oauth(name: str, request: Request):
        request.session["oauth_info"] = {"userinfo": {"preferred_username": name, "name": "A."}}

    gr.mount_gradio_app(app, build(), path="/open")
    gr.mount_gradio_app(
        app,
        build(),
        path="/closed",
        auth_dependency=lambda request: header(b"x-login")(request.scope),
    )
    app.add_middleware(SessionUserMiddleware, user=header(b"x-outer"))
    app.add_middleware(Obvious)
    app.add_middleware(SessionMiddleware, secret_key="of-a-test")
    return app


if __name__ == "__main__":
    build().launch(
        server_name="127.0.0.1",
        server_port=int(sys.argv[1]),
        auth=[("alice", "a"), ("bob", "b")],
        quiet=True,
    )
else:
    app = mounted()
