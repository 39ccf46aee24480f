"""Servers with one cookie secret and one Redis behind nginx, each with its own kernels.

The path of a request names its server, so all requests about a kernel reach the server that has
it. A third server, with another realm and another cookie secret, uses the same Redis.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from contextlib import ExitStack, asynccontextmanager
from http import HTTPStatus

import pytest
from many_people import password_of
from nginx_server import nginx_program, nginx_running
from people import Person
from redis_server import RedisServer
from servers import WHO, eventually, kernel_of, opened, own_server, username
from sockets import shut
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_session_user.core.socket_state import LOGIN_OVER
from jupyter_session_user.core.stamp import KEY

NAMES = [f"person-{number:02}" for number in range(18)]
ROUNDS = 3
SESSIONS = "api/session-user/sessions"
EVERYWHERE = "api/session-user/logout-everywhere"
PROVIDER = (
    "--ServerApp.identity_provider_class=many_people.ManyPeople",
    "--IdentityProvider.cookie_options={'path': '/'}",
    "--ServerApp.trust_xforwarded=True",
)
#: A callback without a cell: it runs when a comm opens, as a widget's does when it is clicked.
CALLBACK = """
def _opened(comm, message):
    print(_jsu.get_current_user().username)
get_ipython().kernel.comm_manager.register_target("who", _opened)
"""


@pytest.fixture(scope="module")
def site(need, tmp_path_factory):
    """Run it all, and return the address of each server behind nginx."""
    need(importlib.util.find_spec("redis"), "redis-py is missing")
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    need(redis, "redis-server is missing")
    nginx = nginx_program()
    need(nginx, "nginx is missing")
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        store = RedisServer(redis, folder)
        stack.callback(store.stop)
        servers = {}
        for name, realm in (("a", "one"), ("b", "one"), ("c", "two")):
            secret = folder / f"secret-{realm}"
            secret.write_text(f"the secret of realm {realm}, and long enough")
            running = own_server(
                *PROVIDER,
                f"--ServerApp.cookie_secret_file={secret}",
                f"--ServerApp.base_url=/{name}/",
                f"--JupyterSessionUser.store_url={store.url}",
                f"--JupyterSessionUser.realm={realm}",
            )
            servers[f"/{name}/"] = stack.enter_context(running).url
        address = stack.enter_context(nginx_running(nginx, folder, servers))
        yield {path.strip("/"): f"{address}{path[1:]}" for path in servers}


def at(url, person):
    """Return the same browser at another server."""
    other = Person(url)
    other.cookies = dict(person.cookies)
    return other


async def logged_in(url, name):
    """Return a browser with a new login."""
    person = Person(url)
    await person.log_in(password_of(name), name)
    return person


async def code(person):
    """Return the status of a request that needs a login."""
    return (await person.fetch("api/kernels")).code


async def refused(*people):
    """Wait until all are refused."""

    async def all_are():
        return [await code(one) for one in people] == [HTTPStatus.FORBIDDEN] * len(people)

    await eventually(all_are)


async def called_back(socket, metadata):
    """Return what the kernel's callback prints for a message of this socket."""
    content = {"comm_id": "who", "target_name": "who", "data": {}}
    msg_id = await socket.send(socket.message("comm_open", content, metadata))
    text = ""
    while True:
        message = await socket.receive(msg_id)
        text += message["content"].get("text", "")
        if message["content"].get("execution_state") == "idle":
            return text.strip()


def forged(number, person_id):
    """Return the metadata of a message; every third one claims to be another person."""
    if number % 3:
        return {}
    name = NAMES[(number + 7) % len(NAMES)]
    return {KEY: {"version": 1, "session_id": person_id, "user": {"username": name}, "source": "x"}}


@asynccontextmanager
async def events_of(person):
    """Open the websocket of the server's events, for the block."""
    cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    url = f"ws{person.url[4:]}api/events/subscribe"
    connection = await websocket_connect(HTTPRequest(url, headers={"Cookie": cookies}))
    try:
        yield connection
    finally:
        await shut(connection)


async def close_code(connection):
    """Return the code with which the server closes a websocket."""
    while await connection.read_message() is not None:
        pass
    return connection.close_code


@asynccontextmanager
async def shared_kernel(site, server):
    """Start a kernel with the callback."""
    starter = await logged_in(site[server], "starter")
    async with kernel_of(starter) as kernel_id, opened(starter, kernel_id) as socket:
        assert await username(socket) == "starter"
        assert not (await socket.execute(CALLBACK)).errors
        yield kernel_id


async def test_everybody_is_who_they_are_on_both_servers(site):
    """18 people, one login each, at both servers: cells and callbacks, a third with forged stamps.

    Each login was made at one of the two servers, and a forged stamp has another person's id.
    """
    people = [await logged_in(site["ab"[n % 2]], name) for n, name in enumerate(NAMES)]
    ids = [(await one.json("api/session-user/me"))["id"] for one in people]
    wrong, answers = [], 0

    async def ask(number, name, socket):
        nonlocal answers
        for turn in range(ROUNDS):
            metadata = forged(number + turn, ids[(number + turn + 7) % len(ids)])
            cell = (await socket.execute(WHO, metadata)).text.strip()
            callback = await called_back(socket, metadata)
            wrong.extend((name, found) for found in (cell, callback) if found != name)
            answers += 2

    async with shared_kernel(site, "a") as on_a, shared_kernel(site, "b") as on_b:
        for server, kernel_id in (("a", on_a), ("b", on_b)):
            sockets = [await at(site[server], one).connect(kernel_id) for one in people]
            pairs = zip(NAMES, sockets, strict=True)
            await asyncio.gather(*(ask(n, *pair) for n, pair in enumerate(pairs)))
            for socket in sockets:
                await socket.close()
    assert wrong == []
    assert answers == 2 * 2 * ROUNDS * len(NAMES)


async def test_a_browser_sends_the_login_cookie_to_both(site):
    """The cookie's path is that of all servers, and its name is the same at each."""
    first = Person(site["a"])
    await first.fetch("login")
    form = {"username": "alice", "password": password_of("alice"), "_xsrf": first.cookies["_xsrf"]}
    answer = await first.fetch("login", method="POST", form=form)
    cookies = [
        line for line in answer.headers.get_list("Set-Cookie") if line.startswith("username")
    ]
    assert len(cookies) == 1
    assert "path=/;" in cookies[0].lower() + ";"
    assert await code(at(site["b"], first)) == HTTPStatus.OK


@pytest.mark.parametrize("how", ["logout", "revoked", "everywhere"])
async def test_an_end_on_one_server_is_one_on_the_other(site, how):
    """Alice's login ends on A. On B her requests and open websockets are refused; bob's go on."""
    alice, elsewhere, bob = [await logged_in(site["a"], name) for name in ("alice", "alice", "bob")]
    unused = await logged_in(site["a"], "alice")  # B never sees this login before its end
    hers, his = at(site["b"], alice), at(site["b"], bob)
    async with (
        kernel_of(his) as kernel_id,
        opened(his, kernel_id) as socket,
        opened(hers, kernel_id) as her_socket,
        events_of(hers) as her_events,
        events_of(his) as his_events,
    ):
        assert [await username(each) for each in (her_socket, socket)] == ["alice", "bob"]
        if how == "logout":
            await alice.fetch("logout")
        elif how == "revoked":
            mine = (await alice.json("api/session-user/me"))["id"]
            path = f"{SESSIONS}/{mine}"
            assert (await bob.fetch(path, method="DELETE")).code == HTTPStatus.NOT_FOUND
            assert (await elsewhere.fetch(path, method="DELETE")).code == HTTPStatus.NO_CONTENT
        else:
            assert (await alice.fetch(EVERYWHERE, method="POST", body={})).code == HTTPStatus.OK
        await refused(hers, *([at(site["b"], unused)] if how == "everywhere" else []))
        error = (await her_socket.execute("1")).reply["ename"]
        assert error == "SessionRevoked"
        assert await asyncio.wait_for(close_code(her_events), 10) == LOGIN_OVER
        assert his_events.close_code is None
        assert await username(socket) == "bob"
        others = HTTPStatus.FORBIDDEN if how == "everywhere" else HTTPStatus.OK
        assert [await code(at(site["b"], one)) for one in (elsewhere, unused)] == [others] * 2
        again = await logged_in(site["b"], "alice")
        assert [await code(at(site[name], again)) for name in "ab"] == [HTTPStatus.OK] * 2
        async with opened(again, kernel_id) as new_socket:
            assert await username(new_socket) == "alice"


async def test_the_alice_of_another_realm_is_another_person(site):
    """One alice signs out everywhere; the other one's cells, and bob's, go on, and vice versa."""
    for here, there in (("a", "c"), ("c", "a")):
        mine, other, bob = [
            await logged_in(site[server], name)
            for server, name in ((here, "alice"), (there, "alice"), (there, "bob"))
        ]
        async with (
            kernel_of(other) as kernel_id,
            opened(other, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            assert (await mine.fetch(EVERYWHERE, method="POST", body={})).code == HTTPStatus.OK
            await refused(mine, *([at(site["b"], mine)] if here == "a" else []))
            await asyncio.sleep(1)  # what wrongly reached the other realm would be there by now
            assert [await username(each) for each in (hers, his)] == ["alice", "bob"]
            assert [await code(one) for one in (other, bob)] == [HTTPStatus.OK] * 2
