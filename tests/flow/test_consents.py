"""Which pages learn that a service needs consent: those of the login that asked, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from agents import agent_of
from ended_logins import end_login
from exchange_server import entry, token_server
from local_server import LocalServer
from oauth_provider import RunningProvider
from people import KernelSocket, Person
from servers import DEMO, eventually, json_lines, kernel_of, opened, own_server, people_on
from sessions_seen import subscription

from jupyter_session_user.core.login_tokens import claims_in

ASK = """
import json, jupyter_session_user as j
from jupyter_session_user.kernel import access_tokens
access_tokens._kept.clear()
try:
    print(json.dumps(str(j.get_access_token({name!r}))))
except j.SessionUserError as error:
    print(json.dumps(error.code))
"""
#: Asks as hostile code would: with any session id.
HOSTILE = """
import json
from jupyter_session_user.kernel.ipykernel import helper
print(json.dumps(helper().comm.ask("access_token", {session!r}, name={name!r}).error))
"""
PAGE = "https://login.example.org/consent"
LOGIN = "/login?next=%2Fsession-user%2Fsigned-in&session-user-anyway=1"


@pytest.fixture(scope="module")
def server(running_provider: RunningProvider) -> Iterator[LocalServer]:
    """Run a server with services of both kinds: with a page of the provider, and without."""
    entries = {
        "trino": entry(running_provider, login_url=PAGE),
        "reports": entry(running_provider),
        "shared": entry(running_provider, login_url=PAGE, shared_kernels=True),
    }
    with token_server(running_provider, entries=entries) as running:
        yield running


async def ask(socket: KernelSocket, name: str = "trino") -> str:
    """Let a cell ask, past what the kernel keeps."""
    (answer,) = await json_lines(socket, ASK.format(name=name))
    return str(answer)


async def waiting(person: Person) -> Any:
    """Return what the pages of a browser show."""
    return (await person.json("api/session-user/me"))["consents"]


async def test_two_people(server, provider):
    """Alice has to agree: her pages say so, once for each service, until she has the token."""
    provider.faults(error="consent_required", only=["alice"])
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as hers_id,
        kernel_of(bob) as his_id,
        opened(alice, hers_id) as hers,
        opened(bob, his_id) as his,
    ):
        assert await waiting(alice) == []
        for service in ("trino", "trino", "reports"):
            assert await ask(hers, service) == "consent_required"
        assert claims_in(await ask(his))["sub"] == "id-of-bob"
        trino = {"service": "trino", "login_url": PAGE}
        reports = {"service": "reports", "login_url": LOGIN}
        assert await waiting(alice) == [trino, reports]
        assert await waiting(bob) == []
        provider.faults()
        assert claims_in(await ask(his))["sub"] == "id-of-bob"  # not hers: hers still waits
        assert await waiting(alice) == [trino, reports]
        assert claims_in(await ask(hers))["sub"] == "id-of-alice"
        assert await waiting(alice) == [reports]


async def test_two_people_on_one_kernel(server, provider):
    """Where both may ask on one kernel, only the pages of the one who has to agree say so.

    The obvious implementation tells all pages of the kernel.
    """
    provider.faults(error="consent_required", only=["alice"])
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert claims_in(await ask(his, "shared"))["sub"] == "id-of-bob"
        assert await ask(hers, "shared") == "consent_required"
        assert [one["service"] for one in await waiting(alice)] == ["shared"]
        assert await waiting(bob) == []


async def test_hostile_code(server, provider):
    """Code of bob asks with the ids of alice's sessions, for any service: her pages stay quiet."""
    provider.faults(error="consent_required")
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as hers_id,
        kernel_of(bob) as his_id,
        opened(alice, hers_id),
        opened(bob, his_id) as his,
    ):
        for session in await alice.json("api/session-user/sessions"):
            code = HOSTILE.format(session=session["id"], name="trino")
            assert await json_lines(his, code) == ["no_session"]
        for name in ("javascript:alert(1)", "<b>x</b>", "mail"):
            assert await ask(his, name) == "access_token_unavailable.audience"
        assert await ask(his) == "consent_required"
        assert await waiting(alice) == []
        assert await waiting(bob) == [{"service": "trino", "login_url": PAGE}]


async def test_another_browser_and_an_agent_of_hers(server, provider):
    """The tokens belong to one login: another browser of alice shows nothing, nor does an agent."""
    provider.faults(error="consent_required")
    alice, bob = await people_on(server)
    again, _ = await people_on(server)
    agent = await agent_of(alice, "Helper")
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert await ask(hers) == "consent_required"
    assert len(await waiting(alice)) == 1
    for other in (again, agent, bob):
        assert await waiting(other) == []


async def test_a_new_login_begins_without_notices(server, provider):
    """After alice has logged out and in again, the page shows nothing; bob's stays."""
    provider.faults(error="login_required")
    alice, bob = await people_on(server)
    for person in (alice, bob):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            assert await ask(socket) == "consent_required"
    await end_login(alice, "sign out")
    again, _ = await people_on(server)
    assert await waiting(again) == []
    assert len(await waiting(bob)) == 1


async def test_events(server, provider):
    """The tabs of alice hear at once, with nothing of the address; those of bob do not."""
    provider.faults(error="consent_required")
    alice, bob = await people_on(server)
    (hers_events, of_alice), (his_events, of_bob) = [
        await subscription(person) for person in (alice, bob)
    ]
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
    ):
        for _ in range(2):
            await ask(hers)
        provider.faults()
        await ask(hers)

        def actions() -> list[str]:
            return [event["action"] for event in of_alice if "consent" in event["action"]]

        await eventually(lambda: len(actions()) == 2)
        assert actions() == ["consent_required", "consent_given"]
        assert not any("consent" in event["action"] for event in of_bob)
        assert not any(PAGE in str(event) for event in of_alice)
    for socket in (hers_events, his_events):
        socket.close()


async def test_without_access_tokens():
    """A server that gives none says so: its pages need not look."""
    with own_server(*DEMO) as server:
        for person in await people_on(server):
            assert await waiting(person) is None
