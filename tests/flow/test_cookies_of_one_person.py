"""Cookies go to a kernel that only one user has ever used; others get the shared cookies."""

from __future__ import annotations

import asyncio
import importlib.util
import json

import pytest
from local_server import LocalServer
from people import KernelSocket, Person
from servers import DEMO, kernel_of, log_after, opened, own_server, people_on, username

#: Names that no list of credentials knows; the test server shares ``locale``.
SECRETS = {"sessionid": "s", "connect.sid": "c", "_gitlab_session": "g", "id_token": "i"}
NAMES = "import json, jupyter_session_user as j; print(json.dumps(sorted(j.get_cookies())))"
#: The demo server's login page sets this cookie as well.
OWN = sorted([*SECRETS, "demo_platform_user", "locale"])


async def names(socket: KernelSocket) -> list[str]:
    """Return the names of the cookies that a cell gets; the kernel's cookie cache is new."""
    fresh = "from jupyter_session_user.kernel import live_session; live_session._cookies.clear()\n"
    result = await socket.execute(fresh + NAMES)
    assert not result.errors
    return json.loads(result.text)


def bake(person: Person) -> Person:
    """Add cookies of other applications on the same host to a browser."""
    person.cookies |= {**SECRETS, "locale": "de"}
    return person


async def test_who_joins_ends_it_for_good(server):
    """Alice's kernel gets her cookies until Bob connects, and never again."""
    alice, bob = map(bake, await people_on(server))
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert await names(hers) == OWN
        async with opened(bob, kernel_id):
            assert await names(hers) == ["locale"]
        assert await names(hers) == ["locale"]
        await alice.fetch(f"api/kernels/{kernel_id}/restart", method="POST", body={})
        async with opened(alice, kernel_id) as again:
            assert await names(again) == ["locale"]


async def test_in_anothers_kernel_there_are_none(server):
    """No kernel gets another user's cookies, in any order of joining."""
    alice, bob = map(bake, await people_on(server))
    async with kernel_of(bob) as kernel_id, opened(alice, kernel_id) as hers:
        assert await names(hers) == ["locale"]
        async with opened(bob, kernel_id) as his:
            assert await names(his) == ["locale"]


async def test_joining_is_logged_and_shown(server):
    """If a user joins a kernel that holds cookies, the log says so once, without cookie names."""
    alice, bob = map(bake, await people_on(server))
    with log_after(server) as lines:
        async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
            before = await shown(alice, kernel_id)
            await names(hers)
            given = await shown(alice, kernel_id)
            async with opened(bob, kernel_id) as his, opened(bob, kernel_id):
                assert await username(his) == "bob"
            after = await shown(alice, kernel_id)
    assert before == {"kernel_shared": False, "kernel_holds_cookies": False}
    assert given == {"kernel_shared": False, "kernel_holds_cookies": True}
    assert after == {"kernel_shared": True, "kernel_holds_cookies": True}
    assert lines[0].count(f"bob joins kernel {kernel_id}, which holds cookies of alice") == 1
    assert not any(name in lines[0] for name in SECRETS)


async def shown(person: Person, kernel_id: str) -> dict[str, bool]:
    """Return the entry of a kernel in the list of sessions."""
    (session,) = (
        s for s in await person.json("api/session-user/sessions") if s["kernel_id"] == kernel_id
    )
    return {key: session[key] for key in ("kernel_shared", "kernel_holds_cookies")}


async def test_another_browser_of_the_same_person_changes_nothing(server):
    """A second login of the same user does not make the kernel shared."""
    alice, _ = map(bake, await people_on(server))
    again, _ = map(bake, await people_on(server))
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(again, kernel_id) as other,
    ):
        assert await username(other) == "alice"
        assert await names(hers) == await names(other) == OWN


async def test_an_allow_list():
    """With ``cookies`` set, no other cookie leaves the server, even to the user's own kernel."""
    allowed = ("connect.sid", "username-x")
    with own_server(
        *DEMO, *(f"--JupyterSessionUser.cookies={name}" for name in allowed)
    ) as running:
        alice, bob = map(bake, await people_on(running))
        for person in (alice, bob):
            person.cookies["username-x"] = "credential"
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                assert await names(socket) == ["connect.sid"]


@pytest.fixture(scope="module")
def nbmodel_server(need) -> LocalServer:
    """Run a server on which cells can be queued over HTTP."""
    need(importlib.util.find_spec("jupyter_server_nbmodel"), "jupyter-server-nbmodel is missing")
    extensions = ("jupyter_session_user", "jupyter_server_nbmodel")
    with own_server(*DEMO, extensions=extensions) as running:
        yield running


async def test_a_cell_over_http_joins_as_well(nbmodel_server):
    """Alice's own queued cell does not make her kernel shared; Bob's does."""
    alice, bob = map(bake, await people_on(nbmodel_server))
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        path, body = f"api/kernels/{kernel_id}/execute", {"code": "1", "metadata": {}}
        assert (await alice.fetch(path, method="POST", body=body)).code == 202
        await hers.execute("1")
        assert await names(hers) == OWN
        queued = await bob.fetch(path, method="POST", body={**body, "code": "joined = True"})
        assert queued.code == 202
        # The client of nbmodel is ready when the kernel has been silent for 0.2 s.
        while "joined" not in (await hers.execute("print(*dir())")).text:
            await asyncio.sleep(1)
        assert await names(hers) == []
