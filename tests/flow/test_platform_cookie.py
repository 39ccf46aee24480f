"""``identity_from_cookie``: the platform's cookie names the user, and may be trusted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from local_server import LocalServer
from people import Person
from servers import (
    DEMO,
    eventually,
    fresh_id,
    give_sign,
    identity,
    is_watched,
    json_lines,
    kernel_of,
    opened,
    own_server,
    people_on,
)

TOKEN = "t" * 48
COOKIE = "numerous_user_info"
CONFIG = {"cookie": COOKIE, "username": "user_id", "name": "user_full_name"}
PLATFORM = f"--JupyterSessionUser.identity_from_cookie={CONFIG!r}"
PROXIES = "--JupyterSessionUser.trusted_proxies="
OPEN = (
    "--IdentityProvider.token=",
    "--PasswordIdentityProvider.hashed_password=",
    "--ServerApp.disable_check_xsrf=True",
    PLATFORM,
)
#: A cell that prints its session as a list.
SEEN = """
import json
from jupyter_session_user import get_session
s = get_session()
print(json.dumps([s.user.username, s.user.name, s.verified, s.source, s.user.is_anonymous]))
"""
NAMES = """
import json
from jupyter_session_user import get_cookies
print(json.dumps(sorted(get_cookies())))
"""
JANE = ["jane", "Jane Doe", False, "platform_cookie", False]
JOHN = ["john", "John Roe", False, "platform_cookie", False]


@pytest.fixture(scope="module")
def platform_server() -> Iterator[LocalServer]:
    """Run a server without logins behind a platform that sets a cookie."""
    with own_server(*OPEN) as running:
        yield running


@pytest.fixture(scope="module")
def proxied_server() -> Iterator[LocalServer]:
    """Run the same server, with this machine as the trusted proxy, and a token."""
    token = f"--IdentityProvider.token={TOKEN}"
    with own_server(token, *OPEN[1:], f"{PROXIES}127.0.0.0/8") as running:
        yield running


def value(username: str, name: str) -> str:
    """Return a cookie as the platform writes it."""
    return base64.b64encode(
        json.dumps({"user_id": username, "user_full_name": name}).encode()
    ).decode()


def visitor(server: LocalServer, username: str, name: str, **headers: str) -> Person:
    """Return a visitor that the platform names."""
    person = Person(server.url, headers)
    person.cookies[COOKIE] = value(username, name)
    return person


def jane_and_john(server: LocalServer, **headers: str) -> tuple[Person, Person]:
    """Return two users with a browser each."""
    jane = visitor(server, "jane", "Jane Doe", **headers)
    return jane, visitor(server, "john", "John Roe", **headers)


async def seen(person: Person, kernel_id: str) -> list:
    """Return the session that a cell of this user has."""
    async with opened(person, kernel_id) as socket:
        (answer,) = await json_lines(socket, SEEN)
    return answer


async def test_two_visitors_on_one_kernel_are_the_platforms_two_users(platform_server):
    """Each cell has its own user, named but not verified, however often the users take turns."""
    jane, john = jane_and_john(platform_server)
    async with kernel_of(jane) as kernel_id:
        async with opened(jane, kernel_id) as hers, opened(john, kernel_id) as his:
            for _ in range(3):
                assert await json_lines(hers, SEEN) == [JANE]
                assert await json_lines(his, SEEN) == [JOHN]
        mine = await jane.json("api/session-user/sessions")
    assert {s["user"]["username"] for s in mine} == {"jane"}


async def test_a_trusted_proxy_verifies(proxied_server):
    """From a peer in ``trusted_proxies`` the same cookies make verified users."""
    people = jane_and_john(proxied_server, Authorization=f"token {TOKEN}")
    async with kernel_of(people[0]) as kernel_id:
        for person, expected in zip(people, (JANE, JOHN), strict=True):
            verified = [*expected[:2], True, *expected[3:]]
            assert await seen(person, kernel_id) == verified


@pytest.mark.parametrize("xheaders", [False, True], ids=["plain", "trust_xheaders"])
async def test_forwarded_headers_make_nobody_a_trusted_proxy(xheaders):
    """The peer's own address counts: any client can write a header, even a trusted one."""
    options = [f"{PROXIES}10.0.0.0/8", f"--ServerApp.trust_xheaders={xheaders}"]
    with own_server(*OPEN, *options) as server:
        spoof = {
            "X-Forwarded-For": "10.1.2.3",
            "X-Real-IP": "10.1.2.3",
            "Forwarded": "for=10.1.2.3",
        }
        jane, john = jane_and_john(server, **spoof)
        async with kernel_of(jane) as kernel_id:
            assert await seen(jane, kernel_id) == JANE
            assert await seen(john, kernel_id) == JOHN


async def test_an_ambiguous_cookie_is_not_used(platform_server):
    """If the cookie came twice, another site may have set one: the visitor stays anonymous."""
    jane, john = jane_and_john(platform_server)
    header = f"{COOKIE}={value('jane', 'Jane')}; {COOKIE}={value('mallory', 'M')}"
    twice = Person(platform_server.url, {"Cookie": header})
    async with kernel_of(jane) as kernel_id:
        _, _, verified, source, anonymous = await seen(twice, kernel_id)
        assert (verified, source, anonymous) == (False, "jupyter_server", True)
        assert await seen(john, kernel_id) == JOHN


async def test_the_provider_comes_first():
    """Users that the identity provider names keep their name, with any cookie."""
    with own_server(*DEMO, PLATFORM, f"{PROXIES}127.0.0.0/8") as server:
        alice, bob = await people_on(server)
        alice.cookies[COOKIE], bob.cookies[COOKIE] = value("bob", "Bob"), value("alice", "Alice")
        async with kernel_of(alice) as kernel_id:
            assert (await seen(alice, kernel_id))[::2] == ["alice", True, False]
            assert (await seen(bob, kernel_id))[::2] == ["bob", True, False]
            assert [(await p.json("api/session-user/me"))["source"] for p in (alice, bob)] == [
                "jupyter_server",
                "jupyter_server",
            ]


@pytest.fixture(scope="module")
def mixed_server() -> Iterator[LocalServer]:
    """Run a server that names some users, and accepts others as anonymous users."""
    provider = identity("HeaderOrAnonymousIdentityProvider")
    with own_server(
        *(option.replace("header_identity", "anonymous_identity") for option in provider),
        PLATFORM,
        env={"PYTHONPATH": _paths()},
    ) as running:
        yield running


def _paths() -> str:
    root = Path(__file__).parents[2]
    return ":".join(str(root / p) for p in (".", "tests/support", "tests/server"))


async def test_a_cookie_that_names_an_account_is_not_that_account(mixed_server, tmp_path):
    """A forged cookie does not give its sender the kernel of the user that it names.

    A principal of ``user:<name>`` would do so. The sender gets alice's name, unverified, but not
    her kernel or messages kept for her, and cannot send cookies to her kernel. From then on the
    kernel gets none of her cookies, either.
    """
    alice = Person(mixed_server.url, {"X-User": "alice"})
    alice.cookies["hers"] = "secret"
    mallory = visitor(mixed_server, "alice", "Alice")
    mallory.cookies["his"] = "secret"
    await mallory.fetch("api/session-user/me")  # the login cookie of bob's anonymous user
    async with kernel_of(alice) as kernel_id:
        session_id, secret = await _leave_output_behind(alice, kernel_id, tmp_path / "go")
        async with opened(mallory, kernel_id, session_id=session_id) as his:
            ((username, _, verified, source, _),) = await json_lines(his, SEEN)
            assert (username, verified, source) == ("alice", False, "platform_cookie")
            assert secret not in json.dumps(his.everything)
            assert await json_lines(his, NAMES) == [[]]
        models = await mallory.json("api/session-user/sessions")
        on_it = [m for m in models if m["kernel_id"] == kernel_id]
        assert [(m["owns_kernel"], m["source"]) for m in on_it] == [(False, "platform_cookie")]
        async with opened(alice, kernel_id) as hers:
            assert await json_lines(hers, NAMES) == [[]]
            assert (await json_lines(hers, SEEN))[0][::2] == ["alice", True, False]


async def test_an_owner_whom_nobody_verified_is_not_named_to_a_verified_user(mixed_server):
    """Mallory starts a kernel with a forged cookie of alice; bob is told no owner."""
    bob, mallory = Person(mixed_server.url, {"X-User": "bob"}), visitor(mixed_server, "alice", "A")
    await mallory.fetch("api/session-user/me")
    code = "import json; from jupyter_session_user import *; s = get_session()\n"
    code += "print(json.dumps([s.user.username, s.verified, s.kernel_owner, s.owns_kernel]))"
    async with kernel_of(mallory) as kernel_id:
        async with opened(mallory, kernel_id) as his:
            assert await json_lines(his, code) == [["alice", False, "alice", True]]
        async with opened(bob, kernel_id) as bobs:
            assert await json_lines(bobs, code) == [["bob", True, None, False]]


async def _leave_output_behind(person: Person, kernel_id: str, flag: Path) -> tuple[str, str]:
    """Have a cell print a secret after its websocket is closed; see test_takeover."""
    session_id, secret = fresh_id(), fresh_id()
    code = f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(.01)\n"
    async with opened(person, kernel_id, session_id=session_id) as socket:
        await eventually(lambda: is_watched(person, kernel_id, socket))
        content = {"code": code + f"print({secret!r})", "silent": False, "store_history": False}
        msg_id = await socket.send(socket.message("execute_request", content))
        while (await socket.receive(msg_id))["content"].get("execution_state") != "busy":
            pass

    async def is_now(key: str, wanted: object) -> bool:
        return (await person.json(f"api/kernels/{kernel_id}"))[key] == wanted

    await eventually(lambda: is_now("connections", 0))
    give_sign(flag)
    await eventually(lambda: is_now("execution_state", "idle"))
    return session_id, secret


async def test_require_user_refuses_who_is_not_verified(platform_server):
    """``require_user`` accepts a name that no server has verified only with allow_unverified."""
    jane, john = jane_and_john(platform_server)
    code = (
        "from jupyter_session_user import require_user\n"
        "with require_user({}) as user: print(user.username)"
    )
    async with kernel_of(jane) as kernel_id:
        for person, name in ((jane, "jane"), (john, "john")):
            async with opened(person, kernel_id) as socket:
                (error,) = (await socket.execute(code.format(""))).errors
                assert error == f"AccessDenied: no server has verified that this is '{name}'"
                passed = await socket.execute(code.format("allow_unverified=True"))
                assert passed.text.strip() == name


@pytest.mark.parametrize(
    ("option", "end"),
    [
        (
            "identity_from_cookie={'cookie': 'c'}",
            "{'cookie': 'numerous_user_info', 'username': 'user_id', 'name': 'user_full_name'}",
        ),
        (
            "identity_from_cookie={'cookie': 'c', 'username': 'u', 'decode': 'b64'}",
            "identity_from_cookie: decode is 'b64'; write 'json' or 'jwt'",
        ),
        (
            "trusted_proxies=10.0.0.1/8",
            "has host bits set; write a network in CIDR notation, such as 10.0.0.0/8",
        ),
    ],
    ids=["missing field", "unknown decoder", "no network"],
)
def test_a_setting_that_cannot_work_stops_the_server(option, end):
    """An invalid setting stops the server at once; the last words name the fix.

    Jupyter would continue without an extension that raises. Such a server would not remove forged
    stamps from messages.
    """
    with (
        pytest.raises(RuntimeError, match="the server ended at its start") as caught,
        own_server(f"--JupyterSessionUser.{option}"),
    ):
        pass
    assert str(caught.value).rstrip().endswith(end)
    assert "Traceback" not in str(caught.value)


@asynccontextmanager
async def through_a_proxy(server: LocalServer) -> AsyncIterator[str]:
    """Run a proxy with the address 127.0.0.2; return the server's address behind it."""
    address = urlsplit(server.url)
    links: set[asyncio.Task[None] | None] = set()

    async def relay(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        links.add(asyncio.current_task())
        there, back = await asyncio.open_connection(
            address.hostname, address.port, local_addr=("127.0.0.2", 0)
        )
        try:
            await asyncio.gather(relay(reader, back), relay(there, writer))
        finally:
            back.close()
            writer.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/"
    finally:
        proxy.close()
        for link in filter(None, links):
            link.cancel()
        await asyncio.gather(*filter(None, links), return_exceptions=True)


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is a local address on Linux only")
@pytest.mark.parametrize("token", ["", TOKEN], ids=["auth off", "one token for all"])
async def test_a_forged_cookie_past_the_proxy_is_not_whom_the_proxy_names(token, tmp_path):
    """A client that bypasses the proxy can write any name, but gets no data of that user.

    Jane comes through the proxy and is verified. Mallory connects directly, with Jane's cookie.
    Mallory's session differs from Jane's, and Mallory gets neither her kernel nor her messages.
    """
    headers = {"Authorization": f"token {token}"} if token else {}
    options = (f"--IdentityProvider.token={token}", *OPEN[1:], f"{PROXIES}127.0.0.2/32")
    with own_server(*options) as server:
        async with through_a_proxy(server) as url:
            jane, _ = jane_and_john(server, **headers)
            jane.url = url
            mallory = visitor(server, "jane", "Jane Doe", **headers)
            async with kernel_of(jane) as kernel_id:
                session_id, secret = await _leave_output_behind(jane, kernel_id, tmp_path / "go")
                async with opened(mallory, kernel_id, session_id=session_id) as his:
                    assert (await json_lines(his, SEEN))[0][2] is False
                    assert secret not in json.dumps(his.everything)
                async with opened(jane, kernel_id) as hers, opened(mallory, kernel_id) as his:
                    assert (await json_lines(hers, SEEN))[0][2] is True
                    assert (await json_lines(his, SEEN))[0][2] is False
                    models = await mallory.json("api/session-user/sessions")
                    assert not any(m.get("owns_kernel") for m in models)
