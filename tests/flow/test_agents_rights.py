"""An agent never has its person's rights as an administrator: they are for the person herself."""

from __future__ import annotations

import json

import pytest
from agents import AGENTS, agent_of, who_acts
from servers import DEMO, kernel_of, opened, own_server, people_on, username
from sessions_seen import subscription
from tornado.httpclient import HTTPClientError

SESSIONS = "api/session-user/sessions"
ADMIN = "--JupyterSessionUser.admin_users=alice"


def people_in(answer) -> set[str]:
    """Return whose sessions or agents an answer has."""
    return {one["user"]["username"] if "user" in one else one["username"] for one in answer}


async def test_an_administrators_agent_sees_her_own_sessions_alone():
    """Alice sees everybody's sessions and agents; her agent sees hers, over REST and in events."""
    with own_server(*DEMO, ADMIN) as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
        socket, heard = await subscription(hers)
        async with kernel_of(bob) as kernel, opened(bob, kernel) as bobs:
            assert await username(bobs) == "bob"
            async with kernel_of(alice) as own, opened(alice, own) as alices:
                assert await username(alices) == "alice"
                for path in (SESSIONS, AGENTS):
                    assert people_in(await alice.json(path)) == {"alice", "bob"}
                    assert people_in(await hers.json(path)) == {"alice"}
                    assert people_in(await his.json(path)) == {"bob"}
        health = {
            name: (await who.fetch("api/session-user/health")).code
            for name, who in (("alice", alice), ("her agent", hers), ("bob", bob))
        }
        assert health == {"alice": 200, "her agent": health["bob"], "bob": health["bob"]}
        assert heard and {event["username"] for event in heard} == {"alice"}
        socket.close()
        await socket.listening


async def test_an_administrator_can_ask_for_her_own_agents_alone():
    """With ``mine`` she sees hers, as everybody does; a value that is unclear is an error."""
    with own_server(*DEMO, ADMIN) as running:
        alice, bob = await people_on(running)
        for person in (alice, bob):
            await agent_of(person)
        for person, name in ((alice, "alice"), (bob, "bob")):
            assert people_in(await person.json(f"{AGENTS}?mine=true")) == {name}
        assert people_in(await alice.json(f"{AGENTS}?mine=false")) == {"alice", "bob"}
        assert people_in(await bob.json(f"{AGENTS}?mine=false")) == {"bob"}
        for unclear in ("", "1", "True", "true%20", "no", "true&mine=false", "true&mine=true"):
            answer = await alice.fetch(f"{AGENTS}?mine={unclear}")
            assert answer.code == 400, unclear
            assert json.loads(answer.body)["message"] == "mine is true or false, once"


@pytest.mark.parametrize("authorizer", ["", "decorated_authorizer.Decorated"])
async def test_scopes_hold_with_any_authorizer(authorizer):
    """A site's authorizer may be decorated; two people's agents stay within their scopes."""
    more = (f"--ServerApp.authorizer_class={authorizer}",) if authorizer else ()
    with own_server(*DEMO, *more) as running:
        for person in await people_on(running):
            writer = await agent_of(person, "Writer", scopes=["read", "write"])
            runner = await agent_of(person, "Runner", scopes=["read", "execute"])
            body = {"type": "file", "format": "text", "content": "x"}
            for agent, may_write in ((writer, True), (runner, False)):
                saved = await agent.fetch("api/contents/x.txt", method="PUT", body=body)
                assert (saved.code < 300) is may_write
            async with kernel_of(person) as kernel:
                with pytest.raises(HTTPClientError, match="403"):
                    await writer.connect(kernel)
                async with opened(runner, kernel) as socket:
                    assert await who_acts(socket) == f"{await username_of(person)} Runner"


async def username_of(person) -> str:
    """Return the name of a person's login."""
    return (await person.json("api/session-user/me"))["user"]["username"]
