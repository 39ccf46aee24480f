"""An agent never has its person's rights as an administrator: they are for the person herself."""

from __future__ import annotations

from agents import AGENTS, agent_of
from servers import DEMO, kernel_of, opened, own_server, people_on, username
from sessions_seen import subscription

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
