"""The app of the drivers for Dash: ``BACKEND`` selects its server."""

import asyncio
import contextvars
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from dash import Dash, Input, Output, dcc, html, set_props
from outcome import outcome

from jupyter_session_user import (
    SessionUserMiddleware,
    SessionUserWSGIMiddleware,
    bind_current_user,
)

BACKEND = os.environ.get("BACKEND", "flask")
LOGINS = {"a-token": "alice", "b-token": "bob"}
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
said = {}


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def begin(key):
    """Start a thread with this callback's context, and ask in it after the callback."""
    over = threading.Event()

    def later():
        over.wait()
        said[key] = outcome()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(later,))
    thread.start()
    said[key + " task"] = thread, over
    return "begun"


def end(key):
    thread, over = said[key + " task"]
    over.set()
    thread.join()
    return said[key]


CASES = {
    "callback": lambda _: outcome(),
    "thread": lambda _: in_thread(outcome),
    "bound_thread": lambda _: in_thread(bind_current_user(outcome)),
    "pool": lambda _: POOL.submit(bind_current_user(outcome)).result(),
    "warm": lambda _: AT_IMPORT,
    "outliving": begin,
    "said": end,
}


def made(**options):
    page = Dash(__name__, **options)
    ids = ("said", "ticked", "stream", "streamed", "pooled")
    page.layout = lambda: html.Div(
        [
            *(dcc.Store(id="case"), dcc.Interval(id="tick"), html.P(outcome(), id="who")),
            *(html.P(id=name) for name in ids),
        ]
    )

    @page.callback(Output("said", "children"), Input("case", "data"))
    def answered(case):
        name, _, key = case.partition("#")
        return CASES[name](key)

    @page.callback(Output("ticked", "children"), Input("tick", "n_intervals"))
    def ticked(_):
        return outcome()

    if BACKEND == "fastapi":

        @page.callback(Output("streamed", "children"), Input("case", "data"), websocket=True)
        async def streamed(case):
            for _ in range(3):
                await asyncio.sleep(0.05)
                set_props("stream", {"children": outcome()})
            return outcome()

        @page.callback(Output("pooled", "children"), Input("case", "data"), websocket=True)
        def pooled(case):
            return outcome()

    return page


if BACKEND == "flask":
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    def login(environ):
        return LOGINS.get(environ.get("HTTP_X_LOGIN"))

    inner = made(routes_pathname_prefix="/", requests_pathname_prefix="/inner/")
    both = DispatcherMiddleware(made().server.wsgi_app, {"/inner": inner.server.wsgi_app})
    app = SessionUserWSGIMiddleware(both, user=login)
else:
    from fastapi import FastAPI

    def login(scope):
        return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())

    app = FastAPI()  # a site of its own, with a Dash app in it
    made(server=app, routes_pathname_prefix="/inner/", requests_pathname_prefix="/inner/")
    app.mount("/", made(backend="fastapi").server)
    app.add_middleware(SessionUserMiddleware, user=login)
