"""Two users at work with everything that has a secret, and what the sinks hold afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import WHO_ACTS, Agent, agent_of
from people import KernelSocket, Person
from secret_cells import CELLS, KEEP, SETUP
from secret_sinks import MARKER, Office
from servers import PASSWORDS, kernel_of, opened
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

__all__ = ["work"]

#: In a kernel that alice and bob share.
SHARED = """
import json, jupyter_session_user as j
t, k = j.get_access_token("shared"), j.get_cookies()
with open({path!r}, "a") as file:
    file.write(json.dumps({{"access token": str(t)}}) + "\\n")
print({marker!r}, [t, k], j.get_session())
"""
#: What fails, with the error's text.
FAILS = """
for each in ("mail", "trino", "no such service"):
    try:
        print({marker!r}, [j.get_access_token(each)])
    except j.SessionUserError as error:
        print({marker!r}, repr(error), error)
"""
_JSON = "cells.json"


async def work(office: Office) -> dict[str, Person]:
    """Let alice and bob do everything once, and read what they are shown; return them."""
    people = office.people()
    async with _events(office, people["bob"]) as log_in_bob:
        await _wrong_password(people["alice"])
        for name, person in people.items():
            await person.log_in(PASSWORDS[name], name)
        await log_in_bob()
        for person in people.values():
            await _cells(office, person)
        await _agents(office, *people.values())
        await _shared_kernel(office, *people.values())
        await _failures(office, people["alice"])
        await _answers(office, *people.values())
        await people["alice"].fetch("api/leaky/sign")
        for name, person in people.items():
            office.keep_secret("login cookie", *_login_cookies(person))
            office.keep_secret("login password", PASSWORDS[name])
        await asyncio.sleep(0.2)  # the last events
    given = office.provider.seen()["given"]
    office.keep_secret("token of a login, or from the provider", *given)
    return people


def _login_cookies(person: Person) -> list[str]:
    return [value for name, value in person.cookies.items() if name.startswith("username-")]


async def _wrong_password(person: Person) -> None:
    with contextlib.suppress(RuntimeError):
        await person.log_in(PASSWORDS["bob"], "alice")


async def _cells(office: Office, person: Person) -> None:
    """Run all cells in a kernel of this person; each one's messages are a sink."""
    async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
        log = str(office.outside / "kernel.log")
        await _checked(socket, SETUP.format(log=log, marker=MARKER))
        for name, code in CELLS.items():
            result = await socket.execute(code)
            office.keep_sink(f"cell: {name}", json.dumps([result.reply, result.messages]))
        office.keep_sink(
            "messages of the person's own websocket", json.dumps(socket.everything, default=str)
        )
        await _checked(socket, KEEP.format(path=str(office.outside / _JSON)))
        _keep_values(office)


async def _checked(socket: KernelSocket, code: str) -> None:
    result = await socket.execute(code)
    if result.errors:
        raise RuntimeError(result.errors[0])


def _keep_values(office: Office) -> None:
    """Take what a kernel has written for the search."""
    for line in (office.outside / _JSON).read_text().splitlines():
        for kind, value in json.loads(line).items():
            office.keep_secret(kind, value)


async def _agents(office: Office, *people: Person) -> None:
    """Let an agent of each user work; a token in a URL, and a wrong one, are refused."""
    for person in people:
        agent = await agent_of(person, MARKER)
        office.keep_secret("agent's token", agent.model["token"])
        async with kernel_of(agent) as kernel_id, opened(agent, kernel_id) as socket:
            result = await socket.execute(f"{WHO_ACTS}\nprint({MARKER!r}, _session.to_wire())")
            office.keep_sink(
                "messages of an agent's websocket", json.dumps(socket.everything, default=str)
            )
            if result.errors:
                raise RuntimeError(result.errors[0])
        wrong = Agent(person.url, {"token": secrets.token_urlsafe(32)})
        office.keep_secret("wrong token", wrong.headers["Authorization"].partition(" ")[2])
        await wrong.fetch("api/session-user/me")
        await Person(person.url).fetch(f"api/session-user/me?token={agent.model['token']}")


async def _shared_kernel(office: Office, alice: Person, bob: Person) -> None:
    """Alice asks for everything in a kernel whose messages bob reads."""
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        for socket in (hers, his):
            path = str(office.outside / _JSON)
            await _checked(socket, SHARED.format(path=path, marker=MARKER))
        read = json.dumps(his.everything, default=str)
        office.keep_sink("messages of another user's websocket", read)
    _keep_values(office)


async def _failures(office: Office, alice: Person) -> None:
    """The provider is down, and then answers with the secret that it was sent."""
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as socket:
        await socket.execute("import jupyter_session_user as j")
        for faults in ({"down": 503}, {"echo": True}):
            office.provider.faults(**faults)
            await _checked(socket, FAILS.format(marker=MARKER))
        office.provider.faults()
        shown = json.dumps(socket.everything, default=str)
    office.keep_sink("errors of a provider that fails", shown)
    await alice.fetch("api/leaky/raise")


@asynccontextmanager
async def _events(office: Office, bob: Person) -> AsyncIterator[Any]:
    """Read all events as bob, who is an administrator; yields what subscribes him."""
    got: list[str] = []
    reading: list[tuple[WebSocketClientConnection, asyncio.Task[None]]] = []

    async def subscribe() -> None:
        request = HTTPRequest(f"ws{bob.url[4:]}api/events/subscribe", headers=bob._cookie_header())
        connection = await websocket_connect(request)

        async def read() -> None:
            while (text := await connection.read_message()) is not None:
                got.append(str(text))

        reading.append((connection, asyncio.create_task(read())))

    try:
        yield subscribe
    finally:
        for connection, task in reading:
            connection.close()
            await task
    office.keep_sink("events websocket", *got)


_ROUTES = (
    *("me", "sessions", "agents", "health", "jwks.json", ".well-known/openid-configuration"),
    "no-such-route",
)
_PAGES = (f"lab/tree/{MARKER}.ipynb", "lab", "session-user/login-state", "session-user/signed-in")


async def _answers(office: Office, alice: Person, bob: Person) -> None:
    """Read what REST and pages tell a user about the other, and about the user."""
    body = {"path": f"{MARKER}.ipynb", "name": MARKER, "type": "notebook"}
    model = await alice.json(
        "api/sessions", method="POST", body={**body, "kernel": {"name": "python3"}}
    )
    kernel = model["kernel"]["id"]
    for person in (alice, bob):
        for route in (*_ROUTES, f"kernels/{kernel}/runs"):
            answer = await person.fetch(f"api/session-user/{route}")
            office.keep_sink("REST of this package", answer.headers, answer.body)
        for route in ("api/sessions", "api/kernels", "api/me", "api/status", "api/contents"):
            answer = await person.fetch(route)
            office.keep_sink("REST of Jupyter Server", answer.headers, answer.body)
        for page in _PAGES:
            office.keep_sink("HTML of the pages", (await person.fetch(page)).body)
        for path in ("api/leaky/raise", "api/leaky/raise?answer"):
            answer = await person.fetch(path)
            office.keep_sink("answer of a handler that fails", answer.headers, answer.body)
    await alice.fetch("api/leaky/sign")
    office.keep_sink("metrics", (await bob.fetch("metrics")).body)
    await alice.fetch(f"api/sessions/{model['id']}", method="DELETE")
