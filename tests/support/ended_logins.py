"""A cell that still runs when the login of its user ends, and what it gets after that."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from people import KernelSocket, Person
from servers import eventually

__all__ = ["STATES", "RunningCell", "end_login"]

#: What the server answers to a request of the ended login, by how it ended.
STATES = {"sign out": "session_signed_out", "revoke": "session_revoked"}

CELL = """
import json, time
from pathlib import Path
import jupyter_session_user as j
from jupyter_session_user.kernel.ipykernel import helper
flag, seen, session, comm = Path({flag!r}), Path({seen!r}), j.get_session(), helper().comm
{before}
seen.write_text("waits")
while not flag.exists():
    time.sleep(.01)
while session.state == "active":
    time.sleep(.01)
{after}
seen.with_suffix(".tmp").write_text(json.dumps(told))
seen.with_suffix(".tmp").rename(seen)
"""


async def end_login(person: Person, how: str) -> None:
    """End the login of a person's browser.

    Args:
        person: The person.
        how: A key of ``STATES``.
    """
    if how == "sign out":
        await person.fetch("logout")
    else:
        me = await person.json("api/session-user/me")
        await person.fetch(f"api/session-user/sessions/{me['id']}", method="DELETE")


class RunningCell:
    """A cell that waits until its login has ended.

    Args:
        socket: Runs it.
        folder: For the files by which the cell and the test talk; it must exist.
    """

    def __init__(self, socket: KernelSocket, folder: Path) -> None:
        self._socket = socket
        self._flag = folder / f"over-{secrets.token_hex(4)}"
        self._seen = self._flag.with_suffix(".seen")
        self._message = ""

    async def start(self, after: str, before: str = "") -> RunningCell:
        """Run the cell up to the point where it waits.

        Args:
            after: Code for after the end of the login; it sets ``told``. It may use ``session`` and
                ``comm``, by which hostile code asks the server.
            before: Code for before it.
        """
        code = CELL.format(flag=str(self._flag), seen=str(self._seen), before=before, after=after)
        message = self._socket.message("execute_request", {"code": code})
        self._message = await self._socket.send(message)
        await eventually(self._seen.exists)
        return self

    async def told(self) -> Any:
        """Let the cell go on, and return what it told."""
        self._flag.touch()
        await eventually(lambda: self._seen.read_text() not in ("", "waits"))
        self._socket.forget(self._message)
        return json.loads(self._seen.read_text())
