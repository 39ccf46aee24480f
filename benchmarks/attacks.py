"""Attacks of one user on another, on real servers: is each of them held?

    python benchmarks/attacks.py [--item 3] [--item 7] [--json FILE]

Alice and bob share a server. Each row of the JSON is one attack of bob's on alice's data: ``held``
is true where it fails, false where it works or where the attack itself broke, null where it needs a
package that is not installed. Ends with status 1 if any row is not held.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import platform
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from attack_cases import cookies, debugging, doors, inherited, logins, malformed, prompts
from attack_cases.stage import Attack, Row, Stage, say
from support import report

#: Seconds that one row may take.
PATIENCE_S = 60.0
#: The attacks, by the number of the item in the issue.
ATTACKS: dict[int, Attack] = {
    1: inherited.forks,
    2: inherited.servers,
    3: prompts.prompts,
    4: debugging.debugger,
    7: cookies.joined,
    8: doors.exclusive,
    9: doors.events,
    10: logins.cookies,
    13: malformed.messages,
}


async def attack(item: int, stage: Stage) -> list[Row]:
    """Run all variants of one item; an error counts as not held."""
    rows: list[Row] = []
    started, variants = time.monotonic(), ATTACKS[item](stage)
    while True:
        try:
            row = await asyncio.wait_for(anext(variants), PATIENCE_S)
        except StopAsyncIteration:
            break
        except Exception as error:  # noqa: BLE001 - whatever it is, the row says so
            told = f"the attack broke: {type(error).__name__}: {error}"
            rows.append(Row(item, "(the rest of this item)", held=False, detail=told))
            say(f"  {item}: {told}")
            break
        rows.append(row)
        say(f"  {row.item}: {row.held!s:5} {row.attack}: {row.detail}")
    say(f"item {item}: {time.monotonic() - started:.1f} s")
    return rows


async def attack_all(items: list[int], stage: Stage) -> list[Row]:
    """Run the items, one after the other."""
    return [row for item in items for row in await attack(item, stage)]


def verdict(rows: list[Row]) -> dict[str, Any]:
    """Return the JSON to print."""
    packages = ("jupyter_server", "ipykernel", "tornado")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "held": all(row.held is not False for row in rows),
        "not_held": sum(row.held is False for row in rows),
        "skipped": sum(row.held is None for row in rows),
        "versions": {**versions, "python": platform.python_version()},
        "rows": [row.as_json() for row in rows],
    }


def main() -> int:
    """Attack, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--item", type=int, action="append", choices=sorted(ATTACKS), help="only this item"
    )
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    with ExitStack() as stack:
        rows = asyncio.run(attack_all(options.item or sorted(ATTACKS), Stage(stack)))
    result = verdict(rows)
    report(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
