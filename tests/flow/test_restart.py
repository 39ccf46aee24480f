"""An ended login stays ended when the server restarts with the same cookie secret."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from local_server import LocalServer
from people import KernelSocket, Person
from servers import DEMO, PASSWORDS, eventually, kernel_of, opened, own_server, username

EVERYWHERE = "api/session-user/logout-everywhere"
SESSIONS = "api/session-user/sessions"


class Restarting:
    """A server that keeps its directories and its address across restarts."""

    def __init__(self, stack: ExitStack, folder: Path, *arguments: str) -> None:
        self._stack = stack
        self._arguments = arguments
        self._port: int | None = None
        self._env = {
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        }
        self.folder = folder / "data" / "session-user"
        self._running: ExitStack | None = None
        self.start()

    def start(self) -> None:
        """Start it at the same address."""
        self._running = self._stack.enter_context(ExitStack())
        server = own_server(*DEMO, *self._arguments, env=self._env, port=self._port)
        self.server: LocalServer = self._running.enter_context(server)
        self._port = int(self.server.url.rsplit(":", 1)[1].strip("/"))

    def restart(self, *, kill: bool = False) -> None:
        """Stop it, or have the system kill it, and start it again."""
        assert self._running is not None
        if kill:
            os.killpg(self.server.process.pid, signal.SIGKILL)
            self.server.process.wait()
        with suppress(ProcessLookupError):
            self._running.close()
        self.start()

    async def log_in(self, name: str) -> Person:
        """Return a browser with a new login."""
        person = Person(self.server.url)
        await person.log_in(PASSWORDS[name], name)
        return person

    async def lets_in(self, cookies: dict[str, str]) -> bool:
        """Tell whether the server accepts a copy of a browser's cookies."""
        copy = Person(self.server.url)
        copy.cookies = dict(cookies)
        return (await copy.fetch("api/kernels")).code == 200


@pytest.fixture
def restarting(tmp_path: Path) -> Iterator[Callable[..., Restarting]]:
    """Return a function that starts such a server."""
    with ExitStack() as stack:
        yield lambda *arguments: Restarting(stack, tmp_path, *arguments)


@pytest.mark.parametrize("kill", [False, True])
async def test_everything_that_was_answered_holds(restarting, kill):
    """Signed-out, revoked and unused logins stay ended after a restart; Bob's login continues."""
    run = restarting()
    bob = await run.log_in("bob")
    unused, signed_out, revoked = [await run.log_in("alice") for _ in range(3)]
    over = [dict(each.cookies) for each in (unused, signed_out, revoked)]
    assert (await signed_out.fetch("logout")).code == 200
    mine = (await revoked.json("api/session-user/me"))["id"]
    assert (await bob.fetch(f"{SESSIONS}/{mine}", method="DELETE")).code == 404
    assert (await revoked.fetch(f"{SESSIONS}/{mine}", method="DELETE")).code == 204
    if kill:
        run.restart(kill=True)
        assert [await run.lets_in(each) for each in over] == [True, False, False]
    last = await run.log_in("alice")
    over.append(dict(last.cookies))
    assert (await last.fetch(EVERYWHERE, method="POST", body={})).code == 200
    run.restart(kill=kill)
    assert [await run.lets_in(each) for each in over] == [False] * 4
    assert await run.lets_in(bob.cookies)
    again = await run.log_in("alice")
    async with kernel_of(again) as kernel_id, opened(again, kernel_id) as socket:
        assert await username(socket) == "alice"


async def test_in_memory_a_restart_forgets(restarting):
    """The administrator chose ``memory:``; no file is made."""
    run = restarting("--JupyterSessionUser.store_url=memory:")
    alice = await run.log_in("alice")
    kept = dict(alice.cookies)
    await alice.fetch("logout")
    run.restart()
    assert await run.lets_in(kept)
    assert not run.folder.exists()


async def test_with_a_broken_file_the_server_does_not_start(tmp_path):
    """The error has the fix and no traceback, and the file is unchanged."""
    folder = tmp_path / "data" / "session-user"
    folder.mkdir(parents=True)
    broken = folder / "ended.sqlite3"
    broken.write_bytes(b"x" * 10_000)
    env = {"JUPYTER_DATA_DIR": str(tmp_path / "data")}
    with pytest.raises(RuntimeError) as caught, own_server(*DEMO, env=env):
        pass
    told = str(caught.value)
    assert "JupyterSessionUser.store_url: " in told
    assert "move it away" in told
    assert "Traceback" not in told
    assert broken.read_bytes() == b"x" * 10_000


def test_standalone_voila_refuses_a_broken_file_as_well(need, tmp_path):
    """Standalone Voila uses the same parts."""
    pytest.importorskip("voila")
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"")
    (tmp_path / "page.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', encoding="utf-8"
    )
    module = "jupyter_session_user.server.voila"
    command = [
        *(sys.executable, "-m", "voila", "page.ipynb", "--no-browser", "--Voila.ip=127.0.0.1"),
        f"--VoilaConfiguration.multi_kernel_manager_class={module}.SessionUserKernelManager",
        f"--JupyterSessionUser.store_url=sqlite:///{broken}",
        "--port=0",
    ]
    env = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "store_url: " in done.stderr
    assert "it is empty" in done.stderr


# ------------------------------------------------------------------------- new logins

IMPORTS = "import asyncio, jupyter_session_user as j"
HOLDS = """
seen = []
async def _loop():
    while True:
        try: seen.append(j.get_current_user().username)
        except j.SessionUserError as error: seen.append(type(error).__name__)
        await asyncio.sleep(0.05)
_task = asyncio.ensure_future(_loop())
"""


async def held(socket: KernelSocket) -> str:
    """Return the user that the task has in five rounds from now on."""
    await socket.execute("seen.clear()")

    async def five() -> bool:
        await asyncio.sleep(0.05)  # without a pause, the kernel has no time for the task
        return (await socket.execute("print(len(seen) >= 5)")).text.strip() == "True"

    await eventually(five)
    return (await socket.execute("print(*sorted(set(seen)))")).text.strip()


async def test_signing_in_anew_ends_the_browsers_former_login(server):
    """A copy of the old cookie is refused; Alice's running code continues as Alice."""
    alice = Person(server.url)
    await alice.log_in(PASSWORDS["alice"], "alice")
    former = dict(alice.cookies)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as socket:
        await socket.execute(IMPORTS)
        await socket.execute(HOLDS)
        await alice.log_in(PASSWORDS["alice"], "alice")
        await socket.closed.wait()
        assert socket.connection.close_code == 4400  # reconnect
        copy = Person(server.url)
        copy.cookies = former
        assert (await copy.fetch("api/kernels")).code == 403
        async with opened(alice, kernel_id) as again:
            assert await held(again) == "alice"
            assert await username(again) == "alice"


async def test_somebody_else_at_the_same_browser(server):
    """Bob signs in in Alice's browser: her login ends, and her running code has no user."""
    alice, bob = Person(server.url), Person(server.url)
    await alice.log_in(PASSWORDS["alice"], "alice")
    former = dict(alice.cookies)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as socket:
        await socket.execute(IMPORTS)
        await socket.execute(HOLDS)
        bob.cookies = alice.cookies
        await bob.log_in(PASSWORDS["bob"], "bob")
        async with opened(bob, kernel_id) as his:
            assert await held(his) == "SessionRevoked"
            assert await username(his) == "bob"
    copy = Person(server.url)
    copy.cookies = former
    assert (await copy.fetch("api/kernels")).code == 403


@pytest.mark.parametrize("restart", [False, True])
async def test_signing_in_anew_before_the_end(restarting, restart):
    """The former login ends with the new one and no earlier, also after a restart."""
    run = restarting()
    alice = await run.log_in("alice")
    former = dict(alice.cookies)
    assert (await alice.fetch("login?session-user-anyway=1")).code == 200
    if restart:
        run.restart()
    copy = Person(run.server.url)
    copy.cookies = dict(former)
    assert (await copy.fetch("api/kernels")).code == 200  # until there is a new login
    await alice.log_in(PASSWORDS["alice"], "alice")
    assert (await copy.fetch("api/kernels")).code == 403
    assert (await alice.fetch("api/kernels")).code == 200
