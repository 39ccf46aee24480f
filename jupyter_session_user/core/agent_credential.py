"""The credential of an agent: what a person may ask for, and what an agent may do with it.

An agent has at most the rights of its person. The scopes are Jupyter's own actions, which its
authorizer is asked about: https://jupyter-server.readthedocs.io/en/latest/operators/security.html
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.actor import MAX_NAME, is_name
from jupyter_session_user.errors import RemoteProtocolError

__all__ = [
    "DEFAULT_LIFETIME_S",
    "PREFIX",
    "SCOPES",
    "AgentWish",
    "may_grant",
    "permits_method",
    "read_wish",
    "token_in",
]

#: The actions of Jupyter's authorizer.
SCOPES = frozenset({"read", "write", "execute"})
#: How each token begins, so that people and secret scanners recognise it.
PREFIX = "jsu_agent_"
#: The lifetime of a token for which the request names none, in seconds.
DEFAULT_LIFETIME_S = 3600.0

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_SCHEMES = frozenset({"bearer", "token"})
_HOW = 'write {"name": "...", "lifetime": 3600, "scopes": ["read", "execute"]}'


@dataclass(frozen=True, slots=True)
class AgentWish:
    """What a person asks for.

    Attributes:
        name: The agent's name.
        lifetime: How long the token shall be valid, in seconds.
        scopes: What the agent may do, of :data:`SCOPES`.
    """

    name: str
    lifetime: float
    scopes: frozenset[str]


def read_wish(body: object) -> AgentWish:
    """Read the body of the request that makes a token.

    Raises:
        RemoteProtocolError: It is malformed; the message ends with the fix.
    """
    if not isinstance(body, dict) or not is_name(body.get("name")):
        raise RemoteProtocolError(f"a name of 1 to {MAX_NAME} printable characters; {_HOW}")
    lifetime: Any = body.get("lifetime", DEFAULT_LIFETIME_S)
    # An infinite or huge number would overflow the clock's type.
    if type(lifetime) not in {int, float} or not 0 < lifetime <= 10 * 365 * 86_400:
        raise RemoteProtocolError(f"lifetime: seconds above 0, at most ten years; {_HOW}")
    scopes = body.get("scopes", sorted(SCOPES))
    if not (isinstance(scopes, list) and scopes and all(one in SCOPES for one in scopes)):
        raise RemoteProtocolError(f"scopes: some of {', '.join(sorted(SCOPES))}; {_HOW}")
    unknown = body.keys() - {"name", "lifetime", "scopes"}
    if unknown:
        raise RemoteProtocolError(f"unknown field {min(unknown)!r}; {_HOW}")
    return AgentWish(body["name"], float(lifetime), frozenset(scopes))


def may_grant(credential: str, principal: str, *, verified: bool, anonymous: bool) -> bool:
    """Tell whether a login may give its authority to an agent: it is a person's own, and checked.

    Args:
        credential: The kind of the login's credential. An agent's token makes no other agent.
        principal: Id of the user. A service of JupyterHub is no person.
        verified: Whether the server has authenticated the user.
        anonymous: Whether the user has no name.
    """
    personal = credential in {"cookie", "hub", "resolver", ""}
    return personal and verified and not anonymous and not principal.startswith("service:")


def token_in(authorization: Collection[str], parameters: Collection[str]) -> str | None:
    """Return the agent's token of a request; None if it shows none.

    Args:
        authorization: The values of its ``Authorization`` headers (RFC 6750 section 2.1).
        parameters: The values of the parameter ``token`` in its address, as Jupyter accepts it.

    Raises:
        RemoteProtocolError: The request shows a second token: it is unclear which one counts.
    """
    shown = {*parameters}
    for value in authorization:
        scheme, _, token = value.partition(" ")
        shown.add(token.strip() if scheme.lower() in _SCHEMES else value)
    shown.discard("")
    agents = [token for token in shown if token.startswith(PREFIX)]
    if not agents:
        return None
    if len(shown) > 1:
        raise RemoteProtocolError("the request shows an agent's token and another one; send one")
    return agents[0]


def permits_method(scopes: Collection[str], method: str, *, handshake: bool) -> bool:
    """Tell whether an agent may send a request at all, before the authorizer is asked.

    Not every route asks the authorizer. A websocket may carry anything.

    Args:
        scopes: The agent's scopes.
        method: The HTTP method.
        handshake: Whether the request opens a websocket.
    """
    if method in _READING and not handshake:
        return "read" in scopes
    return not {"write", "execute"}.isdisjoint(scopes)
