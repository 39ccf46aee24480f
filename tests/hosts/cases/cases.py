"""The list of cases that run in every host of apps, and the protocol of a host's driver.

A driver describes how its host does each case, or why the case cannot happen there. The suite runs
the cases, and ``table.py`` writes the table in the documentation from them.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "BY_ID",
    "CASES",
    "OUTCOME",
    "Absent",
    "Case",
    "Driver",
    "Gives",
    "Visit",
    "Way",
    "Works",
    "change",
    "drivers",
]

#: For the apps of the drivers, as a file ``outcome.py``: the current user, in one word.
#: A username, ``anonymous``, or ``error: `` and the reason.
OUTCOME = """
import jupyter_session_user

def outcome():
    try:
        user = jupyter_session_user.get_current_user()
    except jupyter_session_user.SessionUserError as error:
        return "error: " + getattr(error, "reason", error.code)
    return "anonymous" if user.is_anonymous else user.username
"""


@dataclass(frozen=True)
class Case:
    """One action of an app.

    Attributes:
        id: Its name in the code.
        title: Its name in the documentation.
        own_server: Whether it needs a server without earlier visitors, which the driver may start
            in another way (several processes, a reload).
        people: The simultaneous visitors. ``""`` is a visitor that has not logged in,
            ``"forged"`` one with a forged cookie.
    """

    id: str
    title: str
    own_server: bool = False
    people: tuple[str, ...] = ("alice", "bob")


CASES = (
    Case("page", "Code that makes the page"),
    Case("first_page", "First page of a process", own_server=True),
    Case("callback", "Callback or handler"),
    Case("periodic", "Periodic callback or timer"),
    Case("thread", "Thread without `bind_current_user`"),
    Case("bound_thread", "Thread with `bind_current_user`"),
    Case("pool", "Thread pool of all visitors, with `bind_current_user`"),
    Case("outliving", "Task that outlives its callback"),
    Case("others_document", "Callback that another visitor puts on the page"),
    Case("broadcast", "Update of every visitor's page"),
    Case("reload", "After the app's file has changed", own_server=True),
    Case("processes", "Several server processes", own_server=True),
    Case("warm", "Code that runs before the first visitor", own_server=True),
    Case("reused", "Session that the next visitor uses again", own_server=True),
    Case("cache", "Function with a cached result"),
    Case("generator", "Streamed response or generator"),
    Case("nested", "Inside another app with the middleware"),
    Case("anonymous", "Visitor without a login", people=("", "alice")),
    Case("forged", "Visitor with a forged cookie", people=("forged", "alice")),
    Case("others_token", "Request with another visitor's session token"),
)
BY_ID = {case.id: case for case in CASES}


@dataclass(frozen=True)
class Works:
    """``get_current_user()`` returns the right user for each visitor."""

    mark = "✓"


@dataclass(frozen=True)
class Gives:
    """Each visitor gets this outcome, and never the other visitor's name.

    Attributes:
        outcome: For example ``error: no_context``. ``|`` separates alternatives.
    """

    outcome: str

    @property
    def mark(self) -> str:
        """Return the text for the table."""
        parts = ["error" if p.startswith("error") else p for p in self.outcome.split("|")]
        return " or ".join(dict.fromkeys(parts))


@dataclass(frozen=True)
class Absent:
    """The host does not have this feature.

    Attributes:
        why: The reason, for readers of the driver.
    """

    why: str
    mark = "n/a"


Way = Works | Gives | Absent


class Visit(Protocol):
    """One visitor's page, or connection."""

    async def ask(self, case: str, other: Any) -> str:
        """Run the case in the app; return the outcome, in the words of ``OUTCOME``.

        Args:
            case: The id of the case.
            other: The other visitor's Visit, which is open as well.
        """
        ...


class Driver(Protocol):
    """Describes how one host runs the cases. Each module in ``drivers/`` has one, as ``DRIVER``."""

    name: str
    #: For the table in the documentation.
    title: str
    #: Modules that the host needs here. A driver may also have ``newer``: modules that older
    #: releases of the host lack, so that the suite skips them.
    needs: tuple[str, ...]
    #: One entry for each case.
    ways: Mapping[str, Way]

    def serve(self, folder: Path, case: str) -> AbstractContextManager[Any]:
        """Run a server. ``case`` is ``""`` for the server that most cases share."""
        ...

    def visit(self, server: Any, person: str) -> AbstractAsyncContextManager[Visit]:
        """Open a page as a user; see ``Case.people``."""
        ...


def change(path: Path, text: str, is_loaded: Callable[[], object]) -> None:
    """Give a file of an app another text, and wait until the server has loaded it.

    The file is replaced at once, so that no server loads a half of it. It is touched again after
    longer and longer times, because watchers ignore a change before their first look, and a slow
    server starts anew with each touch.

    Args:
        path: The file.
        text: Its new text.
        is_loaded: Tells whether the server serves the new text.

    Raises:
        TimeoutError: It does not, for 75 seconds.
    """
    other = path.with_name(f"{path.name}.new")
    other.write_text(text, encoding="utf-8")
    other.replace(path)
    for patience_s in (5, 10, 20, 40):
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if is_loaded():
                return
            time.sleep(0.1)
        os.utime(path)
    raise TimeoutError(f"the server has not loaded {path.name} again")


def drivers() -> tuple[Driver, ...]:
    """Return the drivers of all hosts, sorted by name."""
    folder = Path(__file__).parent / "drivers"
    names = sorted(path.stem for path in folder.glob("*_driver.py"))
    return tuple(importlib.import_module(f"drivers.{name}").DRIVER for name in names)
