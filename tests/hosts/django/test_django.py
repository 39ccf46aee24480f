"""Two visitors of a Django site at the same time, behind waitress and behind uvicorn."""

from __future__ import annotations

import http
import importlib.util
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from app_servers import WHO, AppServer, app_server, ask

IS_ALICE = "alice verified by django"
IS_BOB = "bob verified by django"
CODE = (
    "import os, subprocess, sys; "
    "subprocess.run([sys.executable, '-c', 'import django_app as a; a.prepare()'], check=True); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
UVICORN = ("-m", "uvicorn", "django_app:nested", "--port", "{port}", "--log-level", "warning")
COMMANDS = {
    "waitress": ("-m", "waitress", "--listen=127.0.0.1:{port}", "django_app:application"),
    "uvicorn": UVICORN,
    "uvicorn, with a middleware that is sync alone": UVICORN,
}


@pytest.fixture(scope="module", params=COMMANDS)
def kind(request) -> str:
    """Return the kind of server."""
    return request.param


@pytest.fixture(scope="module")
def server(kind, need) -> Iterator[AppServer]:
    """Run the site."""
    for module in ("django", COMMANDS[kind][1]):
        need(importlib.util.find_spec(module), f"{module} is missing")
    app = Path(__file__).with_name("django_app.py").read_text(encoding="utf-8")
    with app_server(
        *(sys.executable, "-W", "ignore", "-c", CODE, *COMMANDS[kind]),
        files={"django_app.py": app, "who.py": WHO},
        env={"SYNC_OUTSIDE": "1"} if "alone" in kind else {},
        ready="/none",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def logins(server) -> dict[str, dict[str, str]]:
    """Return the headers of each visitor's browser."""
    return {name: {"cookie": log_in(server, name), "x_name": name} for name in ("alice", "bob")}


def log_in(server, name):
    """Return the cookie of a login."""
    with server.connect() as connection:
        connection.request("GET", f"/as/{name}")
        response = connection.getresponse()
        assert response.status == http.HTTPStatus.OK
        response.read()
        return response.headers["Set-Cookie"].partition(";")[0]


def both(server, logins, path, *, bob: str = ""):
    """Return the responses to two visitors at the same time."""
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(server.get, path, **logins["alice"])
        other = pool.submit(server.get, bob or path, **logins["bob"])
        return one.result(), other.result()


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_views(server, logins, path):
    """Sync and async views."""
    assert both(server, logins, path) == (IS_ALICE, IS_BOB)
    assert server.get(path) == "anonymous"
    assert server.get(path, cookie="sessionid=made-up") == "anonymous"


def test_two_visitors_inside_one_another(server, kind, logins):
    """Both requests are in the view at the same time: directly, in a thread, in a task.

    A variable of the thread, a common pattern, names the other visitor behind uvicorn.
    """
    alice, bob = both(server, logins, "/both/async/alice", bob="/both/async/bob")
    assert (alice["said"], bob["said"]) == ([IS_ALICE] * 3, [IS_BOB] * 3)
    if kind == "uvicorn":
        assert alice["obvious"] == bob["obvious"]
    found = both(server, logins, "/both/sync/alice", bob="/both/sync/bob")
    assert found == ([IS_ALICE] * 2, [IS_BOB] * 2)


@pytest.mark.parametrize("path", ["/stream/sync", "/stream/async"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_streamed_answers(server, logins, path):
    """A streamed body is made as the visitor."""
    assert both(server, logins, path) == ([IS_ALICE], [IS_BOB])


def test_on_commit(server, logins):
    """Code that waits for the transaction runs as the visitor."""
    assert both(server, logins, "/on-commit") == ([IS_ALICE], [IS_BOB])


@pytest.mark.parametrize("path", ["/switch/sync", "/switch/async"])
def test_login_and_logout_in_a_view(server, path):
    """The user follows ``request.user``."""
    cookie = {"cookie": log_in(server, "alice")}
    assert server.get(path, **cookie) == [IS_ALICE, IS_BOB, "anonymous", IS_ALICE]
    assert server.get(path) == ["anonymous", IS_BOB, "anonymous", IS_ALICE]


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_a_package_that_lets_a_user_act_as_another(server, logins, path):
    """``request.user`` counts, even if the session has another user."""
    assert server.get(path, **logins["alice"], x_act_as="bob") == IS_BOB


def test_bare_and_outliving_threads(server, logins):
    """A bare thread has no visitor, and neither has code that outlives its request."""
    nobody = "nobody: no_context"
    found = both(server, logins, "/bare-thread")
    assert found == ([nobody, IS_ALICE], [nobody, IS_BOB])
    both(server, logins, "/outliving")
    assert server.get("/notes") == {"alice": nobody, "bob": nobody}


def test_reload_as_another_user_on_the_same_connection(server, logins):
    """Requests on one connection follow their own cookies."""
    with server.connect() as connection:
        cookies = (logins["alice"], logins["bob"], {}, logins["alice"])
        said = [ask(connection, "/sync", **who) for who in cookies]
    assert said == [IS_ALICE, IS_BOB, "anonymous", IS_ALICE]


def test_the_database_is_asked_when_somebody_asks(server, logins):
    """Session and user are two queries, and the groups one more, once in a request."""
    found = [
        server.get(f"/queries/{asks}", **logins["alice"]) for asks in ("none", "user", "groups")
    ]
    assert found == [0, 2, 3]


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_caches_are_told_where_a_page_depends_on_its_user(server, logins, path):
    """``Vary: Cookie`` is sent only with a page that asks for the user."""
    assert "Cookie" in vary(server, path, logins["alice"])
    for other in ("/none", "/async/none"):
        assert "Cookie" not in vary(server, other, logins["alice"])


def vary(server, path, headers):
    """Return the ``Vary`` header of a response."""
    with server.connect() as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response.headers.get("Vary", "")


@pytest.mark.parametrize("path", ["/described/sync", "/described/async"])
def test_name_groups_and_cookies(server, logins, path):
    """The user is the account; it equals a plain one, and has the browser's cookies."""
    cookie = f"{logins['alice']['cookie']}; theme=dark"
    assert server.get(path, cookie=cookie) == ["Aliceson", ["staff"], False, True, "dark"]
    assert server.get(path, **logins["bob"]) == ["Bobson", [], False, True, None]


@pytest.mark.parametrize("path", ["/staff/sync", "/staff/async"])
def test_require_user_answers_with_a_status(server, logins, path):
    """Bob gets 403, an anonymous visitor 401; neither response names another user."""
    assert server.status(path, **logins["alice"]) == (200, IS_ALICE)
    status, why = server.status(path, **logins["bob"])
    assert (status, "'bob' is not permitted" in why, "the group 'staff'" in why) == (
        403,
        True,
        True,
    )
    status, why = server.status(path)
    assert status == 401
    assert "log in" in why


def test_without_a_login_there_is_an_error(server):
    """The error names the setting."""
    assert server.get("/no-login") == ["nobody: unsupported_host"]


def test_inside_of_another_middleware(server, kind, logins):
    """If both name the same user, it counts; otherwise there is an error."""
    assert server.get("/sync", **logins["alice"], x_outer="alice") == IS_ALICE
    for path in ("/sync", "/async"):
        assert server.get(path, **logins["alice"], x_outer="bob") == "nobody: disagreement"
    outer = "wsgi" if kind == "waitress" else "asgi"
    assert server.get("/sync", x_outer="bob") == f"bob verified by {outer}"
