"""What kernel and server say to each other: requests on iopub, answers on control.

A request has the content and the topic of a comm message whose id starts with our key, so
that the server subscribes to that topic alone; but a message type of its own: Jupyter Server
counts any ``comm_msg`` as activity, and a kernel that asks now and then would never be culled.
The server answers with another type on the control channel, which arrives while a cell runs.
A third type brings news of a session there, to kernels that asked for it with ``watch``.
https://jupyter-client.readthedocs.io/en/stable/messaging.html#custom-messages
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import KEY, VERSION, load_json
from jupyter_session_user.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "COMM_ID_PREFIX",
    "EVENTS",
    "NEWS_TYPE",
    "OPERATIONS",
    "REPLY_TYPE",
    "REQUEST_TYPE",
    "TARGET",
    "TOPIC_PREFIX",
    "News",
    "Reply",
    "Request",
    "is_reserved",
]

TARGET = KEY
COMM_ID_PREFIX = KEY + "."
#: ZMQ topic of our comm messages on iopub; ipykernel's topics are ``comm-<comm id>``.
TOPIC_PREFIX = f"comm-{COMM_ID_PREFIX}".encode()
#: Iopub message type of the kernel's requests.
REQUEST_TYPE = KEY + "_request"
#: Control message type of the server's answers.
REPLY_TYPE = KEY + "_reply"
#: Control message type of the server's news.
NEWS_TYPE = KEY + "_news"

#: ``visitor`` asks whose kernel this is, for kernels that a runner made for one person;
#: ``watch`` asks for news, and is answered with the sessions that are not plainly active.
OPERATIONS = frozenset({"cookies", "refresh", "signed", "visitor", "watch"})
#: What can happen to a session.
EVENTS = frozenset({"started", "expiring", "expired", "renewed", "revoked", "ended"})

_COMM_TYPES = frozenset({"comm_close", "comm_msg", "comm_open"})
_MAX_ID = 128  # characters; ours have 32
_MAX_NAME = 4096  # characters; a browser's cookie, name and value, has at most that many
_MAX_AGE_DAYS = 36_500  # a hundred years


@dataclass(frozen=True, slots=True)
class Request:
    """One question of the kernel.

    Attributes:
        id: Chosen by the kernel; the answer repeats it.
        operation: One of :data:`OPERATIONS`.
        session_id: Whose session is asked about; may be empty for ``visitor`` and ``watch``.
        name: Cookie name, for ``signed``.
        max_age_days: How old a signed value may be, in days, for ``signed``.
    """

    id: str
    operation: str
    session_id: str
    name: str = ""
    max_age_days: float = 31.0

    def to_wire(self) -> dict[str, Any]:
        """Return the comm's ``data``.

        Raises:
            LocalProtocolError: The operation is not one of the protocol's.
        """
        if self.operation not in OPERATIONS:
            raise LocalProtocolError(f"no such operation: {self.operation!r}")
        return {
            "version": VERSION,
            "id": self.id,
            "operation": self.operation,
            "session_id": self.session_id,
            "name": self.name,
            "max_age_days": self.max_age_days,
        }

    @classmethod
    def from_wire(cls, wire: object) -> Request:
        """Read what :meth:`to_wire` wrote.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        data = _versioned(wire)
        age = data.get("max_age_days", 31.0)
        if type(age) not in (int, float) or not 0 <= age <= _MAX_AGE_DAYS:
            raise RemoteProtocolError("request: malformed max_age_days")
        operation = _text(data, "operation", _MAX_ID)
        if operation not in OPERATIONS:
            raise RemoteProtocolError("request: no such operation")
        return cls(
            id=_text(data, "id", _MAX_ID),
            operation=operation,
            session_id=_text(data, "session_id", _MAX_ID),
            name=_text(data, "name", _MAX_NAME),
            max_age_days=float(age),
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer: a result, or an error with a stable code.

    Attributes:
        id: That of the request.
        result: What was asked for; empty where there is an error. Not in the repr, since it
            may hold cookies.
        error: Empty, or the stable code of the error.
        message: A sentence for a person, that goes with ``error``.
    """

    id: str
    result: dict[str, Any] = field(default_factory=dict, repr=False)
    error: str = ""
    message: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Return the content of the control message, but for the comm id."""
        wire: dict[str, Any] = {"version": VERSION, "id": self.id}
        if self.error:
            return {**wire, "error": self.error, "message": self.message}
        return {**wire, "result": self.result}

    @classmethod
    def from_wire(cls, wire: object) -> Reply:
        """Read what :meth:`to_wire` wrote.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        data = _versioned(wire)
        result = data.get("result", {})
        if not isinstance(result, dict):
            raise RemoteProtocolError("reply: result is not an object")
        return cls(
            id=_text(data, "id", _MAX_ID),
            result=result,
            error=_text(data, "error", _MAX_NAME),
            message=_text(data, "message", _MAX_NAME),
        )


@dataclass(frozen=True, slots=True)
class News:
    """Something happened to a session of this kernel.

    Attributes:
        event: One of :data:`EVENTS`.
        session: The session, after it happened.
    """

    event: str
    session: Session

    def to_wire(self) -> dict[str, Any]:
        """Return the content of the control message.

        Raises:
            LocalProtocolError: The event is not one of the protocol's.
        """
        if self.event not in EVENTS:
            raise LocalProtocolError(f"no such event: {self.event!r}")
        return {"version": VERSION, "event": self.event, "session": self.session.to_wire()}

    @classmethod
    def from_wire(cls, wire: object, kind: type[Session] = Session) -> News:
        """Read what :meth:`to_wire` wrote.

        Args:
            wire: The content of the control message.
            kind: The class of the session to make.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        data = _versioned(wire)
        event = _text(data, "event", _MAX_ID)
        if event not in EVENTS:
            raise RemoteProtocolError("news: no such event")
        return cls(event, kind.from_wire(data.get("session")))


def is_reserved(msg_type: object, content: object) -> bool:
    """Tell whether a client's message poses as the server's, or speaks on our comm.

    Args:
        msg_type: The header's ``msg_type``.
        content: The message's content, parsed, or as JSON bytes.

    Raises:
        RemoteProtocolError: ``content`` of a comm message is not a JSON object.
    """
    if msg_type in (REPLY_TYPE, NEWS_TYPE):
        return True
    if not isinstance(msg_type, str) or msg_type not in _COMM_TYPES:
        return False
    parsed = load_json(content, "content") if isinstance(content, bytes) else content
    if not isinstance(parsed, dict):
        raise RemoteProtocolError("content: not an object")
    comm_id = parsed.get("comm_id")
    ours = isinstance(comm_id, str) and comm_id.startswith(COMM_ID_PREFIX)
    return ours or parsed.get("target_name") == TARGET


def _versioned(wire: object) -> dict[str, Any]:
    if not isinstance(wire, dict) or wire.get("version") != VERSION:
        raise RemoteProtocolError("comm: not an object of version 1")
    return wire


def _text(wire: dict[str, Any], key: str, limit: int) -> str:
    value = wire.get(key, "")
    if not isinstance(value, str) or len(value) > limit:
        raise RemoteProtocolError(f"comm: malformed {key}")
    return value
