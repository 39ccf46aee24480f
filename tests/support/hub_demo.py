"""A JupyterHub with alice's server and her guest bob: ``make demo-hub``.

It checks that each cell is its sender's, prints a table, and goes on until Ctrl-C. With
``--check`` it ends; its exit status is 1 if a row is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from pathlib import Path

from demo import SETUP, Row, interleave, table
from hub import PASSWORD, HubPerson, hub_running, proxy_program
from people import LEGACY, V1


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
        for socket in sockets.values():
            await socket.close()
    return rows


def main() -> int:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="end after the table")
    options = parser.parse_args()
    if proxy_program() is None:
        raise SystemExit("configurable-http-proxy is missing: make .venv/.proxy")
    with tempfile.TemporaryDirectory(prefix="jupyter-session-user-") as folder:
        print("Starting JupyterHub and alice's server ...", flush=True)
        with hub_running(Path(folder)) as hub:
            people = {name: HubPerson(hub, name).enter() for name in ("alice", "bob")}
            rows = asyncio.run(check(people))
            print(table(rows))
            right = all(row.right for row in rows)
            print("Every row is right.\n" if right else "NOT every row is right.\n", flush=True)
            if not options.check:
                print(f"Log in as alice and, in a private window, as bob: password {PASSWORD!r}\n")
                print(f"  {hub.url}user/alice/lab\n\nCtrl-C ends the demo.", flush=True)
                try:
                    threading.Event().wait()
                except KeyboardInterrupt:
                    print("\nEnding the demo ...")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
