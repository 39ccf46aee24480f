"""The cost of a call in each host of apps without a kernel, against the host's own call.

    python benchmarks/app_hosts.py

Prints JSON: nanoseconds, measured in the visitor's own script, cell or handler, and the ratio
within this one run. Trust the ratios; the machine is shared. Needs the hosts, and the tests'
clients.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / part) for part in ("support", "hosts/streamlit", "hosts/marimo")]

from app_servers import app_server, platform_cookie  # noqa: E402 - after sys.path
from gradio_pages import GradioPage  # noqa: E402
from marimo_pages import Page  # noqa: E402
from support import report  # noqa: E402
from tabs import Tab  # noqa: E402

GOAL_RATIO = 1.0

MEASURE = """
import json, statistics, timeit
from jupyter_session_user import get_current_user, identity_from_cookie

identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

def timed(function, number):
    runs = timeit.repeat(function, number=number, repeat=5)
    return statistics.median(runs) / number * 1e9

def with_everything_imported(number=5_000):
    import streamlit, marimo, panel, bokeh.server.views.ws
    return {"get_current_user_ns": round(timed(get_current_user, number)), "goal_ns": 3_000}

def measure(own, number=5_000):
    pairs = [[timed(f, number) for f in (get_current_user, own)] for _ in range(3)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs))
    return {"get_current_user_ns": round(ours), "own_ns": round(theirs),
            "ratio": round(ours / theirs, 3), "user": get_current_user().username}

def keep(**results):
    with open("result.json", "w") as out:
        json.dump({**results, "with_everything_imported": with_everything_imported()}, out)
"""
STREAMLIT = """
import streamlit as st
from measuring import keep, measure
keep(st_user_to_dict=measure(st.user.to_dict), st_context=measure(lambda: st.context.cookies))
st.text('{"main": 1}')
"""
MARIMO = """
import marimo
app = marimo.App()

@app.cell
def _():
    import marimo as mo
    from measuring import keep, measure
    keep(mo_app_meta_request=measure(lambda: mo.app_meta().request))
    mo.Html('<pre>{"cell": 1, "callback": 1}</pre>')
    return
"""
FASTAPI = """
from fastapi import FastAPI, Request
from measuring import keep, measure
from jupyter_session_user import SessionUserMiddleware
app = FastAPI()

@app.get("/")
async def root(request: Request):
    keep(request_cookies=measure(lambda: Request(request.scope).cookies))

app.add_middleware(SessionUserMiddleware)
"""
FLASK = """
import sys, flask
from measuring import keep, measure
from jupyter_session_user import SessionUserWSGIMiddleware
app = flask.Flask(__name__)

@app.get("/")
def root():
    keep(flask_request_cookies=measure(lambda: flask.Request(flask.request.environ).cookies))
    return {}

app.wsgi_app = SessionUserWSGIMiddleware(app.wsgi_app)
app.run(port=int(sys.argv[1]))
"""
DJANGO = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[
    "app.log_in", "jupyter_session_user.hosts.django.SessionUserMiddleware"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
import django
django.setup()
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.utils.functional import SimpleLazyObject
from measuring import keep, measure

def log_in(get_response):
    def serve(request):
        request.user = SimpleLazyObject(lambda: User(username="ann", first_name="Ann"))
        return get_response(request)
    return serve

def root(request):
    keep(request_user_get_username=measure(lambda: request.user.get_username()),
         request_user_name=measure(
            lambda: request.user.is_authenticated and (
                request.user.get_username(), request.user.get_full_name())))
    return JsonResponse({})

urlpatterns = [path("", root)]
application = get_wsgi_application()
"""
GRADIO = """
import gradio as gr
from fastapi import FastAPI
from measuring import keep, measure
from jupyter_session_user import SessionUserMiddleware

def load(request: gr.Request):
    keep(request_username=measure(lambda: request.username),
         request_cookies=measure(lambda: dict(request.cookies)))

with gr.Blocks() as demo:
    demo.load(load, api_name="load", queue=False)

app = FastAPI()
gr.mount_gradio_app(app, demo, path="/gradio")
app.add_middleware(SessionUserMiddleware)
"""
LOCAL = ("--headless", "--no-token", "--host", "127.0.0.1", "--port", "{port}")
HOSTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "streamlit": (
        STREAMLIT,
        ("-m", "streamlit", "run", "app.py", "--server.headless=true", "--server.port={port}"),
        "/_stcore/health",
    ),
    "marimo": (MARIMO, ("-m", "marimo", "run", "app.py", *LOCAL), "/health"),
    "fastapi": (FASTAPI, ("-m", "uvicorn", "app:app", "--port", "{port}"), "/docs"),
    "django": (
        DJANGO,
        ("-m", "waitress", "--listen=127.0.0.1:{port}", "app:application"),
        "/none",
    ),
    "gradio": (GRADIO, ("-m", "uvicorn", "app:app", "--port", "{port}"), "/docs"),
    "flask": (FLASK, ("app.py", "{port}"), "/static/none"),
}


async def visit(name: str, host: str) -> None:
    """Open the page as a person with a platform's cookie."""
    client = (Tab if name == "streamlit" else Page)(host, platform_cookie("ann"))
    await client.open()
    await client.close()


def measured(name: str) -> dict[str, Any]:
    """Run one host, and return its measurements."""
    app, command, ready = HOSTS[name]
    files = {"app.py": app, "measuring.py": MEASURE}
    with app_server(sys.executable, *command, files=files, ready=ready) as server:
        if name in ("streamlit", "marimo"):
            asyncio.run(visit(name, server.host))
        elif name == "gradio":
            page = GradioPage(server.host, prefix="/gradio", cookie=platform_cookie("ann"))
            page.call("load")
        else:
            server.get("/", cookie=platform_cookie("ann"))
        result: dict[str, Any] = json.loads((server.log.parent / "result.json").read_text())
    return result


def main() -> None:
    """Measure everything, and print it."""
    report({name: {**measured(name), "goal_ratio": GOAL_RATIO} for name in HOSTS})


if __name__ == "__main__":
    main()
