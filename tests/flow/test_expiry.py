"""The end of a login on real servers: its source, its effect, and the logins that continue.

The effect on a kernel's websocket is tested in ``test_quarantine.py``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth import passwd
from local_server import LocalServer
from people import KernelSocket, Person
from servers import EXTENSION, PASSWORDS, eventually, kernel_of, opened, own_server, username
from sockets import shut
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

PASSWORD = "one for all"
PASSWORD_SERVER = (f"--PasswordIdentityProvider.hashed_password={passwd(PASSWORD)}",)

#: Every route into the server; ``{kernel}`` stands for a running kernel.
ROUTES = [
    ("GET", "api/me"),
    ("GET", "api/kernels"),
    ("GET", "api/contents"),
    ("GET", "api/session-user/me"),
    ("POST", "api/kernels"),
    ("POST", "api/kernels/{kernel}/interrupt"),
]

WAIT = """
import time
from pathlib import Path
while not Path({flag!r}).exists():
    time.sleep(0.02)
print("done")
"""


async def logged_in(server: LocalServer) -> Person:
    """Return a browser that is logged in with the password."""
    person = Person(server.url)
    await person.log_in(PASSWORD)
    return person


async def answers(person: Person, kernel_id: str) -> set[int]:
    """Return the statuses that this browser gets on all routes."""
    found = set()
    for method, path in ROUTES:
        body = {} if method == "POST" else None
        response = await person.fetch(path.format(kernel=kernel_id), method=method, body=body)
        found.add(response.code)
    return found


async def handshake(person: Person, kernel_id: str) -> int:
    """Return the status of a new kernel websocket: 101 if it opens."""
    try:
        socket = await person.connect(kernel_id)
    except HTTPClientError as error:
        return error.code
    await socket.close()
    return 101


def copy_of(person: Person) -> Person:
    """Return a client that holds the same cookies."""
    thief = Person(person.url, person.headers)
    thief.cookies.update(person.cookies)
    return thief


async def test_without_us_a_cookie_is_good_after_logout():
    """The reason for these tests: a plain Jupyter Server accepts the old cookie for a month."""
    with own_server(*PASSWORD_SERVER, extensions=()) as server:
        alice = await logged_in(server)
        thief = copy_of(alice)
        await alice.fetch("logout")
        assert (await thief.fetch("api/me")).code == 200


@pytest.fixture(scope="module")
def password_server() -> Iterator[LocalServer]:
    """Run a plain Jupyter Server with a password, terminals, and this extension."""
    with own_server(
        *PASSWORD_SERVER, extensions=(EXTENSION, "jupyter_server_terminals")
    ) as running:
        yield running


async def test_a_cookie_is_worth_nothing_after_logout(password_server):
    """The server refuses the ended login on every route; the other user's login stays valid."""
    alice, bob = await logged_in(password_server), await logged_in(password_server)
    async with kernel_of(bob) as kernel_id:
        thief = copy_of(alice)
        assert not await answers(thief, kernel_id) & {302, 403}
        await alice.fetch("logout")
        assert await answers(thief, kernel_id) == {403}
        assert await handshake(thief, kernel_id) == 403
        assert not await answers(bob, kernel_id) & {302, 403}
        assert await handshake(bob, kernel_id) == 101


async def test_after_logout_the_same_browser_can_sign_in_again(password_server):
    """A page redirects to the login form, also with the old cookie, which the form removes."""
    alice = await logged_in(password_server)
    old = copy_of(alice)
    await alice.fetch("logout")
    old.headers["Accept"] = "text/html"
    page = await old.fetch("files/some.txt")
    assert page.code == 302
    assert page.headers["Location"].startswith("/login")
    assert not [name for name in old.cookies if name.startswith("username-")]
    await old.log_in(PASSWORD)
    assert (await old.json("api/session-user/me"))["state"] == "active"


async def test_each_login_is_one_of_its_own_however_fast_they_come(server):
    """Logins with cookies of the same second stay distinct when one of them ends.

    Alice logs in four times within a second, and signs out in the first browser.
    """
    browsers = []
    for _ in range(4):
        browsers.append(Person(server.url))
        await browsers[-1].log_in(PASSWORDS["alice"], "alice")
    ids = [(await browser.json("api/session-user/me"))["id"] for browser in browsers]
    assert len(set(ids)) == 4
    await browsers[0].fetch("logout")
    await browsers[0].log_in(PASSWORDS["alice"], "alice")
    for browser in browsers:
        assert (await browser.json("api/session-user/me"))["state"] == "active"


@asynccontextmanager
async def terminal(person: Person) -> Any:
    """Open a terminal's websocket for the block."""
    name = (await person.json("api/terminals", method="POST", body={}))["name"]
    url = f"ws{person.url[4:]}terminals/websocket/{name}"
    headers = {**person.headers, **person._cookie_header()}
    connection = await websocket_connect(HTTPRequest(url, headers=headers))
    assert json.loads(await connection.read_message())[0] == "setup"
    try:
        yield connection
    finally:
        await shut(connection)


async def closed_with(connection: Any) -> int:
    """Return the code with which the server closes this websocket."""
    while await asyncio.wait_for(connection.read_message(), 30) is not None:
        pass
    return connection.close_code


async def test_open_terminals_of_that_login_are_closed(password_server):
    """The server closes Alice's terminal with 4401 at once; Bob's terminal still works."""
    alice, bob = await logged_in(password_server), await logged_in(password_server)
    async with terminal(alice) as hers, terminal(bob) as his:
        await alice.fetch("logout")
        assert await closed_with(hers) == 4401
        await his.write_message(json.dumps(["stdin", "echo 6*7=$((6*7))\r"]))
        text = ""
        while "6*7=42" not in text:
            text += str(json.loads(await asyncio.wait_for(his.read_message(), 30))[1:])


@contextmanager
def fickle_server(folder: Path, *arguments: str) -> Iterator[LocalServer]:
    """Run a server with an identity provider that files in ``folder`` control."""
    with own_server(
        "--ServerApp.identity_provider_class=fickle_identity.FickleIdentityProvider",
        "--ServerApp.disable_check_xsrf=True",
        "--JupyterSessionUser.revalidate_interval=0.5",
        "--JupyterSessionUser.revalidate_timeout=0.3",
        *arguments,
        env={"FICKLE": str(folder)},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return the directory with which a test controls the provider."""
    return tmp_path_factory.mktemp("fickle")


@pytest.fixture(scope="module")
def fickle(folder: Path) -> Iterator[LocalServer]:
    """Run one such server for all tests."""
    with fickle_server(folder) as running:
        yield running


@contextmanager
def told(folder: Path, name: str) -> Iterator[None]:
    """Create a control file of the provider for the block."""
    (folder / name).touch()
    try:
        yield
    finally:
        (folder / name).unlink()


async def refused(socket: KernelSocket) -> bool:
    """Tell whether a cell over this socket is refused; False if its result does not arrive."""
    try:
        errors = (await socket.execute("pass", timeout=5)).errors
    except asyncio.TimeoutError:  # the login was revoked while the cell was running
        return False
    return any(error.startswith(("SessionExpired", "SessionRevoked")) for error in errors)


async def states(person: Person) -> dict[str, tuple[str, bool]]:
    """Return state and degradation of the users' sessions, as an administrator sees them."""
    sessions = await person.json("api/session-user/sessions")
    return {s["user"]["username"]: (s["state"], s["degraded"]) for s in sessions if s["kernel_id"]}


async def test_who_is_removed_at_the_provider_is_out_and_comes_back_with_a_new_handshake(
    fickle, folder
):
    """Removed, Alice's open socket is refused. Accepted again, it is closed with 4400."""
    alice, bob = Person(fickle.url, {"X-User": "alice"}), Person(fickle.url, {"X-User": "bob"})
    async with (
        kernel_of(bob) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        await hers.execute("x = 'what she had'")
        with told(folder, "removed-alice"):
            await eventually(lambda: refused(hers))
            assert await handshake(alice, kernel_id) == 403
            assert await username(his) == "bob"
        await asyncio.wait_for(hers.closed.wait(), 30)
        assert hers.connection.close_code == 4400
        async with opened(alice, kernel_id, session_id=hers.session) as again:
            assert (await again.execute("print(x)")).text.strip() == "what she had"
            assert await username(again) == "alice"


@pytest.mark.parametrize("trouble", ["down", "slow"])
async def test_a_provider_that_cannot_be_asked_ends_nothing(fickle, folder, trouble):
    """If the provider cannot be reached, open sockets keep working, and sessions are degraded."""
    root = Person(fickle.url, {"X-User": "root"})
    alice, bob = Person(fickle.url, {"X-User": "alice"}), Person(fickle.url, {"X-User": "bob"})
    async with (
        kernel_of(bob) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
        with told(folder, trouble):
            state = "_jsu.get_session().refresh().degraded"
            for socket in (hers, his):

                async def degraded(socket: KernelSocket = socket) -> bool:
                    return (await socket.execute(f"print({state})")).text.strip() == "True"

                await eventually(degraded)
            assert [await username(s) for s in (hers, his)] == ["alice", "bob"]

        async def decided() -> bool:
            return await states(root) == {"alice": ("active", False), "bob": ("active", False)}

        await eventually(decided)


async def test_who_may_no_more_is_out(folder):
    """The authorizer is asked as well: bob is logged in, but no longer permitted to run code."""
    with fickle_server(
        folder, "--ServerApp.authorizer_class=fickle_authorizer.FickleAuthorizer"
    ) as server:
        alice, bob = (Person(server.url, {"X-User": name}) for name in ("alice", "bob"))
        async with (
            kernel_of(alice) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
            with told(folder, "unshared-bob"):
                await eventually(lambda: refused(his))
                assert (await bob.fetch("api/me")).code == 200  # bob is still logged in
                assert await refused(his)
                assert await username(hers) == "alice"
            await asyncio.wait_for(his.closed.wait(), 30)
            assert his.connection.close_code == 4400


LIFETIME_S = 4


async def test_a_provider_that_renews_its_cookie_costs_nobody_a_job(tmp_path):
    """A job outlives its first cookie, which has only an estimated end, and keeps its user.

    The obvious implementation asks the provider about the cookie of the socket's handshake.
    """
    with own_server(
        "--ServerApp.identity_provider_class=fickle_identity.RenewingIdentityProvider",
        *PASSWORD_SERVER,
        "--JupyterSessionUser.revalidate_interval=0.5",
        "--JupyterSessionUser.expiry_warning=1",
        env={"LIFETIME": str(LIFETIME_S)},
    ) as server:
        alice, bob = await logged_in(server), await logged_in(server)
        alice.headers["Accept"] = "text/html"  # alice's tab opens pages; bob's does not
        first, flag = copy_of(alice), tmp_path / "flag"
        async with (
            kernel_of(alice) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            before = await username(hers)
            job = await hers.send(
                hers.message("execute_request", {"code": WAIT.format(flag=str(flag))})
            )
            over = time.monotonic() + 2 * LIFETIME_S
            while time.monotonic() < over:
                await alice.fetch("api/session-user/me")
                await asyncio.sleep(0.5)
            assert (await first.fetch("api/me")).code == 403  # that cookie is really too old
            flag.touch()
            assert (await hers.finish(job)).text.strip() == "done"
            assert await username(hers) == before
            assert await refused(his)


def jwt(**claims: Any) -> str:
    """Return a token without a signature: the provider of this test verifies nothing."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts), ""])


async def test_the_end_of_a_token_is_kept_to_the_second_and_told_before(fickle_jwt):
    """Alice's cell sees the end in advance; afterwards her messages are refused, Bob's are not."""
    alice, bob = (Person(fickle_jwt.url, {"X-User": name}) for name in ("alice", "bob"))
    end = time.time() + 10
    alice.cookies["id_token"] = jwt(sub="alice", sid="1", exp=end)
    bob.cookies["id_token"] = jwt(sub="bob", sid="2", exp=end + 600)
    async with (
        kernel_of(bob) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
        look = "s = _jsu.get_session(); print(s.expiry_source, 0 < s.seconds_left <= 10)"
        assert (await hers.execute(look)).text.strip() == "jwt True"
        await asyncio.sleep(end - time.time())
        assert await refused(hers)
        assert (await alice.fetch("api/me")).code == 403
        assert await handshake(alice, kernel_id) == 403
        assert await username(his) == "bob"
        alice.cookies["id_token"] = jwt(sub="alice", sid="1", exp=end + 600)  # signed in again
        assert (await alice.json("api/session-user/me"))["state"] == "active"
        await asyncio.wait_for(hers.closed.wait(), 30)
        assert hers.connection.close_code == 4400


async def test_a_token_renewed_in_time_ends_nothing(fickle_jwt):
    """The socket was opened with the first token; the browser has sent a later token since."""
    alice, bob = (Person(fickle_jwt.url, {"X-User": name}) for name in ("alice", "bob"))
    end = time.time() + 10
    for person, sid in ((alice, "3"), (bob, "4")):
        person.cookies["id_token"] = jwt(sub="x", sid=sid, exp=end)
    async with (
        kernel_of(bob) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        alice.cookies["id_token"] = jwt(sub="x", sid="3", exp=end + 600)
        await alice.json("api/session-user/me")
        await asyncio.sleep(end - time.time())
        assert await username(hers) == "alice"
        assert await refused(his)


@pytest.fixture(scope="module")
def fickle_jwt(folder: Path) -> Iterator[LocalServer]:
    """Run a server with tokens that have an end."""
    with fickle_server(folder, "--JupyterSessionUser.jwt_cookie=id_token") as running:
        yield running


async def test_who_does_nothing_is_signed_out_and_who_works_is_not():
    """Polling is not activity, a cell is; after the timeout the cookie is refused permanently."""
    with own_server(*PASSWORD_SERVER, "--JupyterSessionUser.idle_timeout=8") as server:
        alice, bob = await logged_in(server), await logged_in(server)
        async with (
            kernel_of(bob) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            name = await username(his)
            for _ in range(20):
                await alice.fetch("api/session-user/me")
                assert await username(his) == name
                await asyncio.sleep(0.5)
            assert await refused(hers)
            assert (await alice.fetch("api/me")).code == 403
            assert await username(his) == name


async def test_where_nobody_is_authenticated_nobody_is_thrown_out():
    """A page in a frame of another site sends no cookie; it works as before, with any setting."""
    with own_server(
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--JupyterSessionUser.idle_timeout=1",
        "--JupyterSessionUser.absolute_timeout=1",
        "--JupyterSessionUser.revalidate_interval=0.2",
    ) as server:
        frames = [Person(server.url), Person(server.url)]
        async with kernel_of(frames[0]) as kernel_id:
            for person in frames:
                person.cookies.clear()
            async with opened(frames[0], kernel_id) as one, opened(frames[1], kernel_id) as other:
                await asyncio.sleep(2)
                for socket in (one, other):
                    assert (await socket.execute("print(6 * 7)")).text.strip() == "42"
