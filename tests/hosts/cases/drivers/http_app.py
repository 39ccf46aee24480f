"""Shared code of the drivers of HTTP apps: logins, a server of an app's file, and its reload."""

from __future__ import annotations

import asyncio
import contextlib
import http.client

from app_servers import app_server
from cases import OUTCOME, change


def token_of(person):
    """Return the login of a user; a visitor that has not logged in has an empty one."""
    return {"": "", "forged": "made-up"}.get(person, f"{person[:1]}-token")


class HttpVisit:
    """A visitor that requests a page for each case.

    Args:
        own: The cases that have a page of their own; ``/page`` answers the others.
        **headers: The headers of each request.
    """

    def __init__(self, server, person, own, **headers):
        self._server = server
        self._person = person
        self._own = own
        self._headers = headers

    async def ask(self, case, other):
        if case == "outliving":
            await self._get(f"/outliving?key={self._person}")
            return await self._get(f"/said?key={self._person}")
        if case == "nested":
            return await self._get("/inner/page")
        return await self._get(f"/{case}" if case in self._own else "/page")

    async def _get(self, path):
        return await asyncio.to_thread(self._server.get, path, **self._headers)


@contextlib.contextmanager
def served(case, *command, app, edit, ready="/none", name="app.py", env=None):
    """Run a server of an app.

    Args:
        case: The case; before "reload" the app's file changes.
        *command: The server's command, in the folder of the app.
        app: The path of the app's text.
        edit: Changes the text, so that ``/changed`` exists.
        ready: A path that answers once the server runs.
        name: The name of the app's file.
        env: Further environment variables.
    """
    files = {name: app.read_text(encoding="utf-8"), "outcome.py": OUTCOME}
    with app_server(*command, files=files, env=env or {}, ready=ready) as server:
        if case == "reload":
            path = server.log.with_name(name)  # with the server's port in it
            text = edit(path.read_text(encoding="utf-8"))
            change(path, text, lambda: _exists(server, "/changed"))
        yield server


def _exists(server, path):
    # A server that stops for its reload may accept a connection and never answer on it.
    with contextlib.closing(http.client.HTTPConnection(server.host, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        return response.status == http.HTTPStatus.OK
