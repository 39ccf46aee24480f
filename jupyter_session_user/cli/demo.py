"""``jupyter session-user demo``: one JupyterLab, two users, one shared kernel."""

# ruff: noqa: T201 - it prints for the user of the terminal
from __future__ import annotations

import argparse
import asyncio
import importlib.util
import signal
import sys
import time
import webbrowser
from contextlib import suppress
from typing import Any, NoReturn

from jupyter_session_user.cli.demo_server import DemoServer, demo_server
from jupyter_session_user.errors import ConfigurationError, SessionUserError

__all__ = ["add_to"]

#: The exit status of a check that was not finished, as of a shell after Ctrl-C.
_INTERRUPTED = 130

#: What the page needs.
_NEEDS = ("jupyterlab", "ipykernel", "ipywidgets")

_WARNING = """\
The demo has no passwords: a person who opens this address can log in as each user, and can run any
code with your account. Do not pass it on, and put no real data there."""


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "demo",
        help="try it: a private JupyterLab with two users, in your browser",
        description=(
            "Start a private JupyterLab on 127.0.0.1, and open a page with a button for each of "
            "two users. It removes its files at the end. It has no password: it protects no data."
        ),
    )
    command.add_argument(
        "--no-browser", action="store_true", help="open no page; print its address"
    )
    command.add_argument("--port", type=int, help="a fixed port; the system chooses otherwise")
    command.add_argument(
        "--check",
        action="store_true",
        help="let both users run cells on one kernel, print who the kernel saw, and end; "
        "the exit status is 1 if a cell had the wrong user",
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the demo needs {' and '.join(missing)}; "
            f"run '{sys.executable} -m pip install \"jupyter-session-user[demo]\"'"
        )
    before = signal.signal(signal.SIGTERM, _leave)  # or the server would outlive the command
    try:
        with demo_server(options.port, _progress()) as server:
            print(" ready.", flush=True)
            return (
                _check(server) if options.check else _serve(server, browser=not options.no_browser)
            )
    except KeyboardInterrupt:
        print("\nThe demo has ended; its files are removed.")
        return _INTERRUPTED if options.check else 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _progress() -> Any:
    print("Starting JupyterLab ", end="", flush=True)
    return lambda: print(".", end="", flush=True)


def _serve(server: DemoServer, *, browser: bool) -> int:
    print(f"\n  {server.page}\n\n{_WARNING}\n", flush=True)
    if browser:
        opened = False
        with suppress(webbrowser.Error):
            opened = webbrowser.open(server.starter().as_uri())
        print(
            "Opening the page in your browser. If none appears, open the address above."
            if opened
            else "There is no browser here: open the address above."
        )
    print("Ctrl-C ends the demo.", flush=True)
    while server.process.poll() is None:
        time.sleep(0.5)
    raise SessionUserError(f"JupyterLab has ended; its log ends with:\n{server.log_end()}")


def _check(server: DemoServer) -> int:
    """Print the table; return 0 only if every row of it is right."""
    from jupyter_session_user.testing.self_check import table  # noqa: PLC0415

    print("Alice and Bob run cells in turns on one kernel ...", flush=True)
    rows = asyncio.run(_rows(server))
    print(table(rows))
    right = all(row.right for row in rows)
    print("Every row is right." if right else "NOT every row is right.", flush=True)
    return 0 if right else 1


async def _rows(server: DemoServer) -> list[Any]:
    """Log both users in as the page's buttons do, and let them run the cells."""
    from jupyter_session_user.testing import demo_client, self_check  # noqa: PLC0415

    people = {name: demo_client.Visitor(server.url) for name in ("alice", "bob")}
    for name, person in people.items():
        await person.visit(f"session-user-demo/as/{name}?key={server.key}")
        await person.visit("session-user-demo")  # its forms bring the cookie against forged ones
    kernel_id = await people["alice"].start_kernel()
    rows: list[self_check.Row] = []
    for protocol in (demo_client.V1, demo_client.LEGACY):
        sockets = {n: await p.connect(kernel_id, protocol) for n, p in people.items()}
        await sockets["alice"].execute(self_check.SETUP)
        rows += await self_check.interleave(sockets, "v1" if protocol else "legacy")
        for socket in sockets.values():
            await socket.close()
    await people["alice"].stop_kernel(kernel_id)
    return rows
