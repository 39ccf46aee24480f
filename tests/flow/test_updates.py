"""Session updates, from the server into a kernel in which a cell is running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from people import Person
from servers import eventually, kernel_of, opened

#: Prints when it runs, works until a file exists, and prints the updates of that time.
LISTEN = """
import json, time
from pathlib import Path
from jupyter_session_user import (
    SessionExpired, get_current_user, get_session, on_session_change
)
heard = []
def note(session):
    heard.append([session.user.username, session.state])
    Path({heard!r}).write_text(json.dumps(heard))
on_session_change(note)
session = get_session()
Path({running!r}).touch()
while not Path({go!r}).exists():
    time.sleep(.02)
try:
    name = get_current_user().username
except SessionExpired as error:
    name = type(error).__name__ + " " + get_current_user(allow_expired=True).username
Path({told!r}).write_text(json.dumps([name, session.state, session.seconds_left, heard]))
print("done")
"""


def told_in(files: dict[str, Path]) -> list[Any]:
    """Return the updates that a cell printed at its end."""
    told: list[Any] = json.loads(files["told"].read_text())
    return told


async def second_browser(person: Person) -> Person:
    """Return another browser of the same user."""
    other = Person(person.url)
    await other.log_in("alice's password", "alice")
    return other


async def test_a_running_cell_hears_of_its_own_session_and_of_nobody_elses(alice, bob, tmp_path):
    """Alice revokes her login in another browser, while the cells of both users run.

    Her cell gets the update while it runs and is not interrupted; Bob's cell gets none.
    """
    home = await second_browser(alice)
    async with (
        kernel_of(alice) as first,
        kernel_of(bob) as second,
        opened(alice, first) as hers,
        opened(bob, second) as his,
    ):
        cells = {}
        for name, socket in (("alice", hers), ("bob", his)):
            files = {
                part: tmp_path / f"{name}-{part}" for part in ("heard", "running", "go", "told")
            }
            code = LISTEN.format(**{part: str(path) for part, path in files.items()})
            message = socket.message("execute_request", {"code": code, "silent": False})
            cells[name] = (socket, await socket.send(message), files)
        await eventually(lambda: all(f["running"].exists() for _, _, f in cells.values()))
        await revoke(home, first)
        _, _, files = cells["alice"]
        await eventually(files["heard"].exists)
        assert json.loads(files["heard"].read_text()) == [["alice", "revoked"]]
        for _, _, files in cells.values():
            files["go"].touch()
        assert (await his.finish(cells["bob"][1])).text.strip() == "done"
        name, state, left, heard = told_in(cells["bob"][2])
        assert (name, state, heard) == ("bob", "active", [])
        assert left > 86_400  # an estimate: the cookie is valid for a month
        files = cells["alice"][2]  # alice no longer gets the output; her cell has continued
        await eventually(lambda: files["told"].exists() and files["told"].read_text())
        assert told_in(files) == ["SessionRevoked alice", "revoked", 0.0, [["alice", "revoked"]]]


async def revoke(person: Person, kernel_id: str) -> None:
    """Revoke the login that is on this kernel."""
    sessions = await person.json("api/session-user/sessions")
    (session,) = [s for s in sessions if s["kernel_id"] == kernel_id]
    answer = await person.fetch(f"api/session-user/sessions/{session['id']}", method="DELETE")
    assert answer.code == 204
