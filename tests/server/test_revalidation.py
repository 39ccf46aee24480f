"""If logins cannot be validated again, they continue as degraded, and the log says so once."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time

import pytest

from jupyter_session_user.core.lifecycle import Expiry, Limits, Moment
from jupyter_session_user.server.auth.ended_logins import EndedLogins
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.server.auth.revalidation import Pace, Revalidation
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.memory import MemoryStore


@dataclasses.dataclass(frozen=True)
class Shown:
    """The login data of a request."""

    key: str
    principal: str
    credential: str = "cookie"
    expiry: Expiry | None = None
    issued_at: int | None = None
    parent: str = ""


ALICE, BOB = Shown("alice's cookie", "user:alice"), Shown("bob's cookie", "user:bob")


class Authority:
    """The authority: returns its answer for each login, by key; an exception is raised."""

    def __init__(self) -> None:
        self.says: dict[str, object] = {}
        self.asked: list[str] = []

    def may_be_asserted(self, login):
        """No header names a user."""
        del login
        return False

    async def verdict(self, login):
        """Answer, or fail as Tornado does once it takes an argument away."""
        self.asked.append(login.key)
        said = self.says.get(login.key, "yes")
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def asked(caplog):
    """Return a function that asks about both logins once, and its parts."""
    caplog.set_level(logging.WARNING)
    ended = EndedLogins(MemoryEnded(), clock := lambda: Moment(1e6, 0.0))
    logins = Logins(MemoryStore(10), ended, clock, Limits(), logging.getLogger(__name__))
    authority = Authority()
    revalidation = Revalidation(
        logins,
        authority,
        Pace(interval=60, timeout=10, concurrency=2, rate=30),
        monotonic=time.monotonic,
        log=logging.getLogger(__name__),
    )
    both = [logins.saw(shown) for shown in (ALICE, BOB)]

    async def ask(hers: object, his: object) -> list[tuple[str, bool]]:
        authority.says = {ALICE.key: hers, BOB.key: his}
        for login in both:
            await revalidation._ask(login)
        return [(login.status.state, login.degraded) for login in both]

    return ask, revalidation, caplog


async def test_a_failure_is_said_once_and_shown_until_it_is_over(asked):
    """A login that can be validated does not hide one that cannot."""
    ask, revalidation, caplog = asked
    for _ in range(10):
        states = await ask(TypeError("unexpected keyword argument"), "yes")
        assert states == [("active", True), ("active", False)]
        assert revalidation.failing == "TypeError"
    assert [r.levelname for r in caplog.records] == ["ERROR"]
    assert await ask("yes", "yes") == [("active", False)] * 2
    assert revalidation.failing == ""
    assert [r.levelname for r in caplog.records] == ["ERROR", "WARNING"]


async def test_an_old_assertion_is_no_failure(asked):
    """Such a login is degraded, without a message in the log or in ``doctor``."""
    ask, revalidation, caplog = asked
    assert await ask("stale", "no") == [("active", True), ("expired", False)]
    assert revalidation.failing == ""
    assert not caplog.records


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


class OpenSocket:
    """An open websocket of a login."""

    def login_over(self, state):
        """Do nothing."""

    def login_back(self):
        """Do nothing."""


class Many:
    """Many logins with an open websocket each, and the authority that is asked about them."""

    def __init__(self, count: int, pace: Pace) -> None:
        self.time, self.authority = Time(), Authority()
        ended = EndedLogins(MemoryEnded(), clock := lambda: Moment(1e6, self.time.now))
        log = logging.getLogger(__name__)
        self.logins = Logins(MemoryStore(10), ended, clock, Limits(), log)
        self.asking = Revalidation(self.logins, self.authority, pace, monotonic=self.time, log=log)
        self.keys = [f"login {number}" for number in range(count)]
        self.sockets = [OpenSocket() for _ in self.keys]
        for key, socket in zip(self.keys, self.sockets, strict=True):
            self.logins.saw(Shown(key, f"user:{key}"))
            self.logins.attach(key, socket)

    async def after(self, seconds: float) -> list[str]:
        """Let time pass, and return about which logins the authority was asked."""
        self.time.now += seconds
        self.authority.asked.clear()
        self.asking.ask_those_due()
        for _ in range(5):
            await asyncio.sleep(0)
        return list(self.authority.asked)


async def test_the_budget_bounds_the_questions():
    """With more logins than the budget allows, each is asked about, later than the interval."""
    many = Many(100, Pace(interval=1.0, timeout=10, concurrency=100, rate=10))
    asked, counts = set(), []
    for _ in range(15):
        now = await many.after(1.0)
        asked.update(now)
        counts.append(len(now))
    assert max(counts) <= 10
    assert asked == set(many.keys)


async def test_an_authority_that_is_back_is_noticed_soon():
    """One login finds out every two seconds; then all are asked about, within their budget."""
    many = Many(30, Pace(interval=60.0, timeout=10, concurrency=100, rate=100))
    many.authority.says = dict.fromkeys(many.keys, OSError("down"))
    asked = {key for _ in range(60) for key in await many.after(1.0)}
    assert asked == set(many.keys)
    assert all(login.degraded for login in many.logins)
    probes = [key for _ in range(10) for key in await many.after(1.0)]
    assert max(map(probes.count, many.keys)) == 5
    assert len(probes) < 20
    many.authority.says = {}
    assert len(await many.after(2.0)) >= 1
    await many.after(0.25)
    assert not [login for login in many.logins if login.degraded]


async def test_the_login_that_finds_out_may_leave():
    """If its websocket closes during the outage, another login finds out."""
    many = Many(2, Pace(interval=10.0, timeout=10, concurrency=100, rate=100))
    many.authority.says = dict.fromkeys(many.keys, OSError("down"))
    while len({key for key in many.keys if many.logins.get(key).degraded}) < 2:
        await many.after(1.0)
    probe = many.asking._probe
    many.logins.detach(probe, many.sockets[many.keys.index(probe)])
    asked = [key for _ in range(20) for key in await many.after(1.0)]
    other = next(key for key in many.keys if key != probe)
    assert asked.count(other) > 5
