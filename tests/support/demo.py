"""The demo: one JupyterLab, two users, one shared kernel.

    make demo [ARGS=--check]

Starts a private JupyterLab, logs two users in over HTTP, lets them run cells in turns on one
kernel, and prints the user that the kernel reported. Then it stays up, for a look with two
browsers.
"""

# ruff: noqa: T201 - it prints for the user of the terminal
from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_server import LocalServer, local_server
from people import LEGACY, V1, KernelSocket, Person

__all__ = ["SETUP", "Row", "interleave", "main", "says", "table"]

PEOPLE = ("alice", "bob")
NOTEBOOK = "whoami.ipynb"
#: Without it JupyterLab asks every new user whether to fetch announcements.
LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}
_PROVIDER = "jupyter_session_user.testing.demo_identity.DemoIdentityProvider"
ARGUMENTS = (
    f"--ServerApp.identity_provider_class={_PROVIDER}",
    "--DemoIdentityProvider.demo=True",
    "--IdentityProvider.token=",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--JupyterSessionUser.share_cookies=demo_platform_user",
)
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 only if every row of the table is right."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="end after the table")
    parser.add_argument("--port", type=int, help="a fixed port; the system chooses otherwise")
    parser.add_argument(
        "--examples", type=Path, default=EXAMPLES, help=f"where {NOTEBOOK} is (%(default)s)"
    )
    options = parser.parse_args(argv)
    passwords = {name: secrets.token_hex(4) for name in PEOPLE}
    try:
        notebook = (options.examples / NOTEBOOK).read_text(encoding="utf-8")
    except OSError as error:
        sys.exit(f"{error}. Run the demo from a checkout, or pass --examples DIRECTORY.")
    print("Starting JupyterLab ...", flush=True)
    with local_server(
        *ARGUMENTS,
        f"--DemoIdentityProvider.passwords={passwords}",
        command=(sys.executable, "-m", "jupyterlab"),
        files={NOTEBOOK: notebook},
        config={"labconfig/default_setting_overrides.json": json.dumps(LAB_SETTINGS)},
        port=options.port,
    ) as server:
        rows = asyncio.run(_self_check(server, passwords))
        print(table(rows))
        right = all(row.right for row in rows)
        print("Every row is right.\n" if right else "NOT every row is right.\n", flush=True)
        if not options.check:
            _serve(server, passwords)
    return 0 if right else 1


async def _self_check(server: LocalServer, passwords: dict[str, str]) -> list[Row]:
    people = {name: Person(server.url) for name in PEOPLE}
    for name, person in people.items():
        await person.log_in(passwords[name], name)
    kernel_id = await people["alice"].start_kernel()
    rows: list[Row] = []
    for protocol in (V1, LEGACY):
        sockets = {
            name: await person.connect(kernel_id, protocol=protocol)
            for name, person in people.items()
        }
        await sockets["alice"].execute(SETUP)
        rows += await interleave(sockets, "v1" if protocol else "legacy")
        for socket in sockets.values():
            await socket.close()
    await people["alice"].fetch(f"api/kernels/{kernel_id}", method="DELETE")
    return rows


async def interleave(sockets: dict[str, KernelSocket], label: str) -> list[Row]:
    """Send every cell as every user, all at once: the kernel gets them in turns."""
    jobs = [(title, name, code) for title, code in CELLS for name in sockets]
    answers = await asyncio.gather(*(says(sockets[name], code) for _, name, code in jobs))
    return [
        Row(f"{title} ({label})", name, answer)
        for (title, name, _), answer in zip(jobs, answers, strict=True)
    ]


async def says(socket: KernelSocket, code: str) -> str:
    """Return what a cell prints, else the name of its error."""
    result = await socket.execute(code)
    errors = "; ".join(error.partition(":")[0] for error in result.errors)
    return result.text.strip() or errors or "nothing"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text."""
    width = max(len(row.title) for row in rows)
    seen = max(len("kernel saw"), *(len(row.saw) for row in rows))
    lines = [f"{'what':{width}}  cell sent by  kernel saw"]
    lines += [
        f"{row.title:{width}}  {row.sent_by:12}  {row.saw:{seen}}  {'ok' if row.right else 'WRONG'}"
        for row in rows
    ]
    return "\n".join(["", *lines, ""])


def _serve(server: LocalServer, passwords: dict[str, str]) -> None:
    print("Log in with two browsers (or one, and a private window):\n")
    print(f"  {server.url}lab/tree/{NOTEBOOK}\n")
    for name, password in passwords.items():
        print(f"  {name:8} password {password}")
    print("\nOpen the same notebook as both, and run its cells. Ctrl-C ends the demo.", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nEnding the demo ...")


if __name__ == "__main__":
    sys.exit(main())
