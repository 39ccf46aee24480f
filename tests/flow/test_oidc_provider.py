"""Logins by the authorization code flow at npm's oidc-provider, and the tokens of two people.

The settings, the class and the last block are those of docs/providers/generic_oidc.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from code_flow_server import PAGE, campus_server, log_in, walk
from ended_logins import STATES, RunningCell, end_login
from hub import code_block
from local_server import LocalServer
from node_oidc import CLIENT_SECRETS, REPORTS, NodeProvider, node_provider
from people import KernelSocket, Person
from secret_forms import holds
from servers import json_lines, kernel_of, log_after, no_traceback, opened

#: Prints the token of the cell's user, or the code, the text and the address of the error.
ASK = """
import json, jupyter_session_user as j
try:
    print(json.dumps([str(j.get_access_token({name!r}))]))
except j.SessionUserError as error:
    print(json.dumps([error.code, str(error), getattr(error, "login_url", "")]))
"""
PEOPLE = ("alice", "bob")


@pytest.fixture(scope="module")
def server(npm_provider: NodeProvider, tmp_path_factory) -> Iterator[LocalServer]:
    """Run a server whose users log in at the provider."""
    with campus_server(npm_provider, tmp_path_factory.mktemp("campus")) as running:
        yield running


async def ask(socket: KernelSocket, name: str = "trino") -> list[str]:
    """Return the token that a cell gets, or what the error says."""
    (answer,) = await json_lines(socket, ASK.format(name=name))
    return answer


async def in_own_kernel(person: Person, name: str = "trino") -> list[str]:
    """Return the same from a new kernel of this person."""
    async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
        return await ask(socket, name)


async def both(server: LocalServer, provider: NodeProvider) -> list[Person]:
    """Return alice and bob, who have logged in."""
    return [await log_in(Person(server.url), provider, name) for name in PEOPLE]


async def test_each_gets_the_own_token(server, npm_provider):
    """By the page's block each gets a token about the own account, for one service, signed.

    trino is a token exchange (RFC 8693), reports the login's refresh token, files an exchange with
    a resource (RFC 8707).
    """
    block = code_block(PAGE, "from jupyter_session_user import get_access_token")
    for person, name in zip(await both(server, npm_provider), PEOPLE, strict=True):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            for service, audience, scope in (
                ("trino", "trino", "sql"),
                ("reports", REPORTS, "reports"),
                ("files", REPORTS, "reports"),
            ):
                code = (
                    block.replace("trino", service) + "\nimport json; print(json.dumps(str(token)))"
                )
                (token,) = await json_lines(socket, code)
                said = npm_provider.verified(token)
                assert (said["sub"], said["aud"], said["scope"]) == (
                    f"id-of-{name}",
                    audience,
                    scope,
                )
                assert said["client_id"] == "jupyter"
                assert token in npm_provider.given("access_token", f"id-of-{name}")
                assert await ask(socket, service) == [token]  # kept


async def test_what_the_provider_refuses(server, npm_provider):
    """The error names the provider's own reason, and the person's other services go on."""
    for person, name in zip(await both(server, npm_provider), PEOPLE, strict=True):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            for service, reason in (
                ("payroll", "invalid_target"),
                ("letters", "invalid_target"),
                ("mine", "invalid_scope"),
            ):
                code, text, _ = await ask(socket, service)
                assert code == "access_token_unavailable.refused"
                assert f"{service!r} ({reason})" in text
            (token,) = await ask(socket)
            assert npm_provider.verified(token)["sub"] == f"id-of-{name}"


async def test_tokens_renew_and_rotate(npm_provider, tmp_path):
    """The login's token is renewed; each refresh token counts once, and none is lost."""
    with (
        node_provider(login_s=5, service_s=2) as provider,
        campus_server(provider, tmp_path) as running,
    ):
        for person, name in zip(await both(running, provider), PEOPLE, strict=True):
            account = f"id-of-{name}"
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                tokens = set()
                for _ in range(2):
                    for service in ("trino", "reports"):
                        (token,) = await ask(socket, service)
                        # On a busy machine, its two seconds may be over.
                        assert provider.verified(token, leeway=60)["sub"] == account
                        tokens.add(token)
                    await asyncio.sleep(2)
                assert len(tokens) == 4
            assert len(provider.given("refresh_token", account)) >= 5
        first = provider.given("refresh_token", "id-of-bob")[0]
        again = provider.token(grant_type="refresh_token", refresh_token=first)
        assert again.json()["error"] == "invalid_grant"


async def test_what_a_user_takes_back(server, npm_provider):
    """Alice takes back what she agreed to: she gets no token until she logs in again; bob does."""
    alice, bob = await both(server, npm_provider)
    npm_provider.revoke(npm_provider.given("refresh_token", "id-of-alice")[-1])
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        code, text, _ = await ask(hers)
        assert code == "access_token_unavailable.refused" and "(invalid_request)" in text
        code, text, url = await ask(hers, "reports")
        assert code == "consent_required" and "(invalid_grant)" in text
        assert url.startswith(f"{server.url}login?")
        for service, audience in (("trino", "trino"), ("reports", REPORTS)):
            said = npm_provider.verified((await in_own_kernel(bob, service))[0])
            assert (said["sub"], said["aud"]) == ("id-of-bob", audience)
        await log_in(alice, npm_provider, "alice", url.removeprefix(server.url))
    for service in ("trino", "reports"):
        (token,) = await in_own_kernel(alice, service)
        assert npm_provider.verified(token)["sub"] == "id-of-alice"


async def test_a_provider_that_has_stopped(npm_provider, tmp_path):
    """Nobody gets a new token or the other's, nobody can log in, and the code is in no log."""
    with node_provider() as provider, campus_server(provider, tmp_path) as running:
        alice, bob = await both(running, provider)
        late = Person(running.url)
        path = await walk(late, provider, "bob")
        async with (
            kernel_of(alice) as hers_id,
            kernel_of(bob) as his_id,
            opened(alice, hers_id) as hers,
            opened(bob, his_id) as his,
        ):
            (kept,) = await ask(hers)
            provider.stop()
            assert await ask(hers) == [kept]  # it counts until its end
            for socket, service in ((hers, "reports"), (his, "trino"), (his, "reports")):
                code, *_ = await ask(socket, service)
                assert code == "access_token_unavailable.unreachable"
        assert (await late.fetch(path)).code == 403
        assert (await late.fetch("api/session-user/me")).code == 403
        (code,) = parse_qs(urlsplit(path).query)["code"]
        assert "/oauth_callback?" in running.log_text() and code not in running.log_text()
        assert no_traceback(running.log_text())


@pytest.mark.parametrize("how", STATES)
async def test_after_the_end_of_a_login(server, npm_provider, how):
    """A running cell of alice gets no token any more, not even a kept one; bob does."""
    alice, bob = await both(server, npm_provider)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert npm_provider.verified((await ask(hers))[0])["sub"] == "id-of-alice"
        cell = await RunningCell(hers, server.home / "work").start(AFTER, "told = {}")
        await end_login(alice, how)
        told = await cell.told()
        assert told == {"trino": "session_revoked", "reports": "session_revoked"}
    (token,) = await in_own_kernel(bob)
    assert npm_provider.verified(token)["sub"] == "id-of-bob"
    assert (await alice.fetch("api/session-user/me")).code == 403
    await log_in(alice, npm_provider, "alice")
    (token,) = await in_own_kernel(alice)
    assert npm_provider.verified(token)["sub"] == "id-of-alice"


AFTER = """
for name in ("trino", "reports"):
    try:
        told[name] = str(j.get_access_token(name))
    except j.SessionUserError as error:
        told[name] = error.code
"""


async def test_a_redirect_of_another_browser(server, npm_provider):
    """Alice's redirect counts in her browser alone, and once; without it, bob stays bob."""
    alice, stranger = Person(server.url), Person(server.url)
    bob = await log_in(Person(server.url), npm_provider, "bob")
    path = await walk(alice, npm_provider, "alice")
    assert (await bob.fetch(path)).code == 403
    assert (await bob.json("api/session-user/me"))["user"]["username"] == "bob"
    assert (await stranger.fetch(path)).code == 403
    assert (await stranger.fetch("api/session-user/me")).code == 403
    cookies = dict(alice.cookies)
    assert (await alice.fetch(path)).code == 302
    alice.cookies = cookies
    assert (await alice.fetch(path)).code == 403


async def test_a_code_that_does_not_count(server, npm_provider):
    """A made-up code gives no login, and neither does bob's code in alice's login."""
    alice, bob = Person(server.url), Person(server.url)
    hers, his = [
        parse_qs(urlsplit(await walk(person, npm_provider, name)).query)
        for person, name in zip((alice, bob), PEOPLE, strict=True)
    ]
    for person, parts, code in (
        (alice, hers, his["code"][0]),
        (bob, his, "made-up"),
    ):
        query = urlencode({**{name: values[0] for name, values in parts.items()}, "code": code})
        answer = await person.fetch(f"oauth_callback?{query}")
        assert answer.code == 403 and b"has not confirmed" in answer.body
        assert (await person.fetch("api/session-user/me")).code == 403


async def test_another_person_at_the_same_browser(server, npm_provider):
    """Bob logs in where alice was: her login is over, and each token is bob's."""
    browser = await log_in(Person(server.url), npm_provider, "alice")
    async with kernel_of(browser) as kernel_id, opened(browser, kernel_id) as hers:
        assert npm_provider.verified((await ask(hers))[0])["sub"] == "id-of-alice"
        copy = Person(server.url)
        copy.cookies = dict(browser.cookies)
        await log_in(browser, npm_provider, "bob", "login?session-user-anyway=1")
        assert (await copy.fetch("api/session-user/me")).code == 403
    (token,) = await in_own_kernel(browser)
    assert npm_provider.verified(token)["sub"] == "id-of-bob"


async def test_no_secret_in_the_log(server, npm_provider):
    """The log at DEBUG has no code, no token and no secret: of good logins, and of refused ones."""
    alice, bob = await both(server, npm_provider)
    with log_after(server) as log:
        for person in (alice, bob):
            for service in ("trino", "reports", "payroll"):
                await in_own_kernel(person, service)
        path = await walk(Person(server.url), npm_provider, "alice")
        assert (await bob.fetch(path)).code == 403
        await log_in(Person(server.url), npm_provider, "bob")
    assert log[0].count("/oauth_callback?code=[secret]") == 2
    files = {path: path.read_bytes() for path in server.home.rglob("*") if path.is_file()}
    assert server.log in files
    for secret in (*npm_provider.given(), CLIENT_SECRETS["jupyter"]):
        canary = secret.split(".")[-1].encode()
        assert [path for path, data in files.items() if holds(data, canary)] == [], secret
    state = parse_qs(urlsplit(path).query)["state"][0]
    assert not holds(server.log_text().encode(), state.encode())
