"""A request that the kernel repeats is answered once, and again only if its answer may differ."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from logins import login_of

from jupyter_session_user.core.cookies import CookieJar, RawCookie
from jupyter_session_user.core.policy import CookiePolicy
from jupyter_session_user.core.protocol import Reply, Request
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.server.messages.bridge import Answers
from jupyter_session_user.server.messages.executions import Executions
from jupyter_session_user.server.messages.repeats import Repeats
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.memory import MemoryStore

GIVING = {
    "access_token": "login",
    "cookies": None,
    "identity_token": "token",
    "database_login": "login",
}


class Desk:
    """A server's answers to the kernels of alice and bob."""

    def __init__(self) -> None:
        self.store = MemoryStore(10)
        self.shared = False
        self.made: list[str] = []
        self.answers = Answers(
            self.store, CookiePolicy(), lambda *_: not self.shared, lambda _: None, lambda: "secret"
        )
        self.answers.issue = lambda record, *_: self.new("token", record)
        self.answers.lend = self.answers.exchange = self.lend
        self.recorded: list[dict] = []
        self.answers.executions = Executions(self.recorded.append)
        for name in ("alice", "bob"):
            self.put(name)

    def put(self, name: str, **fields) -> None:
        """Have the server know a login."""
        session = replace(login_of(name), id=name, kernel_id=f"k-{name}", **fields)
        jar = CookieJar((RawCookie("mine", Secret(f"{name}'s")),))
        self.store.put(Record(session, name, f"user:{name}", b"{}", jar))

    def new(self, kind: str, record: Record) -> dict[str, str]:
        """Make what nobody else gets."""
        name = record.session.user.username
        self.made.append(name)
        return {kind: f"{name}'s {kind} {len(self.made)}"}

    async def lend(self, record: Record, *_: object) -> dict[str, str]:
        """Make a database login, which takes a moment."""
        await asyncio.sleep(0)
        return self.new("login", record)

    async def ask(self, operation: str, user: str = "alice", **fields) -> Reply:
        """Ask as the kernel of this user."""
        request = Request(
            **{"id": "r", "session_id": user, "name": "x", **fields}, operation=operation
        )
        reply = self.answers.answer(f"k-{user}", request)
        return reply if isinstance(reply, Reply) else await reply


@pytest.fixture
def desk() -> Desk:
    """Make a server's answers."""
    return Desk()


@pytest.mark.parametrize("operation", GIVING)
async def test_a_repeated_request_gets_the_same_reply(desk, operation):
    """Nothing is made twice, and the audit has one line for each user."""
    for name in ("alice", "bob"):
        replies = await asyncio.gather(*(desk.ask(operation, name) for _ in range(3)))
        assert replies[0].error == "" and replies == [replies[0]] * 3
    assert desk.made == ([] if operation == "cookies" else ["alice", "bob"])
    kind = operation
    assert [(r["kind"], r["username"]) for r in desk.recorded] == [(kind, "alice"), (kind, "bob")]


@pytest.mark.parametrize("change", [{"id": "s"}, {"name": "y"}, {"lifetime": 30.0}])
async def test_another_request_gets_another_reply(desk, change):
    """A request that differs in one field is none that is repeated."""
    assert await desk.ask("identity_token") != await desk.ask("identity_token", **change)
    assert desk.made == ["alice", "alice"]


async def test_the_id_of_another_kernels_request_is_worth_nothing(desk):
    """Bob's kernel sends alice's request, word for word."""
    assert (await desk.ask("identity_token")).error == ""
    stolen = desk.answers.answer("k-bob", Request("r", "identity_token", "alice", name="x"))
    assert stolen.error == "no_session"


@pytest.mark.parametrize("operation", GIVING)
async def test_after_the_end_of_the_login_nothing_is_repeated(desk, operation):
    """The login is checked at each request, also at a repeated one."""
    assert (await desk.ask(operation)).error == ""
    desk.put("alice", state="revoked", revision=1)
    assert (await desk.ask(operation)).error == "session_revoked"


async def test_after_another_user_joined_it_is_decided_anew(desk):
    """Bob uses alice's kernel now, so her reply from before does not arrive there."""
    before = await desk.ask("cookies")
    assert before.result["cookies"]
    desk.shared = True
    after = await desk.ask("cookies")
    assert not after.result["cookies"] and after.result["shared"]


async def test_a_state_is_never_repeated(desk):
    """A repeated question about the login gets the state of now."""
    assert (await desk.ask("refresh")).result["session"]["state"] == "active"
    desk.put("alice", state="revoked", revision=1)
    assert (await desk.ask("refresh")).result["session"]["state"] == "revoked"


def test_replies_are_forgotten():
    """A reply is kept for 10 s, and at most 256 are."""
    now, asked = [0.0], iter(range(10_000))

    def decide() -> Reply:
        return Reply(str(next(asked)))

    repeats = Repeats(lambda: now[0])
    first = repeats.reply("first", decide)
    now[0] = 9.9
    assert repeats.reply("first", decide) is first
    now[0] = 10.0
    second = repeats.reply("first", decide)
    assert second.id == "1"
    for number in range(256):
        repeats.reply(number, decide)
    assert repeats.reply("first", decide).id == "258"
    assert len(repeats._replies) == 256
