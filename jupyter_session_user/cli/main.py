"""The command line: ``jupyter session-user enable | disable | doctor``."""

# ruff: noqa: T201 - it speaks to the person at the terminal
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from jupyter_session_user.cli import doctor, voila_config
from jupyter_session_user.errors import SessionUserError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    Returns:
        0 if all is well, 1 if ``doctor`` found something to mend, 2 for errors.
    """
    options = _parser().parse_args(argv)
    try:
        status: int = options.run(options)
    except (SessionUserError, OSError) as error:
        print(f"jupyter session-user: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter session-user",
        description="Who is the person whose request is running this line of code?",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("enable", _enable, "write our keys into voila.json, for standalone 'voila'"),
        ("disable", _disable, "take our keys out of voila.json again"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text}.")
        command.add_argument("host", choices=["voila"], help="what to do it for")
        where = command.add_mutually_exclusive_group()
        where.add_argument(
            "--sys-prefix",
            dest="where",
            action="store_const",
            const="sys-prefix",
            help="in this Python environment (the default inside a virtual environment)",
        )
        where.add_argument(
            "--user",
            dest="where",
            action="store_const",
            const="user",
            help="for this user (the default elsewhere)",
        )
        command.set_defaults(run=run)
    check = commands.add_parser("doctor", help="say what works here, and how to mend the rest")
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    check.set_defaults(run=_doctor)
    return parser


def _enable(options: argparse.Namespace) -> int:
    path = voila_config.path_for(options.where)
    changed = voila_config.enable(path)
    print(f"{path}: {'written' if changed else 'has everything already'}")
    return 0


def _disable(options: argparse.Namespace) -> int:
    path = voila_config.path_for(options.where)
    changed = voila_config.disable(path)
    print(f"{path}: {'our keys are gone' if changed else 'has none of our keys'}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    findings = doctor.examine()
    if options.json:
        print(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        print("\n".join(finding.line() for finding in findings))
    return int(any(finding.verdict == "mend" for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
