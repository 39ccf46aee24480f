"""The states of a kernel websocket: what may pass after its login has ended, or while it closes.

Like a state machine of h11, this one does no I/O: :meth:`SocketState.after` takes an event, and
returns the next state and the actions for the caller. A socket has two states.

The *gate* says what passes between the client and the kernel:

``open``        everything.
``expired``     the login has expired. The server answers the client in place of the kernel, and the
                kernel's replies to the client's earlier requests still pass.
``revoked``     nothing from the kernel; the server answers the client.
``signed_out``  the same.
``closing``     nothing, in either direction. No event leads out of this state.

The *streams* are the ZMQ sockets behind a websocket:

``waiting``     for the first sign of life of the kernel.
``receiving``   the websocket gets the kernel's messages.
``stopped``     the messages stay in the ZMQ sockets. When the websocket closes, Jupyter buffers
                them for the same user's next websocket. ZMQ keeps a thousand messages for each
                socket; then the kernel drops messages for this socket alone.
``gone``        the websocket is disconnected, and Jupyter may have begun to buffer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from jupyter_session_user.core.refusal import close_reason
from jupyter_session_user.core.session import OVER

__all__ = [
    "ANSWER",
    "BACK",
    "CLOSING",
    "CONNECTED",
    "DISCONNECTED",
    "GATE",
    "HOLD_BACK",
    "LOGIN_OVER",
    "MALFORMED",
    "OLD",
    "OPEN",
    "POLICIES",
    "STREAMS",
    "Close",
    "SocketState",
]

# The states of the gate besides the three in which a login can end, and the states of the streams.
OPEN, CLOSING = "open", "closing"
WAITING, RECEIVING, STOPPED, GONE = "waiting", "receiving", "stopped", "gone"

# The events besides these three ends of a login: the login is good again, the connection has
# reached its maximum age, the client sent a malformed message, the streams began to receive, and
# the websocket was disconnected.
BACK, OLD, MALFORMED = "back", "old", "malformed"
CONNECTED, DISCONNECTED = "connected", "disconnected"

#: ``(gate, event) -> gate`` under every policy. The ends of a login are final for a socket: only a
#: new handshake identifies the browser's current user.
GATE = {
    (gate, event): CLOSING
    for gate in ("open", "expired", "revoked", "signed_out")
    for event in (BACK, OLD, MALFORMED)
}
#: The rows that each ``expired_session_policy`` adds. All other combinations have no effect.
POLICIES: dict[str, dict[tuple[str, str], str]] = {
    "flag": {},
    "close": {
        ("open", "expired"): CLOSING,
        ("open", "revoked"): CLOSING,
        ("open", "signed_out"): CLOSING,
    },
    "quarantine": {
        ("open", "expired"): "expired",
        ("open", "revoked"): "revoked",
        ("open", "signed_out"): "signed_out",
        ("expired", "revoked"): "revoked",
        ("expired", "signed_out"): "signed_out",
    },
}
#: ``(streams, event) -> streams``.
STREAMS = {
    ("waiting", CONNECTED): "receiving",
    ("waiting", DISCONNECTED): "gone",
    ("receiving", DISCONNECTED): "gone",
    ("stopped", DISCONNECTED): "gone",
}
#: The gates at which streams that receive are stopped.
MUTED = frozenset({"revoked", "signed_out", CLOSING})

#: Actions: begin to answer the client in place of the kernel; stop the streams.
ANSWER, HOLD_BACK = "answer", "hold_back"

#: Bytes; RFC 6455 section 5.5 allows 125 with the code.
_MAX_REASON = 120


class Close(NamedTuple):
    """An action: close the websocket with this code and reason."""

    code: int
    reason: str


#: RFC 6455 section 7.4.1: 1007 is a payload that does not match its type. Our own codes are from
#: the range that section 7.4.2 leaves to applications: 4400 to reconnect, 4401 after a login.
LOGIN_OVER = 4401
_CODES = {BACK: 4400, OLD: 4400, MALFORMED: 1007, **dict.fromkeys(OVER, LOGIN_OVER)}
_REASONS = {BACK: "logged in again: reconnect", OLD: "this connection is old: reconnect"}


@dataclass(frozen=True, slots=True)
class SocketState:
    """The state of one kernel websocket.

    Attributes:
        policy: One of :data:`POLICIES`.
        deadline: When the connection reaches its maximum age, in monotonic seconds.
        gate: What may pass.
        streams: What the ZMQ sockets behind it do.
    """

    policy: str = "quarantine"
    deadline: float = math.inf
    gate: str = OPEN
    streams: str = WAITING

    @property
    def is_muted(self) -> bool:
        """Whether the client may no longer see anything of the kernel."""
        return self.gate in MUTED

    def after(self, event: str, why: str = "") -> tuple[SocketState, tuple[Close | str, ...]]:
        """Return the state after an event, and the actions to carry out, in order.

        Args:
            event: One of the events above, or the state in which the login has ended.
            why: What is malformed, for the reason of the close.
        """
        row = self.gate, event
        gate = GATE.get(row) or POLICIES[self.policy].get(row) or self.gate
        streams = STREAMS.get((self.streams, event), self.streams)
        if gate == self.gate and streams == self.streams:
            return self, ()
        actions: list[Close | str] = []
        if self.gate == OPEN and gate in OVER:
            actions.append(ANSWER)
        if gate in MUTED and streams == RECEIVING:
            streams = STOPPED
            actions.append(HOLD_BACK)
        if gate == CLOSING != self.gate:
            reason = why or _REASONS.get(event) or close_reason(event)
            actions.append(Close(_CODES[event], reason[:_MAX_REASON]))
        return replace(self, gate=gate, streams=streams), tuple(actions)
