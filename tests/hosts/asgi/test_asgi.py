"""Two visitors of FastAPI and Starlette at the same time, behind a real uvicorn."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from app_servers import JANE, WHO, AppServer, app_server, ask, platform_cookie
from sockets import shut
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

ALICE = {"authorization": "Bearer a"}
BOB = {"authorization": "Bearer b"}
IS_ALICE = "alice verified by asgi"
IS_BOB = "bob verified by asgi"


@pytest.fixture(scope="module", params=["h11", "httptools"])
def server(request, need) -> Iterator[AppServer]:
    """Run the app behind uvicorn, with one of its two HTTP parsers."""
    need(importlib.util.find_spec("uvicorn"), "uvicorn is missing")
    need(importlib.util.find_spec("fastapi"), "fastapi is missing")
    need(importlib.util.find_spec("httptools"), "httptools is missing")
    app = Path(__file__).with_name("asgi_app.py").read_text(encoding="utf-8")
    with app_server(
        *(sys.executable, "-m", "uvicorn", "asgi_app:app", "--port", "{port}"),
        *("--http", request.param, "--log-level", "warning"),
        files={"asgi_app.py": app, "who.py": WHO},
        ready="/async",
    ) as running:
        yield running


def both(server, path, *, bob: str | None = None):
    """Return the responses to two visitors at the same time."""
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(server.get, path, **ALICE)
        other = pool.submit(server.get, bob or path, **BOB)
        return one.result(), other.result()


@pytest.mark.parametrize("path", ["/async", "/sync", "/mounted/who", "/inside/who", "/outside/who"])
def test_handlers(server, path):
    """Coroutines, the thread pool, mounted apps, Starlette's own authentication."""
    assert both(server, path) == (IS_ALICE, IS_BOB)


def test_two_visitors_inside_one_another(server):
    """Both requests are in the handler at the same time: directly, in a thread, in a task."""
    assert both(server, "/both/alice", bob="/both/bob") == ([IS_ALICE] * 3, [IS_BOB] * 3)


def test_streamed_answers(server):
    """A streamed body is made as the visitor."""
    assert both(server, "/stream") == ([IS_ALICE], [IS_BOB])


def test_bare_thread(server):
    """A bare thread has no user; a thread with a bound identity has the visitor."""
    nobody = "nobody: no_context"
    assert both(server, "/bare-thread") == ([nobody, IS_ALICE], [nobody, IS_BOB])


def test_background_and_outliving_tasks(server):
    """Starlette's background tasks have the visitor; a task that outlives its request has none."""
    both(server, "/background")
    both(server, "/task")
    notes = server.get("/notes")
    assert notes == {
        "background alice": IS_ALICE,
        "background bob": IS_BOB,
        "task alice": "nobody: no_context",
        "task bob": "nobody: no_context",
        "bound task alice": IS_ALICE,
        "bound task bob": IS_BOB,
    }


def test_reload_as_the_other_person_on_the_same_connection(server):
    """Requests on one connection follow their own credentials."""
    with server.connect() as connection:
        said = [ask(connection, "/async", **who) for who in (ALICE, BOB, {}, ALICE)]
    assert said == [IS_ALICE, IS_BOB, "anonymous", IS_ALICE]


def test_a_contextvar_does_not_leak_into_a_pipelined_request(server):
    """A pipelined request begins in uvicorn inside the previous one, with its context.

    A middleware that sets a ContextVar and never resets it names alice in the second response,
    which does not pass through our middleware.
    """
    host, port = server.host.split(":")
    request = "GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as raw:
        raw.sendall(
            (
                request.format("/sync", "Authorization: Bearer a\r\n")
                + request.format("/bare", "")
                + request.format("/async", "Connection: close\r\n")
            ).encode()
        )
        with raw.makefile("rb") as stream:
            bodies = [part.rpartition(b"\r\n\r\n")[2] for part in stream.read().split(b"HTTP/1.1")]
    said = [json.loads(body) for body in bodies[1:]]
    assert said == [IS_ALICE, "nobody: no_context", "anonymous"]


def test_a_binding_left_open_does_not_reach_the_next_request(server):
    """A binding that a handler leaves open ends with the request."""
    with server.connect() as connection:
        assert ask(connection, "/leaves-a-binding-open", **ALICE) == IS_ALICE
        assert ask(connection, "/async", **BOB) == IS_BOB


async def test_websockets(server):
    """Each websocket has its own visitor for its whole life."""
    url = f"ws://{server.host}/ws"
    sockets = [await websocket_connect(HTTPRequest(url, headers=who)) for who in (ALICE, BOB)]
    for text in ("one", "two"):
        for one in sockets:
            await one.write_message(text)
        said = await asyncio.gather(*(one.read_message() for one in sockets))
        assert [json.loads(answer) for answer in said] == [
            [text, IS_ALICE, IS_ALICE],
            [text, IS_BOB, IS_BOB],
        ]
    for one in sockets:
        await shut(one)


@pytest.mark.parametrize("path", ["decorated", "in-thread-pool", "depends"])
def test_require_user_answers_with_a_status(server, path):
    """Bob gets 403, an anonymous visitor 401; neither response names another user."""
    path = f"/staff/{path}"
    status, said = server.status(path, **ALICE)
    assert (status, said) == (200, ["alice", IS_ALICE] if path.endswith("depends") else IS_ALICE)
    assert server.status(path, **BOB) == (403, "'bob' is not permitted to do this")
    status, why = server.status(path)
    assert status == 401
    assert "log in" in why


async def test_require_user_refuses_a_websocket(server):
    """A websocket that is not accepted yet is refused with status 403 in its handshake."""
    url = f"ws://{server.host}/staff/ws"
    socket = await websocket_connect(HTTPRequest(url, headers=ALICE))
    assert json.loads(await socket.read_message()) == IS_ALICE
    await shut(socket)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    }
    for headers in (BOB, {}):
        with server.connect() as connection:
            connection.request("GET", "/staff/ws", headers=upgrade | headers)
            assert connection.getresponse().status == 403


def test_platform_cookie(server):
    """The platform's cookie names Jane Doe, unverified; two visitors are two users."""
    jane = server.get("/cookies", cookie=f"numerous_user_info={JANE}; theme=dark")
    assert jane == ["abcdefghij1234567890 unverified by asgi", "Jane Doe", "dark"]
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda n: server.get("/cookies", cookie=platform_cookie(n)), ("ann", "ben"))
        assert [answer[0] for answer in said] == [
            "ann unverified by asgi",
            "ben unverified by asgi",
        ]


def test_strangers_are_not_taken_for_one_another(server):
    """Two anonymous visitors are distinct, even if their browsers send the same cookie."""
    one, other = (server.get("/username", cookie="theme=dark") for _ in range(2))
    assert one.startswith("anonymous-") and other.startswith("anonymous-")
    assert one != other


def test_the_apps_own_login_wins_over_the_cookie(server):
    """The cookie names only visitors that the app does not name."""
    assert server.get("/async", **ALICE, cookie=platform_cookie("mallory")) == IS_ALICE


def test_a_header_counts_only_where_it_is_trusted(server):
    """The header names the user if the app allows it, and if it comes once from the proxy."""
    header = {"x_forwarded_user": "carol"}
    assert server.get("/async", **header) == "anonymous"
    assert server.get("/proxied/who", **header) == "carol verified by asgi"
    assert server.get("/elsewhere/who", **header) == "anonymous"
    with server.connect() as connection:
        connection.putrequest("GET", "/proxied/who")
        for name in ("mallory", "carol"):
            connection.putheader("X-Forwarded-User", name)
        connection.endheaders()
        assert json.loads(connection.getresponse().read()) == "anonymous"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("alias", ["X_Forwarded_User", "x-forwarded_user", "X.Forwarded.User"])
def test_another_spelling_of_the_header_voids_it(server, alias, order):
    """If a proxy forwards another spelling, a visitor may have written the header."""
    for name in ("alice", "bob"):
        headers = [("X-Forwarded-User", name), (alias, "mallory")][::order]
        for sent in (headers, [(alias, name)]):
            with server.connect() as connection:
                connection.putrequest("GET", "/proxied/who")
                for key, value in sent:
                    connection.putheader(key, value)
                connection.endheaders()
                assert json.loads(connection.getresponse().read()) == "anonymous"
