"""The tokens that people give to their agents.

They are kept in memory only, as hashes: a restart of the server forgets them. Each ends with the
login of the person that made it, at once.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_session_user.core.actor import Actor
from jupyter_session_user.core.agent_credential import PREFIX, AgentWish, may_grant
from jupyter_session_user.core.clocks import deadline_of, seconds_until
from jupyter_session_user.core.digest import digest
from jupyter_session_user.core.lifecycle import Expiry, Moment
from jupyter_session_user.core.session import MOVING

if TYPE_CHECKING:
    from jupyter_server.auth.identity import User as ServerUser

    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.known_login import KnownLogin
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.store.base import Record

__all__ = ["MOST_AGENTS", "Agent", "Agents", "is_personal"]

#: How many tokens of one person may be valid at the same time.
MOST_AGENTS = 100


@dataclasses.dataclass(eq=False)
class Agent:
    """One agent's token, without the token.

    Attributes:
        actor: Who acts.
        scopes: What it may do.
        person: The login of the person that made the token, as of the latest request.
        created_at: Seconds since the epoch.
        ends_at: When the token ends at the latest, in seconds since the epoch.
        deadline: The same on the monotonic clock.
        key: Key of the agent's own login.
        ended: Called with this object and a state when the person's login has ended.
        user: The provider's user as of the latest request; None if there was none.
        used_at: Time of the latest request, in seconds since the epoch; None if there was none.
    """

    actor: Actor
    scopes: frozenset[str]
    person: Login
    created_at: float
    ends_at: float
    deadline: float
    key: str
    ended: Callable[[Agent, str], None] = dataclasses.field(repr=False)
    user: ServerUser | None = None
    used_at: float | None = None

    @property
    def id(self) -> str:
        """The agent's public id."""
        return self.actor.client_id

    @property
    def login(self) -> Login:
        """The login of the agent's requests: the person's user, with a key of its own."""
        return dataclasses.replace(
            self.person,
            key=self.key,
            credential="agent",
            expiry=Expiry(self.ends_at, "agent"),
            # Ended one by one, with the person's login: see ``login_over``.
            issued_at=None,
            given=False,
            subjects=(),
            actor=self.actor,
            parent=self.person.key,
        )

    def login_over(self, state: str) -> None:
        """End with the person's login, which follows this object like an open websocket."""
        self.ended(self, state)

    def login_back(self) -> None:
        """Do nothing: the person's next login revives no token."""


class Agents:
    """The valid tokens of one server.

    Args:
        logins: The logins of this server.
        clock: Returns the time on both clocks.
        longest: Maximum lifetime of a token, in seconds; 0 if no tokens are given.
    """

    def __init__(self, logins: Logins, clock: Callable[[], Moment], longest: float) -> None:
        self._logins = logins
        self._clock = clock
        self.longest = longest
        self._by_digest: dict[str, Agent] = {}

    def grant(
        self, known: KnownLogin, shown: Login, wish: AgentWish, *, verified: bool = True
    ) -> tuple[Agent, str]:
        """Make a token for an agent of a person.

        Args:
            known: The person's login.
            shown: The same, as the request shows it.
            wish: What the person asks for. A lifetime that is too long is shortened.
            verified: Whether the agent shows the token. One that acts inside the server shows none.

        Returns:
            The agent, and its token, which is kept nowhere.
        """
        now, token = self._clock(), f"{PREFIX}{secrets.token_urlsafe(32)}"
        ends_at = now.wall + min(wish.lifetime, self.longest)
        fields = self._logins.status_fields(known.key)
        if fields["expires_at"] is not None and fields["expiry_source"] not in MOVING:
            ends_at = min(ends_at, fields["expires_at"].timestamp())
        agent = Agent(
            Actor("agent", secrets.token_hex(8), wish.name, verified=verified),
            wish.scopes,
            dataclasses.replace(shown, key=known.key),
            now.wall,
            ends_at,
            deadline_of(ends_at, now.wall, now.monotonic),
            key=digest("agent", token),
            ended=self.end,
        )
        self._by_digest[agent.key] = agent
        self._logins.attach(known.key, agent)
        return agent, token

    def find(self, token: str) -> Agent | None:
        """Return the agent of a valid token; None if it is unknown, or has ended."""
        agent = self._by_digest.get(digest("agent", token))
        return agent if agent is not None and self.is_at_work(agent) else None

    def is_at_work(self, agent: Agent) -> bool:
        """Note the time of an agent's work now; return False if the agent has ended."""
        if agent.key not in self._by_digest or self._is_over(agent):
            return False
        agent.used_at = self._clock().wall
        return True

    def of(self, principal: str | None) -> list[Agent]:
        """Return the agents of a person, or all; the oldest first."""
        self.prune()
        every = self._by_digest.values()
        return [one for one in every if principal in {None, one.person.principal}]

    def end(self, agent: Agent, state: str) -> None:
        """End an agent's token, its open websockets and its running code; harmless if repeated."""
        if self._by_digest.pop(agent.key, None) is None:
            return
        self._logins.detach(agent.person.key, agent)
        self._logins.end(agent.key, state)

    def prune(self) -> None:
        """End the tokens that are out of date."""
        for agent in list(self._by_digest.values()):
            self._is_over(agent)

    def _is_over(self, agent: Agent) -> bool:
        # The person's login first: its end calls ``end`` for all its agents.
        self._logins.over(agent.person.key, active=False)
        now = self._clock()
        if seconds_until(agent.ends_at, agent.deadline, now.wall, now.monotonic) <= 0:
            self.end(agent, "expired")
        state = self._logins.over(agent.key, active=False)
        if state is not None:  # revoked like a session
            self.end(agent, state)
        return agent.key not in self._by_digest


def is_personal(record: Record) -> bool:
    """Tell whether a session may give its authority to an agent: it is a person's own login."""
    session = record.session
    return may_grant(
        record.credential,
        record.principal,
        verified=session.verified,
        anonymous=session.user.is_anonymous,
    )
