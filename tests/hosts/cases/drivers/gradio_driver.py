"""Gradio in FastAPI behind uvicorn, with our middleware; tests/hosts/gradio has its own logins."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cases import Absent, Gives, Works
from drivers.http_app import served, token_of
from gradio_pages import GradioPage

APP = Path(__file__).with_name("gradio_app.py")


class _Visit:
    def __init__(self, server, person):
        self._person = person
        self._server = server
        self._token = token_of(person)
        self.page = self.page_of("")

    def page_of(self, session):
        return GradioPage(self._server.host, prefix="/gradio", session=session, x_login=self._token)

    async def ask(self, case, other):
        if case == "outliving":
            await self._event(self.page, "outliving", self._person)
            return await self._event(self.page, "said", self._person)
        if case == "others_token":
            return await self._event(self.page_of(other.page.session), "page")
        return await self._event(self.page, case if case in _OWN else "page")

    @staticmethod
    async def _event(page, name, *data):
        return (await asyncio.to_thread(page.event, name, *data))[0]


_OWN = {"callback", "periodic", "thread", "bound_thread", "pool", "cache", "generator", "warm"}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Gives("error: no_context"),
    "others_document": Absent("An event changes its own page alone."),
    "broadcast": Absent("An event changes its own page alone."),
    "reload": Works(),
    "processes": Absent("Gradio keeps its queue in one process."),
    "warm": Gives("error: not_in_kernel"),
    "reused": Absent("A page's session is its own."),
    "cache": Works(),
    "generator": Works(),
    "nested": Works(),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Works(),
}


class _Gradio:
    name = "gradio"
    title = "Gradio"
    needs = ("gradio", "uvicorn")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        command = (sys.executable, "-W", "ignore", "-m", "uvicorn", "app:app", "--port", "{port}")
        options = ("--log-level", "warning", *(["--reload"] if case == "reload" else []))
        env = {"GRADIO_ANALYTICS_ENABLED": "False"}
        with served(case, *command, *options, app=APP, edit=_edited, env=env) as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        yield _Visit(server, person)


def _edited(text):
    return text.replace('"/none"', '"/changed"')


DRIVER = _Gradio()
