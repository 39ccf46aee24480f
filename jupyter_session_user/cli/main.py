"""The command line: ``jupyter session-user enable | disable | doctor | sessions | revoke``."""

# ruff: noqa: T201 - a command line prints
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from jupyter_session_user.cli import doctor, sessions, voila_config
from jupyter_session_user.errors import SessionUserError

__all__ = ["main"]

T = TypeVar("T")

_ONLY = "only this server, not all that run here"
_LIST = "'jupyter session-user sessions'"

#: The commands that change ``voila.json``: name, help, function, and what is said afterwards if the
#: file has changed, and if not.
_CHANGES = (
    (
        "enable",
        "write this package's keys into voila.json, for standalone 'voila'",
        voila_config.enable,
        ("written", "no change, Voila is enabled already"),
    ),
    (
        "disable",
        "remove this package's keys from voila.json",
        voila_config.disable,
        ("keys removed", "no change, Voila is disabled already"),
    ),
)
#: The files that they can change.
_WHERE = {
    "sys-prefix": "in this Python environment (the default inside a virtual environment)",
    "user": "for this user (the default elsewhere)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    Returns:
        0 for success; 1 if ``doctor`` found a problem, or ``revoke`` could not revoke a login; 2
        for errors.
    """
    options = _parser().parse_args(argv)
    try:
        status: int = options.run(options)
    except (SessionUserError, OSError) as error:
        _complain(error)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter session-user",
        description="Check the installation, set Voila up, and list and revoke sessions.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, change, said in _CHANGES:
        command = commands.add_parser(name, help=text, description=f"{text}.")
        command.add_argument("host", choices=["voila"], help="the program to configure")
        group = command.add_mutually_exclusive_group()
        for where, which in _WHERE.items():
            group.add_argument(
                f"--{where}", dest="where", action="store_const", const=where, help=which
            )
        command.set_defaults(run=_change, change=change, said=said)
    check = commands.add_parser("doctor", help="check the installation, and print the fixes")
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    check.add_argument("--server", metavar="URL|PORT", help=_ONLY)
    check.set_defaults(run=_doctor)
    show = commands.add_parser("sessions", help="list the sessions of the servers that run here")
    show.add_argument("--json", action="store_true", help="print JSON, for programs")
    show.set_defaults(run=_sessions)
    revoke = commands.add_parser(
        "revoke",
        help="end logins at the servers that run here, at once",
        description="End logins at once: no message of their browsers reaches a kernel any more.",
    )
    who = revoke.add_mutually_exclusive_group(required=True)
    who.add_argument("session", nargs="*", default=[], metavar="ID", help="as 'sessions' prints it")
    who.add_argument("--user", metavar="NAME", help="all logins of this username")
    revoke.set_defaults(run=_revoke)
    for command in (show, revoke):
        command.add_argument("--server", metavar="URL|PORT", help=_ONLY)
    return parser


def _change(options: argparse.Namespace) -> int:
    """Write our keys into ``voila.json``, or remove them."""
    path = voila_config.path_for(options.where)
    changed, unchanged = options.said
    print(f"{path}: {changed if options.change(path) else unchanged}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    findings = doctor.examine(options.server)
    if options.json:
        print(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        print("\n".join(finding.line() for finding in findings))
    return int(any(finding.verdict == "fix" for finding in findings))


def _sessions(options: argparse.Namespace) -> int:
    listed = [(s, _or_complain(s.sessions)) for s in sessions.find(options.server)]
    answered = [(server, many) for server, many in listed if many is not None]
    if options.json:
        lines = [{"server": server.url, **one} for server, many in answered for one in many]
        print(json.dumps(lines, indent=2))
    else:
        print("\n\n".join(f"{server.url}\n{sessions.table(many)}" for server, many in answered))
    return 2 if len(answered) < len(listed) else 0


def _revoke(options: argparse.Namespace) -> int:
    servers = sessions.find(options.server)
    if options.user is not None:
        answers = [_or_complain(server.revoke_user, options.user) for server in servers]
        revoked = sum(filter(None, answers))
        print(f"{revoked} login{'' if revoked == 1 else 's'} revoked")
        if not any(answers) and None not in answers:
            _complain(f"no user {options.user!r} is logged in; see {_LIST}")
        return 0 if revoked and None not in answers else 1
    everything = [
        (server, one) for server in servers for one in _or_complain(server.sessions) or ()
    ]
    done = [_revoke_one(everything, given) for given in options.session]
    return 0 if all(done) else 1


def _revoke_one(everything: Sequence[tuple[sessions.Server, dict[str, Any]]], given: str) -> bool:
    """Revoke the login of one session; return whether it was revoked."""
    found = [one for one in everything if sessions.matches(one[1]["id"], given)]
    if len(found) != 1:
        said = "more than one session begins with" if found else "there is no session"
        _complain(f"{said} {given!r}; take an id from {_LIST}")
        return False
    ((server, model),) = found
    if not _or_complain(server.revoke, model["id"]):
        return False
    print(f"revoked: {sessions.short(model['id'])}, {model['user']['username']!r}")
    return True


def _or_complain(call: Callable[..., T], *arguments: str) -> T | None:
    """Return the server's answer; print a line and return None if it does not answer."""
    try:
        return call(*arguments)
    except SessionUserError as error:
        _complain(error)
        return None


def _complain(error: object) -> None:
    print(f"jupyter session-user: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
