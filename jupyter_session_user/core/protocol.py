"""Messages between kernel and server: requests on iopub, replies on control.

A request has the content and the topic of a comm message. Its comm id starts with our key, so the
server subscribes to that topic alone. Its message type is our own: Jupyter Server counts any
``comm_msg`` as activity, so a kernel that sends requests would never be culled. The server replies
with another type on the control channel, which the kernel receives while a cell runs. A third type
on that channel carries session updates, for kernels that subscribed with ``watch``. A fourth tells
a kernel behind a gateway whether any client connects it to the server.
https://jupyter-client.readthedocs.io/en/stable/messaging.html#custom-messages
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from jupyter_session_user.core.bearer import MAX_LIFETIME_S
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import KEY, VERSION, load_json
from jupyter_session_user.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "COMM_ID_PREFIX",
    "EVENTS",
    "LINK_TYPE",
    "MAX_REQUEST_BYTES",
    "OPERATIONS",
    "REPLY_TYPE",
    "REQUEST_TYPE",
    "TARGET",
    "TOPIC_PREFIX",
    "UPDATE_TYPE",
    "LinkState",
    "Reply",
    "Request",
    "Update",
    "is_comm_id",
    "is_reserved",
]

TARGET = KEY
COMM_ID_PREFIX = KEY + "."
#: ZMQ topic of our comm messages on iopub; ipykernel's topics are ``comm-<comm id>``.
TOPIC_PREFIX = f"comm-{COMM_ID_PREFIX}".encode()
#: Iopub message type of the kernel's requests.
REQUEST_TYPE = KEY + "_request"
#: Control message type of the server's replies.
REPLY_TYPE = KEY + "_reply"
#: Control message type of the server's session updates.
UPDATE_TYPE = KEY + "_update"
#: Control message type of the server's statements about its link to the kernel.
LINK_TYPE = KEY + "_link"

#: ``visitor`` asks for the visitor's session, in a kernel that a runner made for one visitor.
#: ``watch`` subscribes to session updates; the reply has the sessions that are not active, or
#: degraded.
OPERATIONS = frozenset(
    {
        *("access_token", "cookies", "database_login", "identity_token", "last_run"),
        *("refresh", "signed", "visitor", "watch"),
    }
)
#: Events of a session.
EVENTS = frozenset({"started", "expiring", "expired", "renewed", "revoked", "signed_out"})

_COMM_TYPES = frozenset({"comm_close", "comm_msg", "comm_open"})
_MAX_ID = 128  # characters; ours have 32
_MAX_NAME = 4096  # characters; a browser's cookie, name and value, has at most that many
#: A request, all frames together. The longest name, each character as an escaped pair, fits.
MAX_REQUEST_BYTES = 64 * 1024
_MAX_AGE_DAYS = 36_500  # a hundred years


class Request(NamedTuple):
    """One request of the kernel.

    Attributes:
        id: Chosen by the kernel; the reply repeats it.
        operation: One of :data:`OPERATIONS`.
        session_id: Session that the request is about; may be empty for ``visitor`` and ``watch``.
        name: Cookie name, for ``signed``; audience, for ``identity_token``; the setting's name of
            it, for ``access_token``; database, for ``database_login``; cell, for ``last_run``.
        max_age_days: Maximum age of a signed value, in days, for ``signed``.
        lifetime: Lifetime of the token, in seconds, for ``identity_token``.
    """

    id: str
    operation: str
    session_id: str
    name: str = ""
    max_age_days: float = 31.0
    lifetime: float = float(MAX_LIFETIME_S)

    def to_wire(self) -> dict[str, Any]:
        """Return the comm's ``data``.

        Raises:
            LocalProtocolError: The protocol has no such operation.
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
            "lifetime": self.lifetime,
        }

    @classmethod
    def from_wire(cls, wire: object) -> Request:
        """Read the output of :meth:`to_wire`.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        data = _versioned(wire)
        age = data.get("max_age_days", 31.0)
        if type(age) not in (int, float) or not 0 <= age <= _MAX_AGE_DAYS:
            raise RemoteProtocolError("request: malformed max_age_days")
        lifetime = data.get("lifetime", MAX_LIFETIME_S)
        if type(lifetime) not in (int, float) or not 1 <= lifetime <= MAX_LIFETIME_S:
            raise RemoteProtocolError("request: malformed lifetime")
        operation = _text(data, "operation", _MAX_ID)
        if operation not in OPERATIONS:
            raise RemoteProtocolError("request: no such operation")
        return cls(
            id=_text(data, "id", _MAX_ID),
            operation=operation,
            session_id=_text(data, "session_id", _MAX_ID),
            name=_text(data, "name", _MAX_NAME),
            max_age_days=float(age),
            lifetime=float(lifetime),
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's reply: a result, or an error with a stable code.

    Attributes:
        id: Id of the request.
        result: The result; empty if there is an error. Not in the repr, since it may hold cookies.
        error: Empty, or the stable code of the error.
        message: A sentence that explains ``error`` to the user.
        login_url: Where the user can do something about ``error``; empty if nowhere.
    """

    id: str
    result: dict[str, Any] = field(default_factory=dict, repr=False)
    error: str = ""
    message: str = ""
    login_url: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Return the content of the control message, without the comm id."""
        wire: dict[str, Any] = {"version": VERSION, "id": self.id}
        if self.error:
            more = {"login_url": self.login_url} if self.login_url else {}
            return {**wire, "error": self.error, "message": self.message, **more}
        return {**wire, "result": self.result}

    @classmethod
    def from_wire(cls, wire: object) -> Reply:
        """Read the output of :meth:`to_wire`.

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
            login_url=_text(data, "login_url", _MAX_NAME),
        )


class Update(NamedTuple):
    """An event of a session on this kernel.

    Attributes:
        event: One of :data:`EVENTS`.
        session: The session after the event.
    """

    event: str
    session: Session

    def to_wire(self) -> dict[str, Any]:
        """Return the content of the control message.

        Raises:
            LocalProtocolError: The protocol has no such event.
        """
        if self.event not in EVENTS:
            raise LocalProtocolError(f"no such event: {self.event!r}")
        return {"version": VERSION, "event": self.event, "session": self.session.to_wire()}

    @classmethod
    def from_wire(cls, wire: object, kind: type[Session] = Session) -> Update:
        """Read the output of :meth:`to_wire`.

        Args:
            wire: The content of the control message.
            kind: Class of the returned session.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        data = _versioned(wire)
        event = _text(data, "event", _MAX_ID)
        if event not in EVENTS:
            raise RemoteProtocolError("update: no such event")
        return cls(event, kind.from_wire(data.get("session")))


class LinkState(NamedTuple):
    """Whether requests of a kernel behind a gateway reach the server.

    Attributes:
        connected: Whether a client is connected to the kernel.
        serial: Orders these statements: they take different ways through the gateway.
    """

    connected: bool
    serial: int

    def to_wire(self) -> dict[str, Any]:
        """Return the content of the control message."""
        return {"version": VERSION, "connected": self.connected, "serial": self.serial}

    @classmethod
    def from_wire(cls, wire: object) -> LinkState:
        """Read the output of :meth:`to_wire`.

        Raises:
            RemoteProtocolError: ``wire`` is not such an object.
        """
        data = _versioned(wire)
        connected, serial = data.get("connected"), data.get("serial")
        if type(connected) is not bool or type(serial) is not int:
            raise RemoteProtocolError("link: malformed")
        return cls(connected, serial)


def is_comm_id(value: object) -> TypeGuard[str]:
    """Tell whether this is a comm id of ours."""
    return isinstance(value, str) and len(value) <= _MAX_ID and value.startswith(COMM_ID_PREFIX)


def is_reserved(msg_type: object, content: object) -> bool:
    """Tell whether a client's message imitates the server, or uses our comm.

    Args:
        msg_type: The header's ``msg_type``.
        content: The message's content, parsed, or as JSON bytes.

    Raises:
        RemoteProtocolError: ``content`` of a comm message is not a JSON object.
    """
    if msg_type in (REPLY_TYPE, UPDATE_TYPE, LINK_TYPE):
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
