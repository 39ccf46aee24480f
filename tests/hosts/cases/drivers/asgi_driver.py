"""FastAPI and Starlette behind uvicorn, with our middleware."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cases import Absent, Gives, Works
from drivers.http_app import HttpVisit, served, token_of

APP = Path(__file__).with_name("asgi_app.py")


_OWN = {"callback", "thread", "bound_thread", "pool", "generator", "warm"}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Absent("An HTTP app has no timers of a visitor's."),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Gives("error: no_context"),
    "others_document": Absent("A request has no document."),
    "broadcast": Absent("A request has no document."),
    "reload": Works(),
    "processes": Works(),
    "warm": Gives("error: not_in_kernel"),
    "reused": Absent("A request is used once."),
    "cache": Absent("FastAPI has no cache of its own."),
    "generator": Works(),
    "nested": Works(),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Absent("The app's own login is the only token."),
}


class _Asgi:
    name = "asgi"
    title = "FastAPI, Starlette"
    needs = ("fastapi", "uvicorn")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        options = {"reload": ["--reload"], "processes": ["--workers", "2"]}.get(case, [])
        command = (sys.executable, "-m", "uvicorn", "app:app", "--port", "{port}")
        log = ("--log-level", "warning")
        with served(case, *command, *log, *options, app=APP, edit=_edited) as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        yield HttpVisit(server, person, _OWN, x_login=token_of(person))


def _edited(text):
    return text + '\napp.get("/changed")(lambda: True)\n'


DRIVER = _Asgi()
