"""REST: a user may end own logins, and no other user's browser can end them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from local_server import LocalServer
from people import Person
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
    """Run a server with a token and without user names."""
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
    """Tell whether the server accepts this login."""
    code = (await person.fetch("api/me")).code
    assert code in {200, 403}
    return code == 200


async def logged_in(server: LocalServer, name: str, *others: Person) -> Person:
    """Return this user with a new login that no other test shares.

    Tornado signs cookies with the second: two logins of a user within one second are one.
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
    """Return this user in two browsers, each with a login of its own."""
    first = await logged_in(server, name)
    return first, await logged_in(server, name, first)


async def test_a_person_revokes_one_login_and_the_other_stays(own):
    """Bob ends one of two own logins; the other one and alice's login continue."""
    alice, _ = await people_on(own)
    library, home = await browsers(own, "bob")
    assert await revoke(home, await session_id(library)) == 204
    assert [await works(p) for p in (library, home, alice)] == [False, True, True]
    assert await revoke(home, await session_id(home)) == 204
    assert [await works(p) for p in (home, alice)] == [False, True]


async def test_a_session_on_a_kernel_stands_for_its_login(own):
    """The login is revoked on all kernels; alice's socket on that kernel stays open."""
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
    """Bob gets 404 for alice's session as for an unknown one; alice may end Bob's sessions."""
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
    """All logins of the caller end, including this one, and its cookie is cleared."""
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
    """Bob gets 403, whether the name exists or not; alice may end all of Bob's logins."""
    alice, bob = await people_on(own)
    assert [await everywhere(bob, username=n) for n in ("alice", "nobody")] == [403, 403]
    assert [await works(p) for p in (alice, bob)] == [True, True]
    assert await everywhere(alice, username="nobody") == {"revoked": 0}
    assert (await everywhere(alice, username="bob"))["revoked"] >= 1
    assert [await works(p) for p in (alice, bob)] == [True, False]


@pytest.mark.parametrize("body", ['{"username": 1}', "[]", "1", '{"username": ["bob"]}', "{"])
async def test_a_body_that_says_nothing_ends_nothing(own, body):
    """A malformed request gets 400 and ends no login."""
    alice, bob = await people_on(own)
    response = await raw(alice, EVERYWHERE, "POST", body, {"X-XSRFToken": alice.cookies["_xsrf"]})
    assert response.code == 400
    assert [await works(p) for p in (alice, bob)] == [True, True]


async def raw(
    person: Person, path: str, method: str, body: str | None, headers: dict[str, str]
) -> HTTPResponse:
    """Return the answer to a request from a page in this user's browser."""
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
    """A request with alice's cookies, but without XSRF token or from another site, is refused."""
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
    """Without a login, each route answers 403."""
    alice, bob = await people_on(own)
    nobody = Person(own.url)
    await nobody.fetch("login")  # has an XSRF cookie, as any client can get one
    assert await revoke(nobody, await session_id(alice)) == 403
    assert await everywhere(nobody) == await everywhere(nobody, username="bob") == 403
    assert [await works(p) for p in (alice, bob)] == [True, True]


async def test_the_servers_token_cannot_be_revoked_this_way(token_server):
    """A client with the token could log in again at once: 409 names the fix."""
    client = Person(token_server.url, {"Authorization": "token t0ken"})
    browser = Person(token_server.url, {"Accept": "text/html"})
    await browser.fetch("?token=t0ken")
    browser.headers.clear()
    first = await session_id(client)
    for path, method in ((f"{SESSIONS}/{first}", "DELETE"), (EVERYWHERE, "POST")):
        client.cookies.clear()  # a client that keeps no cookies
        response = await client.fetch(path, method=method, body={})
        assert response.code == 409
        assert "restart the server with another token" in json.loads(response.body)["message"]
    before = await session_id(browser)
    assert await everywhere(browser) == 409
    client.cookies.clear()
    assert [await works(p) for p in (browser, client)] == [True, True]
    assert await session_id(browser) == before


async def test_where_everybody_may_come_in_nobody_can_be_thrown_out():
    """A server without a login answers 409, with the fix."""
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
    """If a user may not write to ``session-user``, the user cannot end even the own login."""
    guard = "--ServerApp.authorizer_class=guarding_authorizer.GuardingAuthorizer"
    with own_server(*DEMO, guard) as running:
        alice, bob = await servers.people_on(running)
        assert await everywhere(bob) == 403
        assert await everywhere(alice) == {"revoked": 1}
        assert (await bob.fetch("api/me")).code == 200


async def test_behind_a_proxy_a_persons_logins_end_together():
    """If a header names users, root can end amy's logins; ben's are unchanged."""
    with own_server(*identity("HeaderIdentityProvider")) as running:
        root, amy, ben = (Person(running.url, {"X-User": n}) for n in ("root", "amy", "ben"))
        assert all([await works(p) for p in (root, amy, ben)])
        with log_after(running) as log:
            assert await everywhere(root, username="amy") == {"revoked": 1}
            assert [await works(p) for p in (root, amy, ben)] == [True, False, True]
        assert servers.no_traceback(log[0])


async def test_everywhere_reaches_cookies_that_were_never_used(server):
    """An issued but unused cookie ends as well; a cookie that is issued later is valid."""
    alice, bob = await people_on(server)
    unused = Person(server.url)
    await unused.log_in(PASSWORDS["alice"], "alice")
    before = dict(unused.cookies)
    assert (await everywhere(alice))["revoked"] >= 1
    again = Person(server.url)
    await again.log_in(PASSWORDS["alice"], "alice")  # probably in the same second
    unused.cookies = before
    assert [await works(p) for p in (unused, alice, again, bob)] == [False, False, True, True]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_sites_page_signs_nobody_out(server, site):
    """A link or an image on another site does not end the login; the user's own click does."""
    alice, bob = await people_on(server)
    cookies = dict(alice.cookies)
    alice.headers["Sec-Fetch-Site"] = site
    answer = await alice.fetch("logout")
    assert answer.code == 403
    assert b'<a href="/logout">Log out</a>' in answer.body
    assert cookies.items() <= alice.cookies.items()
    assert [await works(p) for p in (alice, bob)] == [True, True]
    alice.headers["Sec-Fetch-Site"] = "same-origin"
    assert (await alice.fetch("logout")).code == 200
    alice.cookies = cookies
    assert [await works(p) for p in (alice, bob)] == [False, True]


# -------------------------------------------------------- cookies from another route


async def test_an_administrator_reaches_cookies_that_were_never_used(own):
    """Bob's login was never used at this server, and ends; alice's own login continues."""
    alice, bob = Person(own.url), Person(own.url)
    await bob.log_in(PASSWORDS["bob"], "bob")
    unused = dict(bob.cookies)
    await alice.log_in(PASSWORDS["alice"], "alice")
    assert await everywhere(alice, username="bob") != 403
    bob.cookies = unused
    assert (await bob.fetch(ME)).code == 403
    assert (await alice.fetch(ME)).code == 200


async def test_a_refused_answer_renews_no_cookie():
    """If a provider renews the cookie with each answer, a revoked login gets no valid one."""
    provider = "--ServerApp.identity_provider_class=fickle_identity.SlidingIdentityProvider"
    with own_server(provider, *DEMO[1:]) as server:
        for end in ("logout", EVERYWHERE):
            alice, bob = await servers.people_on(server)
            stolen = dict(alice.cookies)
            assert (await alice.fetch(ME)).code == 200
            method = "POST" if end == EVERYWHERE else "GET"
            await alice.fetch(end, method=method, body={} if method == "POST" else None)
            thief = Person(server.url)
            thief.cookies = dict(stolen)
            assert (await thief.fetch("api/kernels")).code == 403
            assert (await thief.fetch("api/kernels")).code == 403  # with the cookies of that answer
            assert (await bob.fetch(ME)).code == 200


@pytest.mark.parametrize("site", ["none", "cross-site"])
async def test_a_stale_cookie_locks_nobody_out(own, site):
    """A link on another site leads to the login page, with any old cookie in the browser."""
    bob = Person(own.url)
    await bob.log_in(PASSWORDS["bob"], "bob")
    name = next(name for name in bob.cookies if name.startswith("username-"))
    stale = Person(own.url, {"Sec-Fetch-Site": site, "Accept": "text/html"})
    stale.cookies = {name: "2|1:0|10:1700000000|4:abcd|4:abcd|0000"}
    answer = await stale.fetch("login")
    assert answer.code == 200
    assert b'name="password"' in answer.body


# ------------------------------------------------------------------------------------ memory


def resident_mb(server: LocalServer) -> float:
    """Return how much memory a server has now, in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_pages_for_a_client_without_cookies_cost_no_headers():
    """Each page is a new login, and its 55 kB of headers are not kept."""
    big = "x" * 55_000
    with own_server("--IdentityProvider.token=t0ken") as server:
        for number in range(1_100):
            if number == 100:
                before = resident_mb(server)
            headers = {"Authorization": "token t0ken", "Accept": "text/html", "X-Big": big}
            answer = await Person(server.url, headers).fetch(f"api/status?{number}")
            assert answer.code == 200
        assert resident_mb(server) - before < 25
