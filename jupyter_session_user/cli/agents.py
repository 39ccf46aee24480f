"""The command ``agents``: lists and revokes the tokens that users have given to agents."""

# ruff: noqa: T201 - a command line prints
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_session_user.cli import sessions
from jupyter_session_user.errors import SessionUserError

__all__ = ["add_agents"]

_HEAD = ("USERNAME", "AGENT", "SCOPES", "LAST USED", "EXPIRES", "ID")


def add_agents(commands: Any) -> None:
    """Add the command to the parser's commands."""
    show = commands.add_parser(
        "agents",
        help="list the agents that act for users at the servers that run here, or revoke them",
        description="List the agents that have a token of a user, or revoke tokens at once.",
    )
    show.add_argument("--json", action="store_true", help="print JSON, for programs")
    show.add_argument(
        "--revoke", nargs="+", default=[], metavar="ID", help="end these tokens, with their sockets"
    )
    show.add_argument(
        "--server", metavar="URL|PORT", help="only this server, not all that run here"
    )
    show.set_defaults(run=_agents)


def _agents(options: argparse.Namespace) -> int:
    asked = [(server, _agents_of(server)) for server in sessions.find(options.server)]
    found = [(server, many) for server, many in asked if many is not None]
    failed = len(found) < len(asked)
    if options.revoke:
        done = [_revoke(found, agent_id) for agent_id in options.revoke]
        return 0 if all(done) and not failed else 1
    if options.json:
        print(json.dumps([{"server": s.url, **one} for s, many in found for one in many], indent=2))
    else:
        print("\n\n".join(f"{server.url}\n{_table(many)}" for server, many in found))
    return 2 if failed else 0


def _agents_of(server: sessions.Server) -> list[dict[str, Any]] | None:
    """Return a server's agents; print a line and return None if it does not answer."""
    try:
        return server.agents()
    except SessionUserError as error:
        _complain(error)
        return None


def _revoke(found: Sequence[tuple[sessions.Server, list[dict[str, Any]]]], agent_id: str) -> bool:
    """Revoke one agent's token; return whether it was revoked."""
    for server, many in found:
        for agent in many:
            if agent["id"] == agent_id:
                try:
                    server.revoke_agent(agent_id)
                except SessionUserError as error:
                    _complain(error)
                    return False
                print(f"revoked: {agent_id}, {agent['name']!r} of {agent['username']!r}")
                return True
    _complain(f"there is no agent {agent_id!r}; take an id from 'jupyter session-user agents'")
    return False


def _table(agents: Sequence[dict[str, Any]]) -> str:
    if not agents:
        return "no agent has a token"
    return sessions.aligned(
        _HEAD,
        [
            (
                sessions.printable(one["username"]),
                sessions.printable(one["name"]),
                " ".join(one["scopes"]),
                sessions.local_time(one["used_at"]),
                sessions.local_time(one["expires_at"]),
                one["id"],
            )
            for one in agents
        ],
    )


def _complain(error: object) -> None:
    print(f"jupyter session-user: {error}", file=sys.stderr)
