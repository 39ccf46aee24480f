"""Agents with a token of their own, as HTTP and websocket clients without cookies."""

from __future__ import annotations

from typing import Any

from people import KernelSocket, Person
from tornado.httpclient import HTTPResponse

__all__ = ["AGENTS", "WHO_ACTS", "Agent", "agent_of", "who_acts"]

AGENTS = "api/session-user/agents"

#: A cell that prints the current user, and the name of the agent or ``-``.
WHO_ACTS = """
import jupyter_session_user as _jsu
_session = _jsu.get_session()
print(_jsu.get_current_user().username, _session.actor.name if _session.actor else "-")
"""


class Agent(Person):
    """A script with a token; it keeps no cookies.

    Args:
        url: The server's base address.
        model: The server's answer that made the token.
    """

    def __init__(self, url: str, model: dict[str, Any]) -> None:
        super().__init__(url, {"Authorization": f"Bearer {model['token']}"})
        self.model = model

    def keep_cookies(self, response: HTTPResponse) -> None:
        """Keep none."""


async def agent_of(person: Person, name: str = "Helper", **wish: Any) -> Agent:
    """Return a new agent of this person."""
    model = await person.json(AGENTS, method="POST", body={"name": name, **wish})
    return Agent(person.url, model)


async def who_acts(socket: KernelSocket) -> str:
    """Return the user and the agent of a cell that runs over this websocket."""
    result = await socket.execute(WHO_ACTS)
    return result.text.strip() or repr(result.errors)
