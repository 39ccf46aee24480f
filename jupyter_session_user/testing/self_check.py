"""The demo's check of itself: two users run cells in turns on one kernel, each as themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["SETUP", "Row", "Runs", "interleave", "says", "table"]

_WHO = "get_current_user().username"
_PRINT = f"print({_WHO})"
SETUP = "import asyncio, threading; from jupyter_session_user import *"

#: Title, and code that prints one name.
CELLS = (
    ("a cell", _PRINT),
    ("a slow cell", f"await asyncio.sleep(0.05); {_PRINT}"),
    ("a task", f"async def t(): return {_WHO}\nprint(await asyncio.create_task(t()))"),
    (
        "a thread, bound",
        f"""out = []
thread = threading.Thread(target=bind_current_user(lambda: out.append({_WHO})))
thread.start(); thread.join(); print(out[0])""",
    ),
    ("the cookies' owner", "get_cookies(); print(get_session().refresh().user.username)"),
)


class Runs(Protocol):
    """A user's connection to a kernel."""

    async def execute(self, code: str) -> Any:
        """Run code; return an object with its printed ``text``, and its ``errors`` as texts."""
        ...


@dataclass(frozen=True)
class Row:
    """One line of the table: the sender, the cell, and what the kernel reported.

    Attributes:
        title: What the cell does.
        sent_by: The user that sent it.
        saw: What the kernel reported.
        wanted: What it had to report; the sender, if empty.
    """

    title: str
    sent_by: str
    saw: str
    wanted: str = ""

    @property
    def right(self) -> bool:
        """Tell whether the kernel saw what it had to see."""
        return self.saw == (self.wanted or self.sent_by)


async def interleave(sockets: Mapping[str, Runs], label: str) -> list[Row]:
    """Send every cell as every user, all at once: the kernel gets them in turns."""
    jobs = [(title, name, code) for title, code in CELLS for name in sockets]
    answers = await asyncio.gather(*(says(sockets[name], code) for _, name, code in jobs))
    return [
        Row(f"{title} ({label})", name, answer)
        for (title, name, _), answer in zip(jobs, answers, strict=True)
    ]


async def says(socket: Runs, code: str) -> str:
    """Return what a cell prints, else the name of its error."""
    result = await socket.execute(code)
    errors = "; ".join(error.partition(":")[0] for error in result.errors)
    return result.text.strip() or errors or "nothing"


def table(rows: Sequence[Row], by: str = "cell sent by", saw: str = "kernel saw") -> str:
    """Return the rows as text, with these headings for the user and for what was seen."""
    width = max(len(row.title) for row in rows)
    seen = max(len(saw), *(len(row.saw) for row in rows))
    lines = [f"{'what':{width}}  {by:12}  {saw}"]
    lines += [
        f"{row.title:{width}}  {row.sent_by:12}  {row.saw:{seen}}  {'ok' if row.right else 'WRONG'}"
        for row in rows
    ]
    return "\n".join(["", *lines, ""])
