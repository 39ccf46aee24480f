"""``jupyter session-user audit``: read an audit file, and check its chain."""

# ruff: noqa: T201 - a command line prints
from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyter_session_user.core.audit_chain import START, Finding, Link, findings, read_entry
from jupyter_session_user.core.audit_query import Query, parse_since
from jupyter_session_user.errors import SessionUserError
from jupyter_session_user.store.audit_file import parts_of, read_lines

__all__ = ["add_command"]

_VERIFY = "verify"
#: Findings that are printed; one change of the file's format could make each line one.
_MAX_SHOWN = 100
_SHORT = 12  # characters of an id or a hash in the table
_COLUMNS = ("TIME", "USERNAME", "KIND", "VIA", "STATUS", "KERNEL", "NOTEBOOK", "CELL", "CODE")


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "audit",
        help="read an audit file, or check that nobody has changed it",
        description="Show who ran what, from an audit file and its older parts. With 'verify', "
        "check the chain of hashes instead.",
    )
    command.add_argument(
        "what", nargs="+", metavar="[verify] FILE", help="the file that audit_file names"
    )
    command.add_argument("--user", metavar="NAME", help="records of this username alone")
    command.add_argument(
        "--since", type=_since, metavar="TIME", help="later records alone: 90s, 2h, 1d, or a time"
    )
    command.add_argument(
        "--kernel", default="", metavar="ID", help="records of kernels whose id begins like this"
    )
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.add_argument(
        "--last", metavar="HASH", help="verify: a hash kept elsewhere, which a line must have"
    )
    command.add_argument(
        "--after",
        metavar="HASH",
        default=START.hash,
        help="verify: the hash of the last line that was removed on purpose",
    )
    command.set_defaults(run=_run)


def _since(text: str) -> datetime:
    try:
        return parse_since(text, datetime.now().astimezone())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(options: argparse.Namespace) -> int:
    names = list(options.what)
    verify = len(names) > 1 and names[0] == _VERIFY
    paths = [part for name in names[verify:] for part in _parts(name)]
    return _verify(paths, options) if verify else _show(paths, options)


def _parts(name: str) -> list[Path]:
    """Return the parts of a file, oldest first; one of the parts stands for itself."""
    path = Path(name)
    if not path.is_file():
        raise SessionUserError(f"there is no file {name}; name the file that audit_file names")
    return parts_of(path)


def _verify(paths: list[Path], options: argparse.Namespace) -> int:
    """Check the chain; 0 if it is whole, 1 if not."""
    shown, wrong, end, kept = 0, 0, START, options.last is None
    places = _places(paths)
    for found in findings(read_lines(paths), options.after):
        if isinstance(found, Link):
            end = found
            break
        wrong += 1
        if shown < _MAX_SHOWN:
            shown += 1
            print(f"{_place(places, found)}: {found.text}")
    if not kept:
        kept = any(_hash_of(line) == options.last for line in read_lines(paths))
        if not kept:
            print(f"no line has the hash {options.last}: lines are missing, or were written anew")
    if wrong or not kept:
        print(f"NOT WHOLE: {wrong} finding{'' if wrong == 1 else 's'} in {_total(places)} lines")
        return 1
    print(f"whole: {_total(places)} lines; the last one is {end.seq}, its hash is {end.hash}")
    if options.last is None:
        print(
            "lines cut off at the end, and hashes that were all calculated anew, are not seen. "
            "Keep the last hash elsewhere, and give it with --last the next time"
        )
    return 0


def _places(paths: list[Path]) -> list[tuple[Path, int]]:
    """Return how many lines each part has."""
    return [(path, sum(1 for _ in read_lines([path]))) for path in paths]


def _place(places: list[tuple[Path, int]], found: Finding) -> str:
    line = found.line
    for path, count in places:
        if line <= count:
            return f"{path}:{line}"
        line -= count
    return f"line {found.line}"  # the file has grown meanwhile


def _total(places: list[tuple[Path, int]]) -> int:
    return sum(count for _, count in places)


def _hash_of(line: bytes) -> str:
    try:
        return read_entry(line).link.hash
    except ValueError:
        return ""


def _show(paths: list[Path], options: argparse.Namespace) -> int:
    """Print the records that are asked for; 1 if a line cannot be read."""
    query, damaged, rows = Query(options.user, options.since, options.kernel), 0, []
    for line in read_lines(paths):
        try:
            fields = json.loads(line + (b"" if line.endswith(b"}") else b"}"))
        except ValueError:
            damaged += 1
            continue
        if not isinstance(fields, dict) or not query.has(fields):
            continue
        if options.json:
            print(json.dumps(fields))
        else:
            rows.append(_row(fields))
    if not options.json:
        _print_table(rows)
    if damaged:
        raise SessionUserError(
            f"{damaged} lines cannot be read; check the file with 'audit verify'"
        )
    return 0


def _row(fields: dict[str, Any]) -> tuple[str, ...]:
    agent = fields.get("actor") or {}
    name = fields.get("username") or "-"
    actor = f" (by {agent.get('name') or agent.get('client_id')})" if agent else ""
    code = fields.get("code")
    return (
        _local(fields.get("time")),
        _clean(f"{name}{actor}"),
        _clean(fields.get("kind")),
        _clean(fields.get("via")),
        _clean(fields.get("status") or fields.get("detail") or fields.get("lines")),
        _clean(fields.get("kernel_id"))[:_SHORT],
        _clean(fields.get("path")),
        _clean(fields.get("cell_id"))[:_SHORT],
        repr(code) if isinstance(code, str) else _clean(fields.get("code_sha256"))[:_SHORT],
    )


def _clean(value: object) -> str:
    """Return a text that cannot control the terminal; a client has chosen some of them."""
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else "?" for c in text)


def _local(text: object) -> str:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return _clean(text)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _print_table(rows: list[tuple[str, ...]]) -> None:
    table = [_COLUMNS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_COLUMNS))]
    for row in table:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )
