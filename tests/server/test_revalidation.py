"""If logins cannot be validated again, they continue as degraded, and the log says so once."""

from __future__ import annotations

import dataclasses
import logging
import time

import pytest

from jupyter_session_user.core.lifecycle import Expiry, Limits, Moment
from jupyter_session_user.server.auth.ended_logins import EndedLogins
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.server.auth.revalidation import Revalidation
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


ALICE, BOB = Shown("alice's cookie", "user:alice"), Shown("bob's cookie", "user:bob")


class Authority:
    """The authority: returns its answer for each login, by key; an exception is raised."""

    def __init__(self) -> None:
        self.says: dict[str, object] = {}

    def may_be_asserted(self, login):
        """No header names a user."""
        del login
        return False

    async def verdict(self, login):
        """Answer, or fail as Tornado does once it takes an argument away."""
        said = self.says[login.key]
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
        interval=60,
        timeout=10,
        concurrency=2,
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
