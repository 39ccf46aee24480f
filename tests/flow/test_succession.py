"""A running cell belongs to a user: the same user's next login continues it.

Real servers with logins that end after some seconds, and cells that run meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from local_server import LocalServer
from people import KernelSocket, Person
from servers import DEMO, PASSWORDS, eventually, identity, kernel_of, opened, own_server

LIFETIME_S = 6

#: Notes the user and the states of its session, each change once, until a file exists.
CELL = """
import json, time
from pathlib import Path
from jupyter_session_user import (
    SessionExpired, get_current_user, get_session, on_session_change
)
seen, heard, told = [], [], []
def note(session):
    heard.append(session.state)
on_session_change(note)
session = get_session()
end = time.time() + 90
while not Path({stop!r}).exists() and time.time() < end:
    try:
        now = [get_current_user().username, session.state]
    except SessionExpired as error:
        now = [type(error).__name__, error.state]
    if not seen or seen[-1] != now:
        seen.append(now)
    if told != [len(seen), len(heard)]:
        told = [len(seen), len(heard)]
        Path({seen!r} + "~").write_text(json.dumps([seen, heard]))
        Path({seen!r} + "~").rename({seen!r})
    time.sleep(.01)
left = session.seconds_left
Path({told!r} + "~").write_text(json.dumps([seen, heard, left]))
Path({told!r} + "~").rename({told!r})
"""


class Cell:
    """A cell that runs until it is stopped.

    Args:
        folder: The folder for the cell's records.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._files = {name: folder / name for name in ("seen", "stop", "told")}

    async def start(self, socket: KernelSocket) -> None:
        """Send the cell over a websocket, and wait until it runs."""
        code = CELL.format(**{name: str(path) for name, path in self._files.items()})
        await socket.send(socket.message("execute_request", {"code": code, "silent": False}))
        await eventually(self._files["seen"].exists)

    def sees(self, *what: str) -> bool:
        """Tell whether this is its latest record."""
        return bool(self.seen[-1] == list(what))

    @property
    def seen(self) -> list[list[str]]:
        """All records of the cell so far."""
        return json.loads(self._files["seen"].read_text())[0]  # type: ignore[no-any-return]

    @property
    def heard(self) -> list[str]:
        """The states with which its callback was called."""
        return json.loads(self._files["seen"].read_text())[1]  # type: ignore[no-any-return]

    async def stop(self) -> list[Any]:
        """End the cell; return its records, its callback's events, and the time that was left."""
        self._files["stop"].touch()
        await eventually(self._files["told"].exists)
        return json.loads(self._files["told"].read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def timed() -> Iterator[LocalServer]:
    """Run a server with alice and bob, on which every login ends after some seconds."""
    with own_server(
        *DEMO,
        f"--JupyterSessionUser.absolute_timeout={LIFETIME_S}",
        "--JupyterSessionUser.expiry_warning=2",
    ) as running:
        yield running


async def signed_in(server: LocalServer, name: str, browser: Person | None = None) -> Person:
    """Return a browser in which this user has just signed in."""
    person = browser or Person(server.url)
    person.cookies.clear()
    await person.log_in(PASSWORDS[name], name)
    await person.json("api/session-user/me")  # the page that follows the form
    return person


@asynccontextmanager
async def running_cell(server: LocalServer, folder: Path) -> AsyncIterator[tuple[Person, Cell]]:
    """Have alice's cell run on her kernel; return her browser and the cell."""
    alice = await signed_in(server, "alice")
    cell = Cell(folder)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        await cell.start(hers)
        alice.kernel_id = kernel_id  # type: ignore[attr-defined]
        yield alice, cell
        await signed_in(server, "alice", alice)  # or alice could not stop the kernel


async def is_over(browser: Person) -> bool:
    """Tell whether the server refuses this browser."""
    return (await browser.fetch("api/me")).code == 403


def copy_of(browser: Person) -> Person:
    """Return a browser with the same cookies."""
    other = Person(browser.url, browser.headers)
    other.cookies.update(browser.cookies)
    return other


async def test_who_signs_in_again_in_time_has_no_gap(timed, tmp_path):
    """With a new cookie in the same browser, and no new websocket, the cell continues.

    Its callback gets one sequence: active again, expiring once, expired once.
    """
    async with running_cell(timed, tmp_path / "hers") as (alice, cell):
        before = copy_of(alice)
        await eventually(lambda: cell.sees("alice", "expiring"))
        await signed_in(timed, "alice", alice)
        await eventually(lambda: is_over(before))
        later = await signed_in(timed, "bob")
        assert not [state for _, state in cell.seen if state == "expired"]
        await eventually(lambda: cell.sees("SessionExpired", "expired"))
        assert not await is_over(later)
        await eventually(lambda: cell.heard[-1] == "expired")
        seen, heard, left = await cell.stop()
    assert seen == [
        ["alice", "active"],
        ["alice", "expiring"],
        ["alice", "active"],
        ["alice", "expiring"],
        ["SessionExpired", "expired"],
    ]
    assert (heard, left) == (["expiring", "active", "expiring", "expired"], 0.0)


async def test_who_signs_in_again_later_goes_on_from_then(timed, tmp_path):
    """Bob's login, also on alice's kernel, does not continue her cell; her own login does."""
    async with running_cell(timed, tmp_path / "hers") as (alice, cell):
        await eventually(lambda: cell.sees("SessionExpired", "expired"))
        bob = await signed_in(timed, "bob")
        async with opened(bob, alice.kernel_id):
            assert (await bob.json("api/session-user/me"))["state"] == "active"
            assert cell.sees("SessionExpired", "expired")
        await signed_in(timed, "alice", alice)
        await eventually(lambda: cell.sees("alice", "active"))
        seen, _, left = await cell.stop()
    assert [name for name, _ in seen if name == "SessionExpired"] == ["SessionExpired"]
    assert left > 0


@pytest.mark.parametrize("how", ["signed_out", "revoked"])
async def test_what_was_signed_out_or_revoked_stays_so(timed, tmp_path, how):
    """After a sign-out, alice signs in again: the session of her old cell stays over."""
    async with running_cell(timed, tmp_path / "hers") as (alice, cell):
        if how == "signed_out":
            await alice.fetch("logout")
        else:
            me = await alice.json("api/session-user/me")
            await alice.fetch(f"api/session-user/sessions/{me['id']}", method="DELETE")
        await eventually(lambda: cell.sees("SessionRevoked", how))
        await signed_in(timed, "alice", alice)
        async with opened(alice, alice.kernel_id):
            await alice.json("api/session-user/me")
            await asyncio.sleep(1)
            assert cell.sees("SessionRevoked", how)
        seen, heard, left = await cell.stop()
    assert seen[-1] == ["SessionRevoked", how]
    assert heard[0] == how
    assert heard[1:] in ([], ["active"])
    assert left == 0.0


async def test_a_header_alone_revives_nothing_that_was_revoked(tmp_path):
    """After a revocation behind a proxy, the next login does not continue the cell."""
    with own_server(
        *identity("HeaderIdentityProvider"), "--JupyterSessionUser.revoked_block=0.5"
    ) as server:
        alice = Person(server.url, {"X-User": "alice"})
        root = Person(server.url, {"X-User": "root"})
        cell = Cell(tmp_path / "hers")
        async with kernel_of(root) as kernel_id, opened(alice, kernel_id) as hers:
            await cell.start(hers)
            await alice.fetch("api/session-user/logout-everywhere", method="POST", body={})
            await eventually(lambda: cell.sees("SessionRevoked", "revoked"))
            alice.headers["Accept"] = "text/html"

            async def back() -> bool:
                return (await alice.fetch("api/session-user/me")).code == 200

            await eventually(back)
            async with opened(alice, kernel_id):
                await asyncio.sleep(1)
                assert cell.sees("SessionRevoked", "revoked")
            seen, _, _ = await cell.stop()
        assert seen == [["alice", "active"], ["SessionRevoked", "revoked"]]
