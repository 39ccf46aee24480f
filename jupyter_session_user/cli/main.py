"""The command line, ``jupyter session-user COMMAND``."""

# ruff: noqa: T201 - a command line prints
from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from jupyter_session_user._version import __version__
from jupyter_session_user.cli import audit, demo, doctor, purge, sessions, settings, voila_config
from jupyter_session_user.cli.agents import add_agents
from jupyter_session_user.core.signing_keys import AHEAD_S
from jupyter_session_user.errors import SessionUserError
from jupyter_session_user.server.auth.identity_tokens import key_path
from jupyter_session_user.tokens.keys import need_joserfc, rotate

__all__ = ["main"]

T = TypeVar("T")

WATCH_S = 2.0

_ONLY = "only this server, not all that run here"
_LIST = "'jupyter session-user sessions'"

#: The commands that change Voila's configuration: name, help, function, and what is said afterwards
#: if a file has changed, and if not.
_CHANGES = (
    (
        "enable",
        "use this package in standalone 'voila' again, after disable",
        voila_config.enable,
        (
            "standalone Voila uses this package; restart Voila",
            "no change, Voila is enabled already",
        ),
    ),
    (
        "disable",
        "run standalone 'voila' as without this package",
        voila_config.disable,
        (
            "standalone Voila runs without this package; restart Voila",
            "no change, Voila is disabled already",
        ),
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
        0 for success; 1 if ``doctor`` or ``audit verify`` found a problem, or ``revoke`` could not
        revoke a login; 2 for errors.
    """
    options = _parser().parse_args(argv)
    try:
        status: int = options.run(options)
    except (SessionUserError, OSError) as error:
        _complain(error)
        return 2
    return status


class _Parser(argparse.ArgumentParser):
    """A parser whose errors name the command or option that was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Exit with the message of argparse, and a suggestion."""
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        option = re.search(r"unrecognized arguments: ([^\s=]+)", message)
        close: list[str] = []
        if choice is not None:
            close = difflib.get_close_matches(choice[1], re.findall(r"[\w-]+", choice[2]), n=1)
        elif option is not None:
            close = difflib.get_close_matches(option[1], _options(), n=1)
        super().error(f"{message}\nDid you mean {close[0]!r}?" if close else message)


def _options() -> list[str]:
    """Return the options of all commands."""
    whole = _parser()
    texts = (parser.format_help() for parser in (whole, *whole.get_default("every").values()))
    return sorted({option for text in texts for option in re.findall(r"--[a-z][a-z-]+", text)})


def _parser() -> _Parser:
    parser = _Parser(
        prog="jupyter session-user",
        description="Try the package, check the installation, list and revoke sessions and agents.",
    )
    parser.add_argument(
        "--version", action="version", version=f"jupyter-session-user {__version__}"
    )
    parser.add_argument(
        "--help-all",
        action=_Print,
        text=lambda: f"{parser.format_help()}\n{settings.help_text()}",
        help="show this help, and all settings of the server",
    )
    parser.add_argument(
        "--generate-config",
        action=_Print,
        text=settings.config_text,
        help="print all settings, commented out, for jupyter_server_config.py",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    parser.set_defaults(every=commands.choices)
    demo.add_to(commands)
    _add_changes(commands)
    check = commands.add_parser("doctor", help="check the installation, and print the fixes")
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    check.add_argument("--server", metavar="URL|PORT", help=_ONLY)
    check.set_defaults(run=_doctor)
    _add_sessions(commands)
    add_agents(commands)
    audit.add_command(commands)
    _add_keys(commands)
    clean = commands.add_parser(
        "purge", help="remove all files that 'pip uninstall jupyter-session-user' leaves"
    )
    clean.add_argument("--yes", action="store_true", help="remove them; without it, list them")
    clean.set_defaults(run=_purge)
    return parser


def _add_keys(commands: Any) -> None:
    """Add the command that changes the keys of identity tokens."""
    keys = commands.add_parser("keys", help="add a new key for identity tokens")
    keys.add_argument("action", choices=["rotate"], help="add a key, and keep the old one for now")
    keys.add_argument(
        "--file", metavar="PATH", default="", help="the server's token_key_file, if it is set"
    )
    keys.add_argument(
        "--now", action="store_true", help="drop the old keys at once: one of them has leaked"
    )
    keys.set_defaults(run=_rotate)


def _add_sessions(commands: Any) -> None:
    """Add the commands that list and revoke sessions."""
    show = commands.add_parser("sessions", help="list the sessions of the servers that run here")
    show.add_argument("--json", action="store_true", help="print JSON, for programs")
    show.add_argument("--all", action="store_true", help="also sessions whose login has ended")
    show.add_argument(
        "--watch", action="store_true", help=f"show the list anew every {WATCH_S:g} s, until Ctrl-C"
    )
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


def _add_changes(commands: Any) -> None:
    """Add the commands that change Voila's configuration."""
    for name, text, change, said in _CHANGES:
        command = commands.add_parser(name, help=text, description=f"{text}.")
        command.add_argument("host", choices=["voila"], help="the program to configure")
        group = command.add_mutually_exclusive_group()
        for where, which in _WHERE.items():
            group.add_argument(
                f"--{where}", dest="where", action="store_const", const=where, help=which
            )
        command.set_defaults(run=_change, change=change, said=said)


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
    if not options.watch:
        return _list_once(options)
    with suppress(KeyboardInterrupt):
        while True:
            if sys.stdout.isatty():
                print("\x1b[2J\x1b[H", end="")  # clear the screen, ECMA-48
            try:
                _list_once(options)
            except sessions.NoServer as error:  # it may be restarting
                print(error)
            print(flush=True)
            time.sleep(WATCH_S)
    return 0


def _list_once(options: argparse.Namespace) -> int:
    listed = [(s, _or_complain(s.sessions)) for s in sessions.find(options.server)]
    answered = [(server, many) for server, many in listed if many is not None]
    if not options.all:
        answered = [(server, sessions.logged_in(many)) for server, many in answered]
    if options.json:
        lines = [{"server": server.url, **one} for server, many in answered for one in many]
        print(json.dumps(lines, indent=None if options.watch else 2))
    else:
        print("\n\n".join(f"{server.url}\n{sessions.table(many)}" for server, many in answered))
    return 2 if len(answered) < len(listed) else 0


def _purge(options: argparse.Namespace) -> int:
    with suppress(sessions.NoServer):
        running = " and ".join(server.url for server in sessions.find(None))
        raise SessionUserError(f"{running} would write them again; stop that server first")
    others = sessions.elsewhere()
    if others:
        raise SessionUserError(
            f"a server on {' and '.join(others)} may use the same files; run this command there, "
            "or remove the files session-user-*.json in Jupyter's runtime directory if that "
            "machine is gone"
        )
    found = purge.leftovers()
    if purge.is_in_use():
        raise SessionUserError("Voila or a server uses the list of ended logins; stop it first")
    for path, what in found:
        print(f"{path}: {what}")
        if options.yes:
            purge.remove(path)
    if not found:
        print("nothing to remove; run 'pip uninstall jupyter-session-user'")
    elif options.yes:
        print("removed; run 'pip uninstall jupyter-session-user' to remove the package itself")
    else:
        print(
            "nothing is removed yet; run 'jupyter session-user purge --yes'. Without the list of "
            "ended logins, a server accepts their cookies again until these expire"
        )
    return 0


def _rotate(options: argparse.Namespace) -> int:
    need_joserfc("keys rotate")
    path = key_path(options.file)
    kid = rotate(path, time.time(), at_once=options.now)
    if options.now:
        print(
            f"{path}: only the new key {kid} is left; services refuse the old ones within minutes"
        )
    else:
        print(f"{path}: the new key {kid} is published now, and signs in {AHEAD_S // 60} minutes")
    return 0


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


class _Print(argparse.Action):
    """An option that prints a text and ends the program, as ``--help`` does."""

    def __init__(self, *, text: Callable[[], str], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "nargs": 0})
        self._text = text

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        """Print, and exit."""
        del args, kwargs
        print(self._text())
        raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
