"""The actor: who acts with a person's authority, where that is not the person.

The user of a session stays the person whose authority it is; the actor is the agent that uses it,
as in the claim ``act`` of RFC 8693 section 4.1. The server makes the actor from a credential that
it has checked, never from what a client says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_session_user.errors import RemoteProtocolError

__all__ = ["MAX_NAME", "Actor", "is_name"]

#: Characters of an actor's name, and of its id: each message carries both.
MAX_NAME = 64
_KINDS = frozenset({"agent"})


def is_name(text: object) -> bool:
    """Tell whether a text can name an actor: printable, and no longer than ``MAX_NAME``."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= MAX_NAME
        and text.isprintable()
        and text == text.strip()
    )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts on behalf of a session's user.

    Attributes:
        kind: What it is; ``agent`` is the only kind.
        client_id: Its id, unique at its server; it gives access to nothing.
        name: The name that the person gave to it. Two actors may have the same name.
        verified: Whether the server has checked the actor's own credential.
    """

    kind: str
    client_id: str
    name: str
    verified: bool

    def __str__(self) -> str:
        """Return one line for display."""
        return f"{self.kind} {self.name!r}" + ("" if self.verified else " (not verified)")

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object that stamps, answers and the REST API contain."""
        return {
            "kind": self.kind,
            "client_id": self.client_id,
            "name": self.name,
            "verified": self.verified,
        }

    @classmethod
    def from_wire(cls, wire: object) -> Actor | None:
        """Read the output of :meth:`to_wire`; None stays None.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object. An actor that cannot be read is
                never left out: its work would look like the person's own.
        """
        if wire is None:
            return None
        if not isinstance(wire, dict) or wire.get("kind") not in _KINDS:
            raise RemoteProtocolError("actor: not an object of a known kind")
        client_id, name = wire.get("client_id"), wire.get("name")
        if not (isinstance(client_id, str) and isinstance(name, str)):
            raise RemoteProtocolError("actor: no client_id or no name")
        if not (is_name(client_id) and is_name(name)):
            raise RemoteProtocolError("actor: malformed client_id or name")
        return cls(wire["kind"], client_id, name, wire.get("verified") is True)
