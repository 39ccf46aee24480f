"""Agents: each acts for one person, is always named, and ends with that person's login."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from agents import AGENTS, WHO_ACTS, Agent, agent_of, who_acts
from local_server import LocalServer
from people import Person
from servers import (
    DEMO,
    eventually,
    fresh_id,
    give_sign,
    kernel_of,
    opened,
    own_server,
    people_on,
)
from tornado.httpclient import HTTPClientError, HTTPResponse

ME = "api/session-user/me"
SESSIONS = "api/session-user/sessions"


@pytest.fixture(scope="module")
def own() -> Iterator[LocalServer]:
    """Run a server with alice and bob, of whom none is an administrator."""
    with own_server(*DEMO) as running:
        yield running


@pytest.fixture(scope="module")
def token_server() -> Iterator[LocalServer]:
    """Run a server with a token and without user names."""
    with own_server("--IdentityProvider.token=t0ken") as running:
        yield running


async def asked(person: Person, **wish: Any) -> HTTPResponse:
    """Return the answer to the wish for a token."""
    return await person.fetch(AGENTS, method="POST", body={"name": "Helper", **wish})


def why(response: HTTPResponse) -> tuple[int, str]:
    """Return the status and the message of an error."""
    return response.code, json.loads(response.body)["message"]


async def refused(agent: Person) -> tuple[int, str]:
    """Return the error that an agent gets; it fails if the agent gets none."""
    response = await agent.fetch("api/kernels")
    assert response.code >= 400, response.body
    return why(response)


async def test_two_agents_of_two_people_share_a_kernel_with_them(own):
    """On one kernel, all four are told apart, over one after the other and at the same time."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as a,
        opened(hers, kernel) as alpha,
        opened(bob, kernel) as b,
        opened(his, kernel) as beta,
    ):
        sockets = (a, alpha, b, beta, alpha, a, beta, b)
        expected = ["alice -", "alice Alpha", "bob -", "bob Beta"]
        expected += ["alice Alpha", "alice -", "bob Beta", "bob -"]
        assert [await who_acts(socket) for socket in sockets] == expected
        assert list(await asyncio.gather(*(who_acts(socket) for socket in sockets))) == expected


async def test_the_persons_own_callback_while_her_agents_cell_runs(own, tmp_path):
    """Tasks of the person and of her agent wait for one sign: each keeps its own actor."""
    alice, bob = await people_on(own)
    flag = tmp_path / "flag"
    code = f"""
import asyncio, pathlib
import jupyter_session_user as jsu
async def later():
    while not pathlib.Path({str(flag)!r}).exists():
        await asyncio.sleep(0.01)
    s = jsu.get_session()
    print("later", s.user.username, s.actor.name if s.actor else "-")
_tasks = globals().setdefault("_tasks", [])
_tasks.append(asyncio.ensure_future(later()))
print("started")
"""
    agents = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as a,
        opened(agents[0], kernel) as alpha,
        opened(agents[1], kernel) as beta,
    ):
        for socket in (a, alpha, beta):
            assert (await socket.execute(code)).text.strip() == "started"
        give_sign(flag)
        result = await a.execute("import asyncio as _a; await _a.gather(*_tasks)")
        assert not result.errors
        lines = await eventually(
            lambda: found if len(found := _printed(a.everything, "later")) == 3 else None
        )
        assert sorted(lines) == ["later alice -", "later alice Alpha", "later bob Beta"]


def _printed(messages: list[dict[str, Any]], word: str) -> list[str]:
    texts = "".join(m["content"]["text"] for m in messages if m["header"]["msg_type"] == "stream")
    return [line for line in texts.splitlines() if line.startswith(word)]


async def test_an_agent_cannot_name_another_actor(own):
    """What an agent writes into metadata is replaced: neither no actor, nor another one."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
    async with kernel_of(alice) as kernel, opened(alice, kernel) as a:
        stamp = json.loads((await a.execute(STAMP)).text)
        assert "actor" not in stamp
        async with opened(hers, kernel) as alpha, opened(his, kernel) as beta:
            others = json.loads((await beta.execute(STAMP)).text)
            assert others["actor"]["name"] == "Beta"
            for forged in (stamp, others):
                result = await alpha.execute(WHO_ACTS, {"jupyter_session_user": forged})
                assert result.text.strip() == "alice Alpha"


STAMP = """
import json
print(json.dumps(get_ipython().parent_header["metadata"]["jupyter_session_user"]))
"""


async def test_an_agent_does_not_take_over_its_persons_socket(own):
    """With the same session id as its person's page, an agent gets nothing of that page's."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice), await agent_of(bob)
    async with kernel_of(alice) as kernel:
        same = fresh_id()
        async with (
            opened(alice, kernel, session_id=same) as a,
            opened(hers, kernel, session_id=same) as alpha,
            opened(his, kernel, session_id=same) as beta,
        ):
            expected = ["alice -", "alice Helper", "bob Helper"]
            assert [await who_acts(one) for one in (a, alpha, beta)] == expected
            assert not a.closed.is_set() and not alpha.closed.is_set()


async def test_code_can_refuse_agents(own):
    """``require_user(agents=False)`` refuses the agent with the true reason, not its person."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
    code = """
import jupyter_session_user as jsu
with jsu.require_user(agents=False) as user:
    print(user.username)
"""
    async with kernel_of(alice) as kernel:
        for person, agent, name in ((alice, hers, "alice"), (bob, his, "bob")):
            async with opened(person, kernel) as own_socket, opened(agent, kernel) as socket:
                assert (await own_socket.execute(code)).text.strip() == name
                (error,) = (await socket.execute(code)).errors
                assert f"this needs '{name}' in person, and agent" in error
                shown = await socket.execute("%whoami")
                assert f"actor=Actor(kind='agent', client_id='{agent.model['id']}'" in shown.text
                assert f"agent &#x27;{agent.model['name']}&#x27; acts" in shown.html
                shown = await own_socket.execute("%whoami")
                assert "actor" not in shown.text and " acts" not in shown.html


async def test_two_credentials_are_an_error(own):
    """Alice's agent's token in bob's browser names nobody; also if bob's cookie comes first."""
    alice, bob = await people_on(own)
    agent = await agent_of(alice)
    bob.headers |= agent.headers
    status, message = await refused(bob)
    assert status == 400 and "the login of another user" in message
    with pytest.raises(HTTPClientError) as error:
        await bob.connect("00000000-0000-0000-0000-000000000000")
    assert error.value.code == 400
    # In her own browser the token counts, which is the narrower authority.
    alice.headers |= agent.headers
    assert (await alice.json(ME))["actor"]["name"] == "Helper"


async def test_a_revoked_token_in_a_browser_does_not_become_its_person(own):
    """The token of an ended agent is refused; the cookie that comes with it does not count."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice), await agent_of(bob)
    assert await _revoke(alice, hers) == 204
    both = Person(own.url, hers.headers)
    both.cookies = dict(alice.cookies)
    for refusing in (hers, both):
        status, message = await refused(refusing)
        assert status == 401 and "not valid" in message
    assert (await alice.json(ME))["actor"] is None
    assert (await his.json(ME))["actor"]["name"] == "Helper"


async def _revoke(person: Person, agent: Agent) -> int:
    response = await person.fetch(f"{AGENTS}/{agent.model['id']}", method="DELETE")
    return response.code


async def test_a_revoked_agents_open_websocket_runs_nothing_more(own):
    """Its next cell does not reach the kernel; those of its person and of bob's agent do."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice), await agent_of(bob)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as a,
        opened(hers, kernel) as alpha,
        opened(his, kernel) as beta,
    ):
        assert await who_acts(alpha) == "alice Helper"
        assert await _revoke(bob, hers) == 404  # not his
        assert await _revoke(alice, hers) == 204
        (error,) = (await alpha.execute("reached = True")).errors
        assert error.startswith("SessionRevoked")
        result = await a.execute("print('reached' in globals())")
        assert result.text.strip() == "False"
        assert [await who_acts(one) for one in (a, beta)] == ["alice -", "bob Helper"]


@pytest.mark.parametrize("end", ["sign out", "revoke", "everywhere"])
async def test_an_agent_ends_with_its_persons_login_at_once(own, end):
    """Also its open websocket, and code that runs; an agent of her next login is another one."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice), await agent_of(bob)
    async with (
        kernel_of(bob) as kernel,
        opened(hers, kernel) as alpha,
        opened(his, kernel) as beta,
    ):
        assert await who_acts(alpha) == "alice Helper"
        await alpha.execute("import jupyter_session_user as jsu; held = jsu.get_session()")
        if end == "sign out":
            await alice.fetch("logout")
        elif end == "revoke":
            me = await alice.json(ME)
            await alice.fetch(f"{SESSIONS}/{me['id']}", method="DELETE")
        else:
            await alice.fetch("api/session-user/logout-everywhere", method="POST", body={})
        (error,) = (await alpha.execute("reached = True")).errors
        assert error.startswith("SessionRevoked")
        assert (await refused(hers))[0] == 401
        again, _ = await people_on(own)
        async with opened(again, kernel) as a:
            assert await who_acts(a) == "alice -"
            result = await a.execute("print(held.state in {'revoked', 'signed_out'})")
            assert result.text.strip() == "True"
        assert await who_acts(beta) == "bob Helper"
        assert (await refused(hers))[0] == 401


async def test_who_may_give_a_token(own, token_server):
    """An agent may not, and neither may a client that has only the server's token."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice), await agent_of(bob)
    for agent in (hers, his):
        assert why(await asked(agent))[0] == 403
    shared = Person(token_server.url, {"Authorization": "token t0ken"})
    status, message = why(await asked(shared))
    assert status == 403 and "sign in with an account" in message
    stranger = Person(own.url)
    await stranger.fetch("login")
    assert (await asked(stranger)).code == 403


async def test_a_wish_must_make_sense(own):
    """Each malformed wish is refused, and the message ends with an example."""
    alice, bob = await people_on(own)
    for wrong in (
        {"name": ""},
        {"name": "x" * 65},
        {"name": "line\nbreak"},
        {"lifetime": 0},
        {"lifetime": True},
        {"lifetime": 1e300},
        {"scopes": []},
        {"scopes": ["admin"]},
        {"scopes": "read"},
        {"scope": ["read"]},
    ):
        for person in (alice, bob):
            status, message = why(await asked(person, **wrong))
            assert status == 400 and 'write {"name"' in message, wrong


async def test_agents_are_listed_without_their_token(own):
    """Each person sees the own agents; the token is in no later answer."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
    for person, agent in ((alice, hers), (bob, his)):
        listed = await person.json(AGENTS)
        assert agent.model["id"] in {one["id"] for one in listed}
        assert {one["username"] for one in listed} == {agent.model["username"]}
        assert agent.model["token"] not in json.dumps(listed)
        assert not any("token" in one for one in listed)


async def test_scopes_limit_what_an_agent_may_do(own):
    """An agent that may read runs nothing and changes nothing; one that may execute reads none."""
    alice, bob = await people_on(own)
    async with kernel_of(alice) as kernel:
        for person in (alice, bob):
            reader = await agent_of(person, scopes=["read"])
            runner = await agent_of(person, scopes=["execute"])
            assert (await reader.fetch("api/kernels")).code == 200
            for path in ("api/kernels", f"api/kernels/{kernel}/restart", "api/contents"):
                assert (await reader.fetch(path, method="POST", body={})).code == 403
            with pytest.raises(HTTPClientError) as error:
                await reader.connect(kernel)
            assert error.value.code == 403
            async with opened(runner, kernel) as socket:
                assert (await who_acts(socket)).endswith(" Helper")
            assert (await runner.fetch("api/contents")).code == 403
            # This route asks no authorizer.
            assert (await reader.fetch("api/me")).code == 200
            assert (await runner.fetch("api/me")).code == 403
            assert (await runner.fetch("api/contents", method="POST", body={})).code == 403


async def test_an_agent_manages_no_logins(own):
    """It can neither sign its person out nor revoke sessions; its own sign-out ends it alone."""
    alice, bob = await people_on(own)
    for person in (alice, bob):
        agent = await agent_of(person)
        me = await person.json(ME)
        for method, path in (
            ("DELETE", f"{SESSIONS}/{me['id']}"),
            ("POST", "api/session-user/logout-everywhere"),
            ("DELETE", f"{AGENTS}/{agent.model['id']}"),
        ):
            assert why(await agent.fetch(path, method=method, body={}))[0] == 403
        await agent.fetch("logout")
        assert (await refused(agent))[0] == 401
        assert (await person.json(ME))["state"] == "active"


async def test_an_agent_gets_no_cookies_and_makes_a_kernel_shared(own):
    """It has none of its own requests' or its person's; beside it, she gets none there either."""
    alice, bob = await people_on(own)
    code = "import jupyter_session_user as jsu; print(sorted(jsu.get_cookies()))"
    for person in (alice, bob):
        person.cookies["locale"] = "en"
        agent = await agent_of(person)
        agent.headers["Cookie"] = "locale=en"
        async with kernel_of(person) as kernel, opened(person, kernel) as socket:
            assert "locale" in (await socket.execute(code)).text
        async with kernel_of(person) as kernel, opened(agent, kernel) as acting:
            assert (await acting.execute(code)).text.strip() == "[]"
            async with opened(person, kernel) as socket:
                assert (await socket.execute(code)).text.strip() == "[]"


async def test_the_kernel_that_an_agent_starts_belongs_to_its_person(own):
    """The person owns it, and so does the agent; another person's agent does not."""
    alice, bob = await people_on(own)
    hers, his = await agent_of(alice), await agent_of(bob)
    code = """
import jupyter_session_user as jsu
s = jsu.get_session()
print(s.kernel_owner, s.owns_kernel)
"""
    async with kernel_of(hers) as kernel:
        for who, owns in ((alice, True), (hers, True), (bob, False), (his, False)):
            async with opened(who, kernel) as socket:
                assert (await socket.execute(code)).text.strip() == f"alice {owns}"


async def test_a_token_in_the_address_counts_too(own):
    """As with Jupyter's own token; together with a second token it is an error."""
    alice, bob = await people_on(own)
    for person in (alice, bob):
        agent = await agent_of(person)
        plain = Person(own.url)
        me = await plain.json(f"{ME}?token={agent.model['token']}")
        assert me["user"]["username"] == agent.model["username"]
        assert me["actor"]["client_id"] == agent.model["id"]
        plain.headers["Authorization"] = "token other"
        response = await plain.fetch(f"{ME}?token={agent.model['token']}")
        assert why(response)[0] == 400


async def test_a_token_ends_in_time(own):
    """Its lifetime ends its websocket, too; that of the other agent continues."""
    alice, bob = await people_on(own)
    long = await agent_of(bob, lifetime=3600)
    async with kernel_of(bob) as kernel, opened(long, kernel) as going:
        assert await who_acts(going) == "bob Helper"  # the kernel has started
        short = await agent_of(alice, lifetime=5)
        ending = await short.connect(kernel)
        assert await who_acts(ending) == "alice Helper"
        me = await short.json(ME)
        assert me["expires_at"] == short.model["expires_at"]
        assert me["expiry_source"] == "agent"

        async def over() -> bool:
            return (await short.fetch("api/kernels")).code == 401

        await eventually(over)
        (error,) = (await ending.execute("1")).errors
        assert error.startswith("SessionExpired")
        assert await who_acts(going) == "bob Helper"
        await ending.close()
        listed = await alice.json(AGENTS)
        assert short.model["id"] not in {one["id"] for one in listed}


async def test_an_agent_opens_no_page():
    """JupyterLab's page, which may contain the server's own token, is for people only."""
    with own_server(*DEMO, extensions=("jupyter_session_user", "jupyterlab")) as running:
        for person in await people_on(running):
            agent = await agent_of(person)
            assert (await person.fetch("lab")).code == 200
            response = await agent.fetch("lab")
            assert response.code == 403 and b"page_config" not in response.body
