"""Dash on Flask behind gunicorn, with our middleware."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app_servers import app_server
from cases import OUTCOME, Absent, Gives, Works, change
from drivers.http_app import token_of

APP = Path(__file__).with_name("dash_app.py")


class Visit:
    """One visitor's page, limited to Dash's protocol."""

    def __init__(self, server, person):
        self._server = server
        self._person = person
        self.headers = {"X-Login": token_of(person)}

    async def ask(self, case, other):
        if case == "periodic":
            return await self._callback("ticked", ("tick", "n_intervals"), 1)
        if case == "outliving":
            await self._ask(f"outliving#{self._person}")
            return await self._ask(f"said#{self._person}")
        if case == "nested":
            return await self._ask("callback", "/inner")
        if case in ("page", "first_page", "reload"):
            page = await asyncio.to_thread(self._server.get, "/_dash-layout", **self.headers)
            shown = page["props"]["children"]
            return next(e["props"]["children"] for e in shown if e["props"]["id"] == "who")
        return await self._ask(case if case in _OWN else "callback")

    async def _ask(self, case, at=""):
        return await self._callback("said", ("case", "data"), case, at)

    async def _callback(self, output, source, value, at=""):
        body = json.dumps(asked(output, source, value))
        return await asyncio.to_thread(self._post, f"{at}/_dash-update-component", body, output)

    def _post(self, path, body, output):
        with self._server.connect() as connection:
            headers = {**self.headers, "Content-Type": "application/json"}
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status == http.client.OK, (response.status, text)
            return json.loads(text)["response"][output]["children"]


def asked(output, source, value):
    """Return the browser's request that runs a callback."""
    component, attribute = source
    return {
        "output": f"{output}.children",
        "outputs": {"id": output, "property": "children"},
        "inputs": [{"id": component, "property": attribute, "value": value}],
        "changedPropIds": [f"{component}.{attribute}"],
        "state": [],
    }


_OWN = {"thread", "bound_thread", "pool", "warm"}

WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),  # the browser's dcc.Interval sends a request
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Gives("error: no_context"),
    "others_document": Absent("A callback changes the page that sent it."),
    "broadcast": Absent("A callback changes the page that sent it."),
    "reload": Works(),
    "processes": Works(),
    "warm": Gives("error: not_in_kernel"),
    "reused": Absent("Dash keeps no sessions."),
    "cache": Absent("Dash has no cache of its own but that of background callbacks."),
    "generator": Absent("A callback on Flask answers at once."),
    "nested": Works(),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Absent("The app's own login is the only token."),
}


class _Dash:
    name = "dash"
    title = "Dash on Flask"
    needs = ("dash", "gunicorn")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        options = {"reload": ["--reload"], "processes": ["--workers", "2"]}.get(case, [])
        command = (sys.executable, "-m", "gunicorn", "app:app", "--bind", "127.0.0.1:{port}")
        with running(
            case, *command, "--threads", "4", *options, env={"BACKEND": "flask"}
        ) as server:
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        yield Visit(server, person)


@contextmanager
def running(case, *command, env):
    """Run a server of the app; for the reload, change its file and wait until it is loaded."""
    files = {"app.py": APP.read_text(encoding="utf-8"), "outcome.py": OUTCOME}
    with app_server(*command, files=files, env=env, ready="/_dash-layout") as server:
        if case == "reload":
            path = server.log.with_name("app.py")
            text = path.read_text(encoding="utf-8")
            change(
                path,
                text.replace('id="who"', 'id="who", title="new"'),
                lambda: "new" in _layout(server),
            )
        yield server


def _layout(server):
    try:
        return json.dumps(server.get("/_dash-layout"))
    except (OSError, http.client.HTTPException):
        return ""


DRIVER = _Dash()
