"""The server's bridge and the kernel's helper, joined: only the subscribed session is updated.

A real kernel, and the bridge in the test's own event loop; no web server.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest
from logins import login_of

from jupyter_session_user.core.cookies import CookieJar
from jupyter_session_user.core.policy import CookiePolicy
from jupyter_session_user.core.protocol import Request
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.server.messages.bridge import Answers, Bridge
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.memory import MemoryStore

ASK = "from jupyter_session_user import *\nfrom time import sleep\nget_session()"
SEE = """
s, seen = get_session(), ""
for _ in range(40):
    sleep(0.05)
    seen = s.state
    if seen != "active": break
seen
"""


class Joined:
    """A kernel and a bridge that listens to it."""

    def __init__(self, kernel) -> None:
        self.kernel = kernel
        self.store = MemoryStore(10)
        kernel.manager.kernel_id = "k1"
        for name in ("alice", "bob"):
            self.put(login_of(name))
        policy = CookiePolicy()
        answers = Answers(self.store, policy, lambda *_: True, lambda _: None, lambda: "secret")
        self.bridge = Bridge(answers, lambda: lambda: True, logging.getLogger("test"))

    def put(self, session) -> None:
        """Have the server know a session."""
        session = replace(session, kernel_id="k1")
        name = session.user.username
        self.store.put(Record(session, name, f"user:{name}", session_stamp(session), CookieJar()))

    async def connect(self, *names: str) -> list:
        """Connect the users, and load the package for them."""
        self.bridge.attach(self.kernel.manager)
        people = []
        for name in names:
            person = await asyncio.to_thread(self.kernel.person, name)
            await asyncio.to_thread(person.run, ASK)
            people.append(person)
        return people

    async def run(self, person, code: str):
        """Run a cell while the loop serves the bridge."""
        return (await asyncio.to_thread(person.run, code)).value

    async def until_answered(self, person) -> None:
        """Wait until the helper knows that the server sends updates."""
        code = (
            "from jupyter_session_user.kernel.ipykernel import helper\n"
            "for _ in range(50):\n"
            "    helper().updates.ask(); sleep(0.05)\n"
            "    if helper().updates._acknowledged: break\n"
            "helper().updates._acknowledged"
        )
        assert await self.run(person, code)


@pytest.fixture
def joined(new_kernel):
    """Join a new kernel to a bridge."""
    both = Joined(new_kernel())
    yield both
    both.bridge.close()


async def test_updates_reach_a_kernel_that_asked(joined):
    """Alice's running cell gets the update; Bob's session does not change."""
    alice, bob = await joined.connect("alice", "bob")
    await joined.until_answered(alice)
    cell = asyncio.create_task(joined.run(alice, SEE))
    await asyncio.sleep(0.3)
    joined.bridge.send_update("k1", "revoked", login_of("alice", state="revoked", revision=1))
    assert await cell == "revoked"
    assert await joined.run(bob, SEE) == "active"


async def test_a_kernel_that_did_not_ask_is_told_nothing(joined, capfd):
    """A kernel without the package gets no update: it would log the unknown message type."""
    alice = await asyncio.to_thread(joined.kernel.person, "alice")
    joined.bridge.attach(joined.kernel.manager)
    joined.bridge.send_update("k1", "revoked", login_of("alice", state="revoked", revision=1))
    joined.bridge.send_update("no such kernel", "revoked", login_of("alice"))
    (hers,) = await joined.connect("alice")
    await joined.until_answered(hers)
    assert await joined.run(hers, SEE) == "active"
    await asyncio.to_thread(joined.kernel.restart)
    alice = await asyncio.to_thread(joined.kernel.person, "alice")
    joined.bridge.send_update("k1", "revoked", login_of("alice", state="revoked", revision=1))
    assert await joined.run(alice, "1") == 1
    assert "UNKNOWN" not in capfd.readouterr().err


async def test_after_a_restart_it_asks_anew(joined):
    """After a restart of the kernel, its new process gets updates again."""
    (alice,) = await joined.connect("alice")
    await joined.until_answered(alice)
    await asyncio.to_thread(joined.kernel.restart)
    (alice,) = await joined.connect("alice")
    await joined.until_answered(alice)
    cell = asyncio.create_task(joined.run(alice, SEE))
    await asyncio.sleep(0.3)
    joined.bridge.send_update("k1", "signed_out", login_of("alice", state="signed_out", revision=1))
    assert await cell == "signed_out"


async def test_what_was_over_before_is_in_the_answer(joined):
    """The answer to the request for updates has the current state."""
    joined.put(login_of("alice", state="revoked", revision=1))
    alice, bob = await joined.connect("alice", "bob")
    await joined.until_answered(alice)
    assert await joined.run(alice, SEE) == "revoked"
    assert await joined.run(bob, SEE) == "active"


async def test_cookies_of_a_login_that_is_over_are_not_given(joined):
    """If the server refuses before the kernel has the update, running code learns the state."""
    joined.put(login_of("alice", state="expired", revision=1))
    (bob,) = await joined.connect("bob")
    session = login_of("alice", kernel_id="k1")
    code = (
        "from jupyter_session_user.core.session import Session\n"
        f"alices = Session.from_wire({session.to_wire()!r})\n"
        "def cookies():\n"
        "    try: return len(get_cookies())\n"
        "    except SessionExpired as error: return error.state\n"
        "(bind_current_user(cookies, session=alices)(), cookies())"
    )
    assert await joined.run(bob, code) == ("expired", 0)


def test_only_this_kernel_s_sessions_are_told():
    """The answer to ``watch`` has this kernel's sessions that are not plainly active."""
    store = MemoryStore(10)
    for kernel in ("k1", "k2"):
        for name, state in (("alice", "revoked"), ("bob", "active"), ("carol", "expiring")):
            session = login_of(name, id=f"{name}-{kernel}", kernel_id=kernel, state=state)
            store.put(Record(session, name, name, b"{}", CookieJar()))
    answers = Answers(store, CookiePolicy(), lambda *_: True, lambda _: None, lambda: "secret")
    for kernel in ("k1", "k2"):
        result = answers.answer(kernel, Request("r", "watch", "")).result["sessions"]
        assert {wire["session_id"] for wire in result} == {f"alice-{kernel}", f"carol-{kernel}"}
