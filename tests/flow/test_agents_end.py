"""An agent has no more rights than its person now, and does not outlive the person's login."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from agents import AGENTS, agent_of, who_acts
from people import Person
from servers import DEMO, eventually, identity, kernel_of, opened, own_server, people_on

ME = "api/session-user/me"
FAST = "--JupyterSessionUser.revalidate_interval=0.2"


def because(body: bytes) -> str:
    """Return the message of an error."""
    return str(json.loads(body)["message"])


async def test_an_agent_loses_access_with_its_person(tmp_path):
    """The authorizer is asked about the person at each request; the open websocket ends, too."""
    with own_server(
        *DEMO,
        FAST,
        "--ServerApp.authorizer_class=fickle_authorizer.FickleAuthorizer",
        env={"FICKLE": str(tmp_path)},
    ) as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
        async with (
            kernel_of(bob) as kernel,
            opened(hers, kernel) as alpha,
            opened(his, kernel) as beta,
        ):
            assert await who_acts(alpha) == "alice Helper"
            (tmp_path / "unshared-alice").touch()
            response = await hers.fetch("api/kernels")
            assert response.code in {401, 403}, response.body

            async def over() -> bool:
                return (await hers.fetch(ME)).code == 401

            await eventually(over)
            (error,) = (await alpha.execute("reached = True")).errors
            assert error.startswith("SessionRevoked")
            (tmp_path / "unshared-alice").unlink()
            assert (await hers.fetch(ME)).code == 401
            assert await who_acts(beta) == "bob Helper"


async def test_an_agent_stays_while_its_person_may():
    """Periodic questions to the provider are about its person: its own request means nothing."""
    with own_server(*DEMO, FAST) as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
        async with (
            kernel_of(bob) as kernel,
            opened(hers, kernel) as alpha,
            opened(his, kernel) as beta,
        ):
            for _ in range(5):
                await asyncio.sleep(0.4)
                seen = [await who_acts(socket) for socket in (alpha, beta)]
                assert seen == ["alice Helper", "bob Helper"]
            listed = await alice.json("api/session-user/sessions")
            assert {(one["state"], one["degraded"]) for one in listed} == {("active", False)}


async def test_an_agent_goes_when_the_provider_removes_its_person(tmp_path):
    """Without waiting for a periodic question: the provider is asked at each request."""
    with own_server(
        "--ServerApp.identity_provider_class=fickle_identity.FickleIdentityProvider",
        "--ServerApp.disable_check_xsrf=True",
        env={"FICKLE": str(tmp_path)},
    ) as running:
        alice, bob = (Person(running.url, {"X-User": name}) for name in ("alice", "bob"))
        hers, his = await agent_of(alice), await agent_of(bob)
        (tmp_path / "removed-alice").touch()
        response = await hers.fetch("api/kernels")
        assert response.code == 401 and "no longer accepts" in because(response.body)
        assert (await his.json(ME))["actor"]["name"] == "Helper"
        (tmp_path / "down").touch()
        assert (await his.fetch("api/kernels")).code == 503  # no user without an answer


async def test_behind_a_proxy_the_header_must_name_the_same_person():
    """The proxy lets an agent in as its person; with another person's header it is nobody's."""
    with own_server(*identity("HeaderIdentityProvider")) as running:
        people = {name: Person(running.url, {"X-User": name}) for name in ("alice", "bob")}
        for name, person in people.items():
            agent = await agent_of(person)
            assert (await agent.json(ME))["user"]["username"] == name
            agent.headers["X-User"] = name
            assert (await agent.json(ME))["actor"]["client_id"] == agent.model["id"]
            agent.headers["X-User"] = ({*people} - {name}).pop()
            response = await agent.fetch(ME)
            assert response.code == 400 and "another user" in because(response.body)


async def test_an_agents_work_keeps_no_login_alive():
    """Alice is idle while her agent works: her login ends, and the agent with it."""
    with own_server(*DEMO, "--JupyterSessionUser.idle_timeout=4") as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
        async with kernel_of(bob) as kernel, opened(hers, kernel) as alpha:

            async def over() -> bool:
                await bob.fetch("api/contents", method="POST", body={"type": "file"})
                await hers.fetch("api/contents", method="POST", body={"type": "file"})
                await alpha.execute("pass")
                return (await hers.fetch(ME)).code == 401

            await eventually(over)
            (error,) = (await alpha.execute("1")).errors
            assert error.startswith("SessionExpired")
            assert (await alice.fetch(ME)).code == 403
            assert (await his.json(ME))["state"] in {"active", "expiring"}


async def test_no_login_continues_an_agents_work():
    """Alice signs in again after her login has expired: her own code continues, her agent's not."""
    with own_server(*DEMO, "--JupyterSessionUser.absolute_timeout=6") as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
        hold = "import jupyter_session_user as jsu; {} = jsu.get_session()"
        async with kernel_of(alice) as kernel:
            async with opened(alice, kernel) as a, opened(hers, kernel) as alpha:
                assert not (await a.execute(hold.format("own"))).errors
                assert not (await alpha.execute(hold.format("acted"))).errors

                async def over() -> bool:
                    return (await alice.fetch(ME)).code == 403

                await eventually(over)
                assert (await hers.fetch(ME)).code == 401
            again, bob = await people_on(running)
            fresh, his = await agent_of(again, "Fresh"), await agent_of(bob)
            async with (
                opened(again, kernel) as a,
                opened(fresh, kernel) as alpha,
                opened(his, kernel) as beta,
            ):
                assert [await who_acts(s) for s in (a, alpha, beta)] == [
                    "alice -",
                    "alice Fresh",
                    "bob Helper",
                ]
                result = await a.execute("print(own.state, acted.state)")
                assert result.text.strip() == "active expired"


async def test_a_restart_forgets_the_tokens(tmp_path):
    """The next server refuses them with a true reason, while the people's cookies stay valid."""
    secret = f"--ServerApp.cookie_secret_file={tmp_path / 'secret'}"
    with own_server(*DEMO, secret) as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
    with own_server(*DEMO, secret, port=int(running.url.rstrip("/").rpartition(":")[2])):
        for person, agent in ((alice, hers), (bob, his)):
            response = await agent.fetch(ME)
            assert response.code == 401 and "the server was restarted" in because(response.body)
            assert (await person.json(ME))["actor"] is None


async def test_the_administrators_limits():
    """A lifetime is shortened to the limit; with 0 no token is given."""
    with own_server(*DEMO, "--JupyterSessionUser.max_agent_lifetime=60") as running:
        for person in await people_on(running):
            me = await person.json(ME)
            agent = await agent_of(person, lifetime=86_400)
            assert me["server_time"] < agent.model["expires_at"]
            minutes = [m[14:16] for m in (agent.model["created_at"], agent.model["expires_at"])]
            assert (int(minutes[1]) - int(minutes[0])) % 60 == 1
    with own_server(*DEMO, "--JupyterSessionUser.max_agent_lifetime=0") as running:
        for person in await people_on(running):
            response = await person.fetch(AGENTS, method="POST", body={"name": "Helper"})
            assert response.code == 409 and "max_agent_lifetime" in because(response.body)


async def test_an_administrator_ends_any_agent(tmp_path: Path):
    """Alice, an administrator, lists and revokes bob's agent; bob sees and ends his own alone."""
    with own_server(*DEMO, "--JupyterSessionUser.admin_users=alice") as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
        seen = [{one["username"] for one in await p.json(AGENTS)} for p in (alice, bob)]
        assert seen == [{"alice", "bob"}, {"bob"}]
        for person, agent, status in ((bob, hers, 404), (alice, his, 204)):
            path = f"{AGENTS}/{agent.model['id']}"
            assert (await person.fetch(path, method="DELETE")).code == status
        assert [(await agent.fetch(ME)).code for agent in (hers, his)] == [200, 401]


@pytest.mark.parametrize("kind", ["agents", "sessions"])
async def test_many_requests_at_once_while_it_ends(kind):
    """No request of an agent that has ended is answered; those of the other agent all are."""
    with own_server(*DEMO) as running:
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice), await agent_of(bob)
        session = (await hers.json(ME))["id"]
        path = f"{AGENTS}/{hers.model['id']}" if kind == "agents" else f"{kind}/{session}"
        path = path if kind == "agents" else f"api/session-user/{path}"
        asks = [agent.fetch(ME) for agent in (hers, his) for _ in range(20)]
        ending = alice.fetch(path, method="DELETE")
        *answers, ended = await asyncio.gather(*asks, ending)
        assert ended.code == 204
        assert {answer.code for answer in answers[20:]} == {200}
        assert {answer.code for answer in answers[:20]} <= {200, 401, 403}
        assert (await hers.fetch(ME)).code == 401
