"""Authenticates the requests of agents: as the person whose token it is, with the actor set.

The identity provider is asked anew for each such request, about the person's own latest request. So
an agent has the rights that its person has now.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.handler import ExtensionHandlerJinjaMixin
from tornado import web

from jupyter_session_user.core.agent_credential import permits_method, token_in
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.server.auth.request_snapshot import is_handshake, snapshot_of
from jupyter_session_user.upstream.jupyter_server import accept_token, forget_user

if TYPE_CHECKING:
    from jupyter_server.auth.authorizer import Authorizer
    from jupyter_server.auth.identity import User as ServerUser

    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.agents import Agent, Agents
    from jupyter_session_user.server.auth.capture import Capture
    from jupyter_session_user.server.auth.known_login import KnownLogin
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.server.auth.request_snapshot import RequestSnapshot
    from jupyter_session_user.server.auth.revalidation import Authority, Revalidation

__all__ = ["AgentDoor"]

_UNKNOWN = (
    "this agent's token is not valid: it was revoked, has expired, its person's login has ended, "
    "or the server was restarted; ask that person for a new token"
)
_LOST = (
    "the identity provider no longer accepts the login of this agent's person; ask that person to "
    "sign in again, and for a new token"
)
_TWO = (
    "the request shows an agent's token and the login of another user; send the token without "
    "cookies and other credentials"
)
_NO_PAGE = "an agent's token opens no page of an application; use the REST API and its websockets"

_REFUSALS = frozenset({401, 403})
_AGENT = "_jupyter_session_user_agent"


class AgentDoor:
    """Finds the person and the agent of a request with an agent's token.

    Args:
        agents: The valid tokens.
        authority: Asks the identity provider.
        revalidation: Ends a login that the provider no longer accepts.
        capture: Finds the login of a request.
        logins: The logins of this server.
    """

    def __init__(
        self,
        agents: Agents,
        authority: Authority,
        revalidation: Revalidation,
        capture: Capture,
        logins: Logins,
    ) -> None:
        self._agents = agents
        self._authority = authority
        self._revalidation = revalidation
        self._capture = capture
        self._logins = logins
        self._guarded: weakref.WeakSet[Authorizer] = weakref.WeakSet()

    def guard(self, authorizer: Authorizer) -> None:
        """Keep agents within their scopes wherever this authorizer is asked; may be repeated."""
        is_authorized: Any = authorizer.is_authorized
        if authorizer in self._guarded:
            return
        self._guarded.add(authorizer)

        @functools.wraps(is_authorized)
        def within_scopes(handler: Any, user: Any, action: str, resource: str) -> Any:
            agent: Agent | None = getattr(handler, _AGENT, None)
            if agent is not None and action not in agent.scopes:
                return False
            return is_authorized(handler, user, action, resource)

        setattr(authorizer, "is_authorized", within_scopes)  # noqa: B010 - mypy

    def shows_token(self, handler: Any) -> bool:
        """Tell whether a request shows an agent's token, valid or not."""
        try:
            return _token(handler) is not None
        except RemoteProtocolError:
            return True

    async def person(self, handler: Any) -> ServerUser:
        """Return the provider's user for a request with an agent's token.

        Raises:
            HTTPError: Status 400 for two credentials, 401 for a token that is not valid, 403 for a
                request outside its scopes (RFC 6750 section 3.1).
        """
        try:
            token = _token(handler) or ""
        except RemoteProtocolError as error:
            raise _refusal(handler, 400, str(error)) from None
        agent = self._agents.find(token)
        known = None if agent is None else self._logins.get(agent.person.key)
        if agent is None or known is None:
            raise _refusal(handler, 401, _UNKNOWN)
        other = await self._login_in(_without_token(handler))
        if other is not None and other[1].principal != agent.person.principal:
            raise _refusal(handler, 400, _TWO)
        user = await self._person_of(handler, agent, known)
        if self._agents.find(token) is not agent:  # it has ended meanwhile
            raise _refusal(handler, 401, _UNKNOWN)
        handshake = is_handshake(handler)
        if not permits_method(agent.scopes, handler.request.method, handshake=handshake):
            scopes = ", ".join(sorted(agent.scopes))
            raise _refusal(handler, 403, f"this agent's token has only the scopes {scopes}")
        if isinstance(handler, ExtensionHandlerJinjaMixin):
            raise _refusal(handler, 403, _NO_PAGE)  # some pages contain the server's own token
        setattr(handler, _AGENT, agent)
        accept_token(handler)
        self._capture.assume(handler, user, agent.login)
        return user

    async def _person_of(self, handler: Any, agent: Agent, known: KnownLogin) -> ServerUser:
        """Return the user that the provider names for the person's latest request, asked now."""
        found = None if known.snapshot is None else await self._login_in(known.snapshot)
        if found is not None and found[1].principal == agent.person.principal:
            user, login = found
            agent.person = dataclasses.replace(login, key=known.key)
            agent.user = user
            return user
        if known.by_assertion and self._authority.may_be_asserted(known) and agent.user is not None:
            return agent.user  # the proxy's assertion is too old to ask again; the login goes on
        self._revalidation.ask(known)
        raise _refusal(handler, 401, _LOST)

    async def _login_in(self, snapshot: RequestSnapshot) -> tuple[ServerUser, Login] | None:
        """Return the user and the login of a request according to the provider, asked now."""
        try:
            shadow, user = await self._authority.user_in(snapshot)
        except web.HTTPError as error:
            if error.status_code in _REFUSALS:
                return None
            raise
        return None if user is None else (user, self._capture.login_of(shadow, user))


def _token(handler: Any) -> str | None:
    request = handler.request
    return token_in(
        request.headers.get_list("Authorization"), handler.get_query_arguments("token", strip=True)
    )


def _without_token(handler: Any) -> RequestSnapshot:
    """Return the request without the agent's token: another user may be shown besides."""
    snapshot = snapshot_of(handler)
    headers = snapshot.headers.copy()
    headers.pop("Authorization", None)
    return dataclasses.replace(snapshot, uri=handler.request.path, headers=headers)


def _refusal(handler: Any, status: int, why: str) -> web.HTTPError:
    """Return the error to raise."""
    forget_user(handler)  # the page of the error asks for the user
    return web.HTTPError(status, why)
