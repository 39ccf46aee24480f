"""The routes with which a person gives tokens to agents, lists them and revokes them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_session_user.core.agent_credential import read_wish
from jupyter_session_user.core.session import write_time
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.server.auth.agents import MOST_AGENTS, is_personal
from jupyter_session_user.server.auth.request_snapshot import snapshot_of
from jupyter_session_user.server.web.handler import SessionUserHandler, permitted

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.agents import Agent

__all__ = ["AGENT_ROUTES"]

_OFF = "this server gives no tokens to agents: max_agent_lifetime is 0"
_NO_PERSON = (
    "only a person with a login of their own may make an agent's token, and only from that login: "
    "sign in with an account, not with the server's token"
)
_MANY = f"{MOST_AGENTS} agents of yours have a token; revoke one, DELETE api/session-user/agents/ID"

_MINE = "mine is true or false, once"


class AgentsHandler(SessionUserHandler):
    """The agents of a person."""

    @permitted
    async def get(self) -> None:
        """Respond with the caller's own agents; for an administrator, with all agents.

        With the argument ``mine``, an administrator also gets only their own agents.
        """
        mine, only_own = self.mine(), self._wants_only_own()
        if mine is None and only_own:
            self.answer([])  # the operator is no person, and has no agents
            return
        manages = not only_own and self.manages(mine)
        principal = None if mine is None or manages else mine.principal
        self.answer([_model(agent) for agent in self.context.agents.of(principal)])

    @permitted
    async def post(self) -> None:
        """Make a token for an agent of the caller, and respond with it, this once."""
        self.refuse_without_login()
        mine, agents = self.mine(), self.context.agents
        if not agents.longest:
            raise web.HTTPError(409, _OFF)
        known = None if mine is None else self.context.logins.get(mine.key)
        if mine is None or known is None or not is_personal(mine):
            raise web.HTTPError(403, _NO_PERSON)
        try:
            wish = read_wish(self.get_json_body())
        except RemoteProtocolError as error:
            raise web.HTTPError(400, str(error)) from None
        if len(agents.of(mine.principal)) >= MOST_AGENTS:
            raise web.HTTPError(409, _MANY)
        # The provider is asked about this request whenever the agent sends one.
        self.context.logins.keep_snapshot(known, snapshot_of(self))
        agent, token = agents.grant(known, self.context.capture.login(self), wish)
        self.log.info("%s gives a token to agent %s", mine.session.user.username, agent.id)
        self.set_status(201)
        self.answer({**_model(agent), "token": token})

    def _wants_only_own(self) -> bool:
        given = self.get_query_arguments("mine", strip=False)
        if given not in ([], ["true"], ["false"]):
            raise web.HTTPError(400, _MINE)
        return given == ["true"]


class AgentHandler(SessionUserHandler):
    """One agent."""

    @permitted
    async def delete(self, agent_id: str) -> None:
        """Revoke an agent's token, and end its open websockets."""
        mine, agents = self.mine(), self.context.agents
        principal = None if mine is None or self.manages(mine) else mine.principal
        agent = next((one for one in agents.of(principal) if one.id == agent_id), None)
        if agent is None:
            raise web.HTTPError(404, "no such agent")
        agents.end(agent, "revoked")
        self.set_status(204)
        self.finish()


def _model(agent: Agent) -> dict[str, Any]:
    """Return an agent for a client, without its token."""
    return {
        "id": agent.id,
        "name": agent.actor.name,
        "username": agent.person.user.username,
        "scopes": sorted(agent.scopes),
        "created_at": _time(agent.created_at),
        "expires_at": _time(agent.ends_at),
        "used_at": _time(agent.used_at),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else write_time(datetime.fromtimestamp(seconds, timezone.utc))


AGENT_ROUTES: list[tuple[str, type[APIHandler]]] = [
    (r"api/session-user/agents", AgentsHandler),
    (r"api/session-user/agents/([\w-]+)", AgentHandler),
]
