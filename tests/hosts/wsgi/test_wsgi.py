"""Two visitors of Flask and Dash at the same time, on a real server with and without threads."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from app_servers import JANE, WHO, AppServer, app_server, eventually, platform_cookie

IS_ALICE = "alice verified by wsgi"
IS_BOB = "bob verified by wsgi"


def running(need, *arguments: str) -> Iterator[AppServer]:
    """Run the app."""
    need(importlib.util.find_spec("flask"), "flask is missing")
    app = Path(__file__).with_name("wsgi_app.py").read_text(encoding="utf-8")
    files = {"wsgi_app.py": app, "who.py": WHO}
    with app_server(
        sys.executable, "wsgi_app.py", "{port}", *arguments, files=files, ready="/who"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def server(need) -> Iterator[AppServer]:
    """Run the app with a thread for each request."""
    yield from running(need, "threaded")


@pytest.fixture(scope="module")
def one_thread(need) -> Iterator[AppServer]:
    """Run the app on one thread, which serves all visitors in turn."""
    yield from running(need)


@pytest.fixture(scope="module")
def dash_server(need) -> Iterator[AppServer]:
    """Run the app with Dash beside it."""
    need(importlib.util.find_spec("dash"), "dash is missing")
    yield from running(need, "threaded", "dash")


def log_in(server, login: str) -> str:
    """Return the cookie of a login at Flask's own session."""
    with server.connect() as connection:
        connection.request("GET", f"/who?login={login}")
        response = connection.getresponse()
        response.read()
        return response.headers["Set-Cookie"].partition(";")[0]


def both(server, path, bob: str | None = None):
    """Return the responses to two visitors at the same time."""
    cookies = [log_in(server, login) for login in ("a", "b")]
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(server.get, path, cookie=cookies[0])
        other = pool.submit(server.get, bob or path, cookie=cookies[1])
        return one.result(), other.result()


def test_two_visitors_inside_one_another(server):
    """Both requests are in the view at the same time."""
    assert both(server, "/both/alice", "/both/bob") == (IS_ALICE, IS_BOB)


@pytest.mark.parametrize("path", ["/stream", "/stream-without-flask"])
def test_streamed_answers(server, path):
    """A body that is made after the view has returned runs as the visitor."""
    assert both(server, path) == ([IS_ALICE], [IS_BOB])


def test_a_strangers_stream(server):
    """An anonymous visitor of the view stays anonymous in the body; a first call there raises."""
    (said,) = server.get("/stream-without-flask")
    assert said.startswith("anonymous")
    assert server.get("/stream-asked-late") == ["nobody: no_context"]


def test_require_user_answers_with_a_status(server):
    """Bob gets 403, an anonymous visitor 401."""
    alice, bob = (log_in(server, login) for login in ("a", "b"))
    assert server.status("/staff", cookie=alice) == (200, IS_ALICE)
    assert server.status("/staff", cookie=bob) == (403, "'bob' is not permitted to do this")
    assert server.status("/staff")[0] == 401


def test_threads(server):
    """A bare thread has no user, also after the request; a bound thread has the visitor."""
    nobody = "nobody: no_context"
    assert both(server, "/thread") == ([nobody, IS_ALICE], [nobody, IS_BOB])
    notes = eventually(lambda: {"alice", "bob"} <= (found := server.get("/notes")).keys() and found)
    assert (notes["alice"], notes["bob"]) == (nobody, nobody)


def test_an_answer_that_is_given_up(server):
    """The close of an abandoned stream still runs as the user of the request."""
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as raw:
        cookie = log_in(server, "a")
        raw.sendall(f"GET /abandoned HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        raw.recv(100)
    assert eventually(lambda: server.get("/notes").get("abandoned")) == IS_ALICE


@pytest.mark.parametrize("path", ["/who", "/stream", "/fails", "/leaves-a-binding-open"])
def test_a_contextvar_does_not_leak_into_the_next_request_on_the_thread(one_thread, path):
    """The next request on alice's thread has its own visitor, or no user.

    A middleware that sets a ContextVar and never resets it names alice in all of them.
    """
    alice = log_in(one_thread, "a")
    with one_thread.connect() as connection:
        connection.request("GET", path, headers={"Cookie": alice})
        connection.getresponse().read()
    assert one_thread.get("/bare/who") == "nobody: no_context"
    assert one_thread.get("/who") == "anonymous"
    assert one_thread.get("/who", cookie=log_in(one_thread, "b")) == IS_BOB


def test_reload_as_the_other_person(one_thread):
    """Each request follows its own cookie."""
    assert both(one_thread, "/who") == (IS_ALICE, IS_BOB)
    assert one_thread.get("/who?login=b", cookie=log_in(one_thread, "a")) == IS_BOB


def test_platform_cookie(server):
    """The platform's cookie names Jane Doe, unverified; two visitors are two users."""
    jane = server.get("/cookies", cookie=f"numerous_user_info={JANE}; theme=dark")
    assert jane == ["abcdefghij1234567890 unverified by wsgi", "Jane Doe", "dark"]
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda n: server.get("/cookies", cookie=platform_cookie(n)), ("ann", "ben"))
        assert [answer[0] for answer in said] == [
            "ann unverified by wsgi",
            "ben unverified by wsgi",
        ]


def test_a_header_counts_only_where_it_is_trusted(server):
    """A header names the user if the app is configured for it, and it comes once from the proxy."""
    header = {"x_forwarded_user": "carol"}
    assert server.get("/who", **header) == "anonymous"
    assert server.get("/proxied/who", **header) == "carol verified by wsgi"
    assert server.get("/elsewhere/who", **header) == "anonymous"
    assert server.get("/server/who", remote_user="mallory") == "anonymous"
    with server.connect() as connection:
        connection.putrequest("GET", "/proxied/who")
        for name in ("mallory", "carol"):
            connection.putheader("X-Forwarded-User", name)
        connection.endheaders()
        assert json.loads(connection.getresponse().read()) == "anonymous"


def test_dash_callbacks(dash_server):
    """A click on a Dash page runs as the user of the click."""
    click = {
        "output": "said.children",
        "outputs": {"id": "said", "property": "children"},
        "inputs": [{"id": "button", "property": "n_clicks", "value": 1}],
        "changedPropIds": ["button.n_clicks"],
    }

    def press(cookie):
        with dash_server.connect() as connection:
            headers = {"Cookie": cookie, "Content-Type": "application/json"}
            path = "/dash/_dash-update-component"
            connection.request("POST", path, json.dumps(click), headers)
            return json.loads(connection.getresponse().read())["response"]["said"]["children"]

    cookies = [log_in(dash_server, login) for login in ("a", "b")]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(press, cookies)) == [IS_ALICE, IS_BOB]
    assert press("") == "anonymous"
