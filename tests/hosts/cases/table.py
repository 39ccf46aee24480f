"""Writes the table "What works where" into the documentation, from the cases of the suite.

python tests/hosts/cases/table.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "support")]

from cases import CASES, drivers  # noqa: E402 - the path above leads there

PAGE = Path(__file__).parents[3] / "docs" / "hosts" / "what_works.md"

_TEXT = """# What works where

The test suite tries each case with two visitors at the same time, in a real server of each host
(`tests/hosts/cases/`). This table is written from that suite.

- **✓**: `get_current_user()` returns the right user for each visitor.
- **error**: `get_current_user()` raises `IdentityUnavailable`. It never names the wrong visitor.
- **anonymous**: the user is anonymous (`is_anonymous`).
- **warning**: it works, and a warning says that the result is kept for other visitors.
- **the page's visitor**: with the token of a Panel preview, a click of another client runs as the
  visitor of that page. This is a limit of Panel ([Panel](panel.md)).
- **n/a**: the host does not have this feature.

"""


def table() -> str:
    """Return the page."""
    hosts = drivers()
    rows = [["", *(host.title for host in hosts)], ["---", *("---" for _ in hosts)]]
    rows += [[case.title, *(host.ways[case.id].mark for host in hosts)] for case in CASES]
    return _TEXT + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
