"""A JupyterHub with alice's server and her guest bob: ``make demo-hub``.

It checks that each cell is its sender's, with the Hub's groups, and that bob's logout at the Hub
ends his login in alice's kernel at once. It prints a table, and goes on until Ctrl-C. With
``--check`` it ends; its exit status is 1 if a row is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from pathlib import Path

from hub import PASSWORD, HubPerson, hub_running, proxy_program
from people import LEGACY, V1, KernelSocket

from jupyter_session_user.testing.self_check import SETUP, Row, interleave, says, table

WHO = "print(get_current_user().username)"
#: Seconds in which bob's logout must count.
PATIENCE_S = 3.0


async def check(people: dict[str, HubPerson]) -> list[Row]:
    """Let all people run cells in one kernel at the same time."""
    rows: list[Row] = []
    kernel_id = await people["alice"].start_kernel()
    for protocol in (V1, LEGACY):
        sockets = {
            name: await person.connect(kernel_id, protocol=protocol)
            for name, person in people.items()
        }
        await sockets["alice"].execute(SETUP)
        rows += await interleave(sockets, "v1" if protocol else "legacy")
        if protocol is LEGACY:
            rows += await _at_the_hub(people["bob"], sockets)
        for socket in sockets.values():
            await socket.close()
    return rows


async def _at_the_hub(bob: HubPerson, sockets: dict[str, KernelSocket]) -> list[Row]:
    """Ask for what only the Hub knows; then bob logs out there."""
    asked = (
        ("the kernel's owner", "get_session().kernel_owner", {"alice": "alice", "bob": "alice"}),
        (
            "groups at the Hub",
            "*sorted(get_current_user().groups)",
            {"alice": "team-x", "bob": "guests team-x"},
        ),
    )
    rows = [
        Row(title, name, await says(sockets[name], f"print({code})"), wanted)
        for title, code, answers in asked
        for name, wanted in answers.items()
    ]
    bob.log_out()
    end = time.monotonic() + PATIENCE_S
    while (answer := await says(sockets["bob"], WHO)) == "bob" and time.monotonic() < end:
        await asyncio.sleep(0.1)
    return [
        *rows,
        Row("after bob's logout at the Hub", "alice", await says(sockets["alice"], WHO)),
        Row("after bob's logout at the Hub", "bob", answer, "SessionExpired"),
    ]


def main() -> int:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="end after the table")
    options = parser.parse_args()
    if proxy_program() is None:
        raise SystemExit("configurable-http-proxy is missing: make .venv/.proxy")
    with tempfile.TemporaryDirectory(prefix="jupyter-session-user-") as folder:
        print("Starting JupyterHub and alice's server ...", flush=True)
        # With this interval, bob's logout can only count because the Hub tells the server.
        with hub_running(Path(folder), "--JupyterSessionUser.revalidate_interval=3600") as hub:
            people = {name: HubPerson(hub, name).enter() for name in ("alice", "bob")}
            rows = asyncio.run(check(people))
            print(table(rows))
            right = all(row.right for row in rows)
            print("Every row is right.\n" if right else "NOT every row is right.\n", flush=True)
            if not options.check:
                print("Log in as alice and, in a private window, as bob, and open in both:\n")
                print(f"  {hub.url}user/alice/lab")
                print(f"  password  {PASSWORD}\n")
                print("The windows share alice's server. Run %whoami in one notebook of both, then")
                print(f"log out as bob at {hub.url}hub/logout, and run it again.")
                print("\nCtrl-C ends the demo.", flush=True)
                try:
                    threading.Event().wait()
                except KeyboardInterrupt:
                    print("\nEnding the demo ...")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
