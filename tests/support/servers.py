"""The servers that the tests run, and short functions for actions of users."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from local_server import LocalServer, local_server
from people import KernelSocket, Person, Result

__all__ = [
    "EXTENSION",
    "PASSWORDS",
    "WHO",
    "answer_in",
    "eventually",
    "fresh_id",
    "give_sign",
    "identity",
    "is_watched",
    "json_lines",
    "kernel_of",
    "log_after",
    "no_traceback",
    "opened",
    "own_server",
    "people_on",
    "until_it_answers",
    "username",
]

ROOT = Path(__file__).parents[2]

EXTENSION = "jupyter_session_user"
PASSWORDS = {"alice": "alice's password", "bob": "bob's password"}

#: Seconds to wait before a test fails; no test result depends on the clock.
PATIENCE_S = 60.0

#: A cell that prints the current user, or the reason why there is none.
WHO = """
import jupyter_session_user as _jsu
try:
    print(_jsu.get_current_user().username)
except _jsu.IdentityUnavailable as _error:
    print("nobody:", _error.reason)
"""

_DEMO_PROVIDER = "jupyter_session_user.testing.demo_identity.DemoIdentityProvider"
DEMO = (
    f"--ServerApp.identity_provider_class={_DEMO_PROVIDER}",
    "--DemoIdentityProvider.demo=True",
    f"--DemoIdentityProvider.passwords={PASSWORDS!r}",
)


def identity(provider: str) -> tuple[str, ...]:
    """Return the arguments for one of the identity providers of ``header_identity``."""
    return (
        f"--ServerApp.identity_provider_class=header_identity.{provider}",
        "--ServerApp.disable_check_xsrf=True",
    )


def own_server(
    *arguments: str, extensions: tuple[str, ...] = (EXTENSION,), **options: Any
) -> AbstractContextManager[LocalServer]:
    """Run a server with exactly these extensions.

    Args:
        arguments: Command line.
        extensions: Modules; everything else that is installed here stays off.
        options: Further ones of ``local_server``.
    """
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
    off = (
        *("jupyter_lsp", "jupyterlab", "jupyter_server_terminals", "notebook_shim", "notebook"),
        *("jupyter_server_nbmodel", "jupyter_server_documents", EXTENSION),
    )
    enabled = {**dict.fromkeys(off, False)}
    enabled |= dict.fromkeys(extensions, True)
    return local_server(
        f"--ServerApp.jpserver_extensions={enabled!r}",
        *arguments,
        env={"PYTHONPATH": path, **options.pop("env", {})},
        **options,
    )


async def people_on(server: LocalServer) -> tuple[Person, Person]:
    """Return alice and bob, logged in on a server with the demo users."""
    alice, bob = Person(server.url), Person(server.url)
    await alice.log_in(PASSWORDS["alice"], "alice")
    await bob.log_in(PASSWORDS["bob"], "bob")
    return alice, bob


@asynccontextmanager
async def opened(person: Person, kernel_id: str, **options: Any) -> AsyncIterator[KernelSocket]:
    """Open a kernel websocket for the block."""
    socket = await person.connect(kernel_id, **options)
    try:
        yield socket
    finally:
        await socket.close()


@asynccontextmanager
async def kernel_of(person: Person) -> AsyncIterator[str]:
    """Start a kernel for the block."""
    kernel_id = await person.start_kernel()
    try:
        yield kernel_id
    finally:
        await person.fetch(f"api/kernels/{kernel_id}", method="DELETE")


async def username(socket: KernelSocket, **options: Any) -> str:
    """Return the user of a cell that runs over this websocket."""
    result = await socket.execute(WHO, **options)
    return result.text.strip() or repr(result.errors)


def no_traceback(log: str) -> bool:
    """Tell whether a server's log has no traceback except those of refusals."""
    return "Traceback" not in re.sub(r"wrote error: .*\n\s*Traceback", "", log)


async def is_watched(person: Person, kernel_id: str, socket: KernelSocket) -> bool:
    """Tell whether the server follows a kernel's state; it may miss a new one's first messages."""
    await socket.execute("pass")
    model: dict[str, Any] = await person.json(f"api/kernels/{kernel_id}")
    return bool(model["execution_state"] == "idle")


async def until_it_answers(*sockets: KernelSocket) -> None:
    """Wait until cells run over each socket, with all their messages.

    After a restart or a flood, ZMQ may drop what is published before a subscriber is there
    again, "idle" included; that is so without this package, too.
    """

    async def answers(socket: KernelSocket) -> bool:
        try:
            return bool((await socket.execute("pass", timeout=5)).reply)
        except asyncio.TimeoutError:
            return False

    for socket in sockets:
        await eventually(functools.partial(answers, socket))


async def json_lines(socket: KernelSocket, code: str) -> list[Any]:
    """Return what a cell printed, one JSON value per line."""
    result = await socket.execute(code)
    assert not result.errors, result.errors
    return [json.loads(line) for line in result.text.splitlines()]


async def answer_in(socket: KernelSocket, code: str, seconds: float = 2.0) -> Result | None:
    """Run a cell; return None if no reply comes in time.

    The server keeps the reply back if the login was revoked while the cell ran. So a test that
    waits for a revocation asks again, and does not wait for that reply.
    """
    try:
        return await socket.execute(code, timeout=seconds)
    except asyncio.TimeoutError:
        return None


async def eventually(check: Any) -> Any:
    """Return the first true answer of ``check``, a function without arguments, async or not."""

    async def poll() -> Any:
        while True:
            answer = check()
            answer = await answer if inspect.isawaitable(answer) else answer
            if answer:
                return answer
            await asyncio.sleep(0.05)

    return await asyncio.wait_for(poll(), PATIENCE_S)


@contextmanager
def log_after(server: LocalServer) -> Iterator[list[str]]:
    """Collect what the server logs during the block, in a list that is filled at its end."""
    start = len(server.log_text())
    text: list[str] = []
    yield text
    text.append(server.log_text()[start:])


def give_sign(flag: Path) -> None:
    """Make the file that a cell waits for."""
    flag.touch()


def fresh_id() -> str:
    """Return an id as a browser generates one."""
    return uuid.uuid4().hex
