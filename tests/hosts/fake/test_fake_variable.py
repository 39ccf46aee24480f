"""JUPYTER_SESSION_USER_FAKE in the other hosts: never where a visitor can be named."""

from __future__ import annotations

import importlib.util
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "browser"))

import browsing
from app_servers import app_server

from jupyter_session_user import User
from jupyter_session_user.core import session as core
from jupyter_session_user.hosts.base import HostSession, agreed

pytestmark = [pytest.mark.browser]

SAYS = """
from jupyter_session_user import *

def who():
    try:
        session, user = get_session(), get_current_user()
    except SessionUserError as error:
        return f"who=({getattr(error, 'reason', error.code)})"
    name = "anonymous" if user.is_anonymous else user.username
    return f"who=({name} by {session.source} {session.verified} {session.id})"

def by_cookie(cookies):
    return "bob" if "login=bob" in cookies else None

def of_scope(scope):
    return by_cookie(dict(scope["headers"]).get(b"cookie", b"").decode())
"""
FASTAPI = """
from fastapi import FastAPI, Response
from says import *
app = FastAPI()
app.get("/none")(lambda: 0)
app.get("/")(lambda: Response(who(), media_type="text/html"))
"""
INSIDE = """
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware

class Login(AuthenticationBackend):
    async def authenticate(self, conn):
        name = by_cookie(conn.headers.get("cookie", ""))
        return (AuthCredentials(), SimpleUser(name)) if name else None

app.add_middleware(AuthenticationMiddleware, backend=Login())
app.add_middleware(SessionUserMiddleware)
"""
FLASK = """
import flask
from says import *
app = flask.Flask(__name__)
app.get("/")(who)
def user(environ):
    return by_cookie(environ.get("HTTP_COOKIE", ""))
"""
GRADIO = """
import gradio as gr
from fastapi import FastAPI
from says import *
with gr.Blocks() as demo:
    shown = gr.Markdown()
    demo.load(lambda: who(), None, shown)
"""
MOUNTED = "app = gr.mount_gradio_app(FastAPI(), demo, path='')\n"
SHINY = """
from shiny import App, render, ui
from says import *
def server(input, output, session):
    @render.text
    def said():
        return who()
app = App(ui.page_fluid(ui.output_text("said")), server)
"""
NICEGUI = """
import os
os.environ.pop("PYTEST_CURRENT_TEST", None)
from nicegui import app, ui
from says import *

@ui.page("/")
def page():
    ui.label(who())
"""
RUN = "ui.run(host='127.0.0.1', port={port}, show=False, reload=False)\n"
MARIMO = """
import marimo
app = marimo.App()
@app.cell
def _():
    from says import who
    who()
    return
"""
ASGI_SITE = """
import marimo
from fastapi import FastAPI
from pathlib import Path
from says import *
notebook = str(Path(__file__).with_name("notebook.py"))
app = FastAPI()
app.mount("/", marimo.create_asgi_app().with_app(path="", root=notebook).build())
"""
DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from says import *

class Account:
    is_authenticated = False

class Bob(Account):
    is_authenticated, groups = True, None
    get_username = staticmethod(lambda: "bob")

def log_in(get_response):
    def middleware(request):
        request.user = Bob() if by_cookie(request.headers.get("Cookie", "")) else Account()
        return get_response(request)
    return middleware

settings.configure(SECRET_KEY="of these tests", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__,
    MIDDLEWARE=[f"{__name__}.log_in", "jupyter_session_user.hosts.django.SessionUserMiddleware"])
django.setup()
urlpatterns = [path("", lambda _: HttpResponse(who()))]
app = get_wsgi_application()
"""
BARE = "app.add_middleware(SessionUserMiddleware)\n"
NAMES = "app.add_middleware(SessionUserMiddleware, user=of_scope)\n"
UVICORN = ("-m", "uvicorn", "app:app", "--port", "{port}", "--log-level", "warning")
GUNICORN = ("-m", "gunicorn", "app:app", "--bind", "127.0.0.1:{port}", "--threads", "4")
_MARIMO = ("-m", "marimo", "run", "notebook.py", "--headless", "--no-token")
MARIMO_RUN = (*_MARIMO, "--host", "127.0.0.1", "--port", "{port}")
SHINY_BARE = "app.starlette_app.add_middleware(SessionUserMiddleware)\n"
SHINY_NAMES = "app.starlette_app.add_middleware(SessionUserMiddleware, user=of_scope)\n"
WSGI_BARE = "app.wsgi_app = SessionUserWSGIMiddleware(app.wsgi_app)\n"
WSGI_NAMES = "app.wsgi_app = SessionUserWSGIMiddleware(app.wsgi_app, user=user)\n"

#: Where no login can be seen: the host's module, its command and its app.
OPEN = {
    "fastapi": ("fastapi", UVICORN, FASTAPI + BARE),
    "flask": ("flask", GUNICORN, FLASK + WSGI_BARE),
    "gradio": ("gradio", ("app.py",), GRADIO + "demo.launch(server_port={port})\n"),
    "gradio in FastAPI": ("gradio", UVICORN, GRADIO + MOUNTED + BARE),
    "marimo": ("marimo", MARIMO_RUN, MARIMO),
    "marimo in FastAPI": ("marimo", UVICORN, ASGI_SITE + BARE),
    "nicegui": ("nicegui", ("app.py",), NICEGUI + BARE + RUN),
    "shiny": ("shiny", UVICORN, SHINY),
    "shiny in the middleware": ("shiny", UVICORN, SHINY + SHINY_BARE),
}
#: Where a login names visitors: a stranger is not the fake user, and bob is bob.
CLOSED = {
    "django": ("django", GUNICORN, DJANGO),
    "fastapi": ("fastapi", UVICORN, FASTAPI + NAMES),
    "fastapi, the login inside": ("fastapi", UVICORN, FASTAPI + INSIDE),
    "flask": ("flask", GUNICORN, FLASK + WSGI_NAMES),
    "gradio": ("gradio", UVICORN, GRADIO + MOUNTED + NAMES),
    "marimo": ("marimo", UVICORN, ASGI_SITE + NAMES),
    "nicegui": ("nicegui", ("app.py",), NICEGUI + NAMES + RUN),
    "shiny": ("shiny", UVICORN, SHINY + SHINY_NAMES),
}
#: Where a login may be, and cannot be seen.
UNSEEN = {
    "gradio in FastAPI": ("gradio", UVICORN, GRADIO + MOUNTED),
    "marimo in FastAPI": ("marimo", UVICORN, ASGI_SITE),
    "nicegui": ("nicegui", ("app.py",), NICEGUI + RUN),
}


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


@pytest.fixture
def site(need):
    """Return a function that runs an app with the variable set."""

    def run(module, command, app):
        need(importlib.util.find_spec(module), f"{module} is missing")
        files = {"app.py": app, "notebook.py": MARIMO, "says.py": SAYS}
        env = {
            "JUPYTER_SESSION_USER_FAKE": '{"username": "ada", "groups": ["finance"]}',
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        return app_server(sys.executable, *command, files=files, env=env, ready="/none")

    return run


def said(chromium, server, person):
    """Return what the page says to a visitor of its own browser."""
    context = chromium.new_context()
    if person:
        cookie = {"name": "login", "value": person, "domain": "127.0.0.1", "path": "/"}
        context.add_cookies([cookie])
    page = context.new_page()
    page.goto(f"http://{server.host}/")
    shown = page.get_by_text("who=(")
    shown.first.wait_for()
    found = re.search(r"who=\(([^)]*)\)", shown.first.inner_text())[1].split()
    context.close()
    return found


@pytest.mark.parametrize("name", OPEN)
def test_an_open_app(chromium, site, name):
    """Each visitor is the made-up user, unverified, in a session of their own; the log says so."""
    with site(*OPEN[name]) as server:
        first, second = (said(chromium, server, "") for _ in range(2))
        assert first[:4] == second[:4] == ["ada", "by", "fake", "False"]
        assert first[4] != second[4]
        assert "makes up the user of this process" in server.log_text()


@pytest.mark.parametrize("name", CLOSED)
def test_an_app_with_a_login(chromium, site, name):
    """A stranger stays anonymous, before and after bob, who is bob; the log says why."""
    with site(*CLOSED[name]) as server:
        for person in ("", "bob", ""):
            assert said(chromium, server, person)[0] == (person or "anonymous")
        assert "is ignored in this app" in server.log_text()
        assert "makes up" not in server.log_text()


@pytest.mark.parametrize("name", UNSEEN)
def test_an_app_whose_login_cannot_be_seen(chromium, site, name):
    """Nobody is made up there, and the log says why."""
    with site(*UNSEEN[name]) as server:
        assert said(chromium, server, "bob")[0] in {"anonymous", "not_in_kernel", "no_context"}
        assert "is ignored in this app" in server.log_text()


@pytest.mark.parametrize("anonymous", [False, True])
def test_a_host_within_another(anonymous):
    """The host that names its visitors counts, also where its visitor is a stranger."""
    real = HostSession(_session("django", User("bob", is_anonymous=anonymous)))
    fake = HostSession(_session("fake", User("ada")))
    assert agreed(fake, real) is agreed(real, fake) is real
    assert agreed(fake, fake) is fake


def _session(source, user):
    now = datetime.now(timezone.utc)
    times = {"authenticated_at": now, "last_seen_at": now}
    return core.Session(id=source, user=user, source=source, verified=False, **times)
