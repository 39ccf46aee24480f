"""Where the attacks take place: the servers, alice and bob, and a kernel that both use.

An attack is an asynchronous generator that yields a :class:`Row` per variant. An error in the
attack itself does not count as a defence: it raises, and the row is not held.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local_server import LocalServer, local_server
from people import V1, KernelSocket, Person
from support import HERE

from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

PASSWORDS = {"alice": "alice's password", "bob": "bob's password"}
PAGE = "page.ipynb"
#: Seconds after which an answer that has not come counts as none.
PATIENCE_S = 10.0
#: Seconds in which a message that is let through has certainly arrived.
ARRIVED_S = 1.0

_OTHERS = ("jupyter_lsp", "jupyterlab", "jupyter_server_terminals", "notebook_shim", "notebook")
_OURS = ("jupyter_session_user", "jupyter_server_nbmodel", "voila.server_extension")
_EXTENSIONS = {**dict.fromkeys(_OTHERS, False), **dict.fromkeys(_OURS, True)}
_HEADER = (
    "--ServerApp.identity_provider_class=support.HeaderIdentity",
    f"--ServerApp.jpserver_extensions={_EXTENSIONS!r}",
    "--ServerApp.disable_check_xsrf=True",
    "--JupyterSessionUser.share_cookies=theme",
)
_ALONE = {**dict.fromkeys((*_OTHERS, *_OURS), False), "jupyter_session_user": True}
_PASSWORD = (
    f"--ServerApp.identity_provider_class={DemoIdentityProvider.__module__}.DemoIdentityProvider",
    f"--ServerApp.jpserver_extensions={_ALONE!r}",
    "--DemoIdentityProvider.demo=True",
    f"--DemoIdentityProvider.passwords={PASSWORDS!r}",
)
_NOTEBOOK = json.dumps(
    {
        "cells": [
            {
                "cell_type": "code",
                "id": "a",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": "1",
            }
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)

#: Alice's first cell: ``who()`` is the user that code sees, and ``proof`` collects traces of
#: attacks.
SETUP = """
import asyncio, builtins, json, os
from jupyter_session_user import (
    IdentityUnavailable, SessionUserError, get_cookies, get_current_user, get_session
)
builtins.proof = []
def who(*_):
    try:
        return get_current_user().username
    except IdentityUnavailable as error:
        return f"unavailable: {error.reason}"
builtins.who = who
"""


class BrokenAttackError(Exception):
    """The attack did not take place, so nothing is known about the defence."""


@dataclass(frozen=True)
class Row:
    """One variant of an attack, and whether it failed.

    Attributes:
        item: The number in the issue.
        attack: The attack that was tried.
        held: Whether the attack failed; None where it could not be tried here.
        detail: Its outcome.
    """

    item: int
    attack: str
    held: bool | None
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Return the row as it is printed."""
        return asdict(self)


Attack = Callable[["Stage"], AsyncIterator[Row]]


class Stage:
    """The servers, each started when the first attack needs it.

    Args:
        stack: Ends them.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._people: LocalServer | None = None

    @property
    def people(self) -> LocalServer:
        """The server on which a header names the person, with Voila and nbmodel."""
        if self._people is None:
            running = local_server(*_HEADER, files={PAGE: _NOTEBOOK}, env=environment())
            self._people = self._stack.enter_context(running)
        return self._people

    def person(self, name: str, **cookies: str) -> Person:
        """Return a person on that server."""
        one = Person(self.people.url, {"X-User": name})
        one.cookies.update(cookies)
        return one


def environment(home: Path | None = None) -> dict[str, str]:
    """Return the environment of a server; ``home`` keeps the files that must outlive it."""
    kept = ("data", "runtime") if home else ()
    folders = {f"JUPYTER_{name.upper()}_DIR": f"{home}/{name}" for name in kept}
    return {"PYTHONPATH": f"{HERE}:{HERE.parent}", **folders}


class PasswordServer:
    """A server with a login form that can be started again, with the secrets that it had.

    Args:
        stack: Ends it.
    """

    def __init__(self, stack: ExitStack) -> None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="jsu-attacks-"))
        self._home = Path(folder)
        for name in ("data", "runtime"):
            (self._home / name).mkdir()
        self._stack = ExitStack()
        stack.callback(self._end)
        self.url = ""
        self._port: int | None = None  # Jupyter's cookies are named by the port
        self.restart()

    def restart(self) -> None:
        """End the server, if there is one, and start it with the same folders."""
        self._end()
        self._stack = ExitStack()
        running = local_server(*_PASSWORD, env=environment(self._home), port=self._port)
        self.url = self._stack.enter_context(running).url
        self._port = urlsplit(self.url).port

    def _end(self) -> None:
        self._stack.close()

    async def log_in(self, name: str) -> Person:
        """Return a user that has used the login form, with a cookie that was not used since."""
        person = Person(self.url)
        await person.log_in(PASSWORDS[name], name)
        return person

    def browser(self, cookies: dict[str, str]) -> Person:
        """Return a browser with these cookies."""
        person = Person(self.url)
        person.cookies.update(cookies)
        return person


@dataclass
class Shared:
    """A kernel of alice's that bob uses as well.

    Attributes:
        kernel: Its id.
        alice: The user that started the kernel.
        bob: The user that joined.
        hers: Alice's websocket.
        his: Bob's.
    """

    kernel: str
    alice: Person
    bob: Person
    hers: KernelSocket
    his: KernelSocket


@asynccontextmanager
async def shared(stage: Stage, protocol: str | None = V1) -> AsyncIterator[Shared]:
    """Have such a kernel for the block.

    Args:
        stage: The servers.
        protocol: Of Bob's websocket.
    """
    alice, bob = stage.person("alice"), stage.person("bob")
    kernel = await alice.start_kernel()
    hers, his = await alice.connect(kernel), await bob.connect(kernel, protocol=protocol)
    await run(hers, SETUP)
    try:
        yield Shared(kernel, alice, bob, hers, his)
    finally:
        await asyncio.gather(hers.close(), his.close(), return_exceptions=True)
        await alice.fetch(f"api/kernels/{kernel}", method="DELETE")


async def run(socket: KernelSocket, code: str) -> str:
    """Run a cell that must succeed, and return its output.

    Raises:
        BrokenAttackError: The cell failed.
    """
    result = await socket.execute(code, timeout=PATIENCE_S * 3)
    if result.errors:
        raise BrokenAttackError(f"{code.strip().splitlines()[-1]!r}: {result.errors[0]}")
    return result.text.strip()


async def until(check: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Return the first true answer of ``check``, or the last one."""
    for _ in range(int(seconds / 0.02)):
        if answer := check():
            return answer
        await asyncio.sleep(0.02)
    return check()


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)
