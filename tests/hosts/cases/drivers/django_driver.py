"""Django with our middleware: its development server, and gunicorn."""

from __future__ import annotations

import asyncio
import http.client
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cases import Absent, Gives, Works
from drivers.http_app import HttpVisit, served

APP = Path(__file__).with_name("django_app.py")


_OWN = {"callback", "thread", "bound_thread", "pool", "cache", "generator", "warm"}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Absent("A Django site has no timers of a visitor's."),
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
    "cache": Works(),
    "generator": Works(),
    "nested": Absent("tests/hosts/django mounts Django in Starlette."),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Absent("The session cookie is the only token."),
}


class _Django:
    name = "django"
    title = "Django"
    needs = ("django", "gunicorn")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        command = {
            "processes": ("-m", "gunicorn", "site_app", "-b", "127.0.0.1:{port}", "-w", "2"),
            "reload": ("site_app.py", "runserver", "127.0.0.1:{port}"),
        }.get(case, ("site_app.py", "runserver", "127.0.0.1:{port}", "--noreload"))
        files = {"app": APP, "name": "site_app.py"}
        with served(case, *_prepared(command), **files, edit=_edited) as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        cookie = {"": "", "forged": "sessionid=made-up"}.get(person)
        if cookie is None:
            cookie = await asyncio.to_thread(_log_in, server, person)
        yield HttpVisit(server, person, _OWN, cookie=cookie)


def _prepared(command):
    """Return a command that makes the database before it serves."""
    code = (
        "import os, subprocess, sys; "
        "subprocess.run([sys.executable, '-c', 'import site_app as s; s.prepare()'], check=True); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    return (sys.executable, "-c", code, *command)


def _log_in(server, person):
    """Return the cookie of a login."""
    with server.connect() as connection:
        connection.request("GET", f"/as/{person}")
        response = connection.getresponse()
        assert response.status == http.HTTPStatus.OK, response.read()
        response.read()
        return response.headers["Set-Cookie"].partition(";")[0]


def _edited(text):
    mark = 'path("none", answer(int)),'
    return text.replace(mark, mark + 'path("changed", answer(int)),')


DRIVER = _Django()
