"""REST: whose login somebody may end, and that nobody else's browser can do it for him."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import servers
from servers import (
    DEMO,
    PASSWORDS,
    eventually,
    identity,
    kernel_of,
    log_after,
    opened,
    own_server,
    username,
)
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from jupyter_session_user.testing.local_server import LocalServer
from jupyter_session_user.testing.people import Person

SESSIONS = "api/session-user/sessions"
ME = "api/session-user/me"
EVERYWHERE = "api/session-user/logout-everywhere"


@pytest.fixture(scope="module")
def own() -> Iterator[LocalServer]:
    """Run a server with alice, an administrator, and bob."""
    with own_server(*DEMO, "--JupyterSessionUser.admin_users=alice") as running:
        yield running


@pytest.fixture(scope="module")
def token_server() -> Iterator[LocalServer]:
    """Run a server that knows nobody by name, and has a token."""
    with own_server("--IdentityProvider.token=t0ken") as running:
        yield running


async def session_id(person: Person) -> str:
    """Return the id of this login's session on no kernel."""
    me = await person.json(ME)
    return str(me["id"])


async def revoke(person: Person, session: str) -> int:
    """Return the status of the answer."""
    return (await person.fetch(f"{SESSIONS}/{session}", method="DELETE")).code


async def everywhere(person: Person, **body: Any) -> Any:
    """Return the answer, or the status of an error."""
    response = await person.fetch(EVERYWHERE, method="POST", body=body)
    return json.loads(response.body) if response.code == 200 else response.code


async def works(person: Person) -> bool:
    """Tell whether the server knows who this is."""
    code = (await person.fetch("api/me")).code
    assert code in {200, 403}
    return code == 200


async def logged_in(server: LocalServer, name: str, *others: Person) -> Person:
    """Return this person with a login that is neither over nor one of the others'.

    Tornado signs cookies with the second: who logs in twice within one has one login.
    """
    known = {await session_id(other) for other in others}

    async def fresh() -> Person | None:
        person = Person(server.url)
        await person.log_in(PASSWORDS[name], name)
        new = await works(person) and await session_id(person) not in known
        return person if new else None

    person: Person = await eventually(fresh)
    return person


async def people_on(server: LocalServer) -> tuple[Person, Person]:
    """Return alice and bob, logged in."""
    return await logged_in(server, "alice"), await logged_in(server, "bob")


async def browsers(server: LocalServer, name: str) -> tuple[Person, Person]:
    """Return this person in two browsers, each with a login of its own."""
    first = await logged_in(server, name)
    return first, await logged_in(server, name, first)


async def test_a_person_revokes_one_login_and_the_other_stays(own):
    """Bob's login at the library ends; at home he goes on, and alice notices nothing."""
    alice, _ = await people_on(own)
    library, home = await browsers(own, "bob")
    assert await revoke(home, await session_id(library)) == 204
    assert [await works(p) for p in (library, home, alice)] == [False, True, True]
    assert await revoke(home, await session_id(home)) == 204
    assert [await works(p) for p in (home, alice)] == [False, True]


async def test_a_session_on_a_kernel_stands_for_its_login(own):
    """What is revoked is the login, wherever it is; alice's socket on that kernel goes on."""
    alice, bob = await people_on(own)
    async with (
        kernel_of(alice) as kernel,
        opened(bob, kernel) as his,
        opened(alice, kernel) as hers,
    ):
        assert (await username(his), await username(hers)) == ("bob", "alice")
        (there,) = [
            s
            for s in await bob.json(SESSIONS)
            if s["kernel_id"] == kernel and s["state"] == "active"
        ]
        assert await revoke(bob, there["id"]) == 204
        assert not await works(bob)
        result = await his.execute("print('through')")
        assert "through" not in result.text and result.errors
        assert await username(hers) == "alice"
        listed = await alice.json(SESSIONS)
        assert {s["state"] for s in listed if s["id"] == there["id"]} == {"revoked"}


async def test_other_peoples_sessions_do_not_exist(own):
    """Bob gets 404 for alice's session as for one that nobody has; alice may end his."""
    alice, bob = await people_on(own)
    hers = await session_id(alice)
    answers = [
        await bob.fetch(f"{SESSIONS}/{one}", method="DELETE") for one in (hers, "no-such-session")
    ]
    assert [answer.code for answer in answers] == [404, 404]
    assert answers[0].body == answers[1].body
    assert await works(alice)
    assert await revoke(alice, await session_id(bob)) == 204
    assert [await works(p) for p in (alice, bob)] == [True, False]


async def test_logging_out_everywhere(own):
    """All logins of the caller's end, this one too, whose cookie is cleared; no one else's."""
    alice, _ = await people_on(own)
    here, there = await browsers(own, "bob")
    answer = await everywhere(here)
    assert answer["revoked"] >= 2
    assert not any(name.startswith("username-") for name in here.cookies)
    assert [await works(p) for p in (here, there, alice)] == [False, False, True]
    again = await logged_in(own, "bob")
    assert await works(again)
    assert await everywhere(again, username="bob") == {"revoked": 1}


async def test_only_an_administrator_logs_somebody_else_out(own):
    """Bob gets 403, whether the name exists or not; alice ends bob's and stays herself."""
    alice, bob = await people_on(own)
    assert [await everywhere(bob, username=n) for n in ("alice", "nobody")] == [403, 403]
    assert [await works(p) for p in (alice, bob)] == [True, True]
    assert await everywhere(alice, username="nobody") == {"revoked": 0}
    assert (await everywhere(alice, username="bob"))["revoked"] >= 1
    assert [await works(p) for p in (alice, bob)] == [True, False]


@pytest.mark.parametrize("body", ['{"username": 1}', "[]", "1", '{"username": ["bob"]}', "{"])
async def test_a_body_that_says_nothing_ends_nothing(own, body):
    """400, and everybody is still there: a program's mistake does not log its user out."""
    alice, bob = await people_on(own)
    response = await raw(alice, EVERYWHERE, "POST", body, {"X-XSRFToken": alice.cookies["_xsrf"]})
    assert response.code == 400
    assert [await works(p) for p in (alice, bob)] == [True, True]


async def raw(
    person: Person, path: str, method: str, body: str | None, headers: dict[str, str]
) -> HTTPResponse:
    """Return the answer to what a page in this person's browser sends."""
    request = HTTPRequest(
        person.url + path,
        method=method,
        body=body,
        headers={**person._cookie_header(), **headers},
        allow_nonstandard_methods=True,
    )
    return await AsyncHTTPClient().fetch(request, raise_error=False)


@pytest.mark.parametrize(
    "how", ["no header", "wrong header", "foreign origin", "null origin", "simple form"]
)
async def test_another_site_cannot_log_anybody_out(own, how):
    """With alice's cookies, but without her XSRF token or from elsewhere: refused, no effect."""
    alice, bob = await people_on(own)
    good = {"X-XSRFToken": alice.cookies["_xsrf"]}
    headers = {
        "no header": {},
        "wrong header": {"X-XSRFToken": bob.cookies["_xsrf"]},
        "foreign origin": {**good, "Origin": "https://evil.example"},
        "null origin": {**good, "Origin": "null"},
        "simple form": {"Content-Type": "text/plain"},
    }[how]
    one = f"{SESSIONS}/{await session_id(alice)}"
    answers = [
        await raw(alice, EVERYWHERE, "POST", "{}", headers),
        await raw(alice, EVERYWHERE, "POST", '{"username": "bob"}', headers),
        await raw(alice, one, "DELETE", None, headers),
    ]
    # Jupyter says 404 where the origin alone is wrong.
    assert {answer.code for answer in answers} <= {403, 404}
    assert [await works(p) for p in (alice, bob)] == [True, True]
    assert (await raw(alice, one, "DELETE", None, good)).code == 204


async def test_nobody_ends_nothing(own):
    """Without a login there is no answer but 403."""
    alice, bob = await people_on(own)
    nobody = Person(own.url)
    await nobody.fetch("login")  # has an XSRF cookie, as anybody can
    assert await revoke(nobody, await session_id(alice)) == 403
    assert await everywhere(nobody) == await everywhere(nobody, username="bob") == 403
    assert [await works(p) for p in (alice, bob)] == [True, True]


async def test_the_servers_token_cannot_be_revoked_this_way(token_server):
    """All clients with it are one login: 409 says what to do; a browser's cookie can be ended."""
    client = Person(token_server.url, {"Authorization": "token t0ken"})
    browser = Person(token_server.url, {"Accept": "text/html"})
    await browser.fetch("?token=t0ken")
    browser.headers.clear()
    first = await session_id(client)
    for path, method in ((f"{SESSIONS}/{first}", "DELETE"), (EVERYWHERE, "POST")):
        client.cookies.clear()  # a client that keeps none
        response = await client.fetch(path, method=method, body={})
        assert response.code == 409
        assert "restart the server with another token" in json.loads(response.body)["message"]
    assert await works(browser)
    assert await everywhere(browser) == {"revoked": 1}
    client.cookies.clear()
    assert [await works(p) for p in (browser, client)] == [False, True]


async def test_where_everybody_may_come_in_nobody_can_be_thrown_out():
    """A server without a login answers 409, with what to do."""
    with own_server("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True") as running:
        one, two = Person(running.url), Person(running.url)
        for path, method in (
            (f"{SESSIONS}/{await session_id(two)}", "DELETE"),
            (EVERYWHERE, "POST"),
        ):
            response = await one.fetch(path, method=method, body={})
            assert response.code == 409
            assert "set a password or a token" in json.loads(response.body)["message"]
        assert [await works(p) for p in (one, two)] == [True, True]


async def test_the_authorizer_is_asked_for_write():
    """Who may not write to ``session-user`` ends nothing, not even the own login."""
    guard = "--ServerApp.authorizer_class=guarding_authorizer.GuardingAuthorizer"
    with own_server(*DEMO, guard) as running:
        alice, bob = await servers.people_on(running)
        assert await everywhere(bob) == 403
        assert await everywhere(alice) == {"revoked": 1}
        assert (await bob.fetch("api/me")).code == 200


async def test_behind_a_proxy_a_persons_logins_end_together():
    """A header names people: root ends amy's, and ben is untouched."""
    with own_server(*identity("HeaderIdentityProvider")) as running:
        root, amy, ben = (Person(running.url, {"X-User": n}) for n in ("root", "amy", "ben"))
        assert all([await works(p) for p in (root, amy, ben)])
        with log_after(running) as log:
            assert await everywhere(root, username="amy") == {"revoked": 1}
            assert [await works(p) for p in (root, amy, ben)] == [True, False, True]
        assert servers.no_traceback(log[0])
