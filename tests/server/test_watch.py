"""The timer of the logins: set while a login is due some day or a websocket is open, else not."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from jupyter_session_user.core.lifecycle import LoginStatus, Moment
from jupyter_session_user.server.auth.known_login import KnownLogin
from jupyter_session_user.server.auth.known_logins import KnownLogins
from jupyter_session_user.server.auth.watch import LOOK_S, Watch

SOON = LOOK_S / 5
PEOPLE = ("alice", "bob")


class Socket:
    """An open websocket."""


class Looks:
    """Logins, their watch, and the times of its looks."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.known = KnownLogins(10)
        self.times: list[float] = []
        self.fails = False
        self.watch = Watch(self.known, self._look, self.loop)
        for name in PEOPLE:
            start = Moment(0.0, 0.0)
            self.known.add(KnownLogin(name, name, "cookie", LoginStatus(start, start)))

    def _look(self) -> None:
        self.times.append(self.loop.time())
        self.known.agenda.take(self.loop.time())
        if self.fails:
            raise RuntimeError("a listener failed")

    @property
    def timer(self) -> Any:
        """The timer; None if none is set."""
        return self.watch._timer

    def open(self, name: str) -> Socket:
        """Open a websocket of a login."""
        socket, login = Socket(), self.known.get(name)
        assert login is not None
        self.known.follow(login, socket)
        return socket


async def test_no_timer_while_no_login_can_end():
    """Known logins without an end cost nothing."""
    looks = Looks()
    assert looks.timer is None
    await asyncio.sleep(2 * LOOK_S)
    assert looks.times == []


async def test_one_timer_for_the_next_end():
    """It is set to the earliest end, whoever's; and to none after the last one."""
    looks = Looks()
    now = looks.loop.time()
    later, sooner = now + 3 * LOOK_S, now + SOON
    looks.known.agenda.put("alice", later)
    assert looks.timer.when() == later
    looks.known.agenda.put("bob", sooner)
    assert looks.timer.when() == sooner
    await asyncio.sleep(4 * LOOK_S)
    assert len(looks.times) == 2
    assert looks.times[0] >= sooner and looks.times[1] >= later
    assert looks.timer is None


@pytest.mark.parametrize("how", ["closed", "forgotten"])
async def test_looks_while_a_websocket_is_open(how):
    """The wall clock may be set meanwhile; after the last websocket the looks end."""
    looks = Looks()
    sockets = [looks.open(name) for name in PEOPLE]
    await asyncio.sleep(3.5 * LOOK_S)
    assert len(looks.times) >= 2
    looks.known.open.discard(sockets[0])
    assert looks.timer is not None
    if how == "closed":
        looks.known.open.discard(sockets[1])
    else:
        sockets.clear()
        gc.collect()
    await asyncio.sleep(1.5 * LOOK_S)
    assert looks.timer is None


async def test_a_past_end_does_not_keep_the_server_busy():
    """The clock of the logins may be behind the loop's: the looks keep their distance."""
    looks = Looks()
    take, looks.known.agenda.take = looks.known.agenda.take, lambda _: []
    looks.known.agenda.put("alice", looks.loop.time() - 1)
    await asyncio.sleep(2.5 * LOOK_S)
    assert 2 <= len(looks.times) <= 3
    looks.known.agenda.take = take


async def test_a_look_that_fails_is_not_the_last():
    """An error in one look does not end the watch."""
    looks = Looks()
    looks.fails = True
    failures: list[Any] = []
    looks.loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    now = looks.loop.time()
    looks.known.agenda.put("alice", now)
    looks.known.agenda.put("bob", now + 1.5 * LOOK_S)
    await asyncio.sleep(3 * LOOK_S)
    assert len(looks.times) == len(failures) == 2


async def test_nothing_after_the_close():
    """A server that stops looks no more."""
    looks = Looks()
    looks.open("alice")
    looks.watch.close()
    looks.known.agenda.put("bob", looks.loop.time())
    await asyncio.sleep(2 * LOOK_S)
    assert looks.times == []
