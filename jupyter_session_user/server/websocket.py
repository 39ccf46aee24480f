"""The mixin on kernel websocket connections: it stands in the path of every message.

It is put over whatever class the server uses (ZMQ, gateway, another extension's), through
the setting ``kernel_websocket_connection_class``. All rules are in ``core``; this file knows
who is at the other end, and what to do with the verdict.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tornado import web

from jupyter_session_user.core.frames import stamp_legacy_binary, stamp_legacy_text, stamp_v1
from jupyter_session_user.core.protocol import REPLY_TYPE, REQUEST_TYPE, TOPIC_PREFIX
from jupyter_session_user.core.stamp import unknown_stamp
from jupyter_session_user.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_session_user.server.context import ServerContext
    from jupyter_session_user.store.base import Record

    class _Base:
        """What the mixin uses of the class below it."""

        log: Any
        session: Any
        kernel_id: str
        kernel_manager: Any
        multi_kernel_manager: Any
        websocket_handler: Any

        def connect(self) -> Any: ...
        def handle_incoming_message(self, incoming_msg: Any) -> None: ...
        def handle_outgoing_message(self, stream: Any, *rest: Any) -> None: ...
else:
    _Base = object

__all__ = ["SETTING", "StampedConnection", "is_private", "is_private_text", "stamped_class"]

#: Where the extension's context stands in the web application's settings.
SETTING = "jupyter_session_user"

V1 = "v1.kernel.websocket.jupyter.org"

#: RFC 6455 section 7.4.1: the payload is not what its type says.
INVALID_PAYLOAD = 1007

_NOBODY = unknown_stamp("nobody is logged in on the websocket that sent this")
_REPLY_BYTES = REPLY_TYPE.encode()
_REQUEST_BYTES = REQUEST_TYPE.encode()
_IOPUB_PARENT = 4  # topic, delimiter, signature, header, parent_header, metadata, content


class StampedConnection(_Base):
    """Stamps what a browser sends, keeps our own traffic from it, and its id from others."""

    _record: Record | None = None
    _stamp_frame: Callable[[Any, bytes], Any] | None = None
    _refused = False
    _context: ServerContext  # set once: settings are behind two slow attributes

    async def prepare(self) -> None:
        """Record whose handshake this is, before anything else happens on the connection."""
        context = self._context = self._find_context()
        self._record = context.capture.session_of(self.websocket_handler, self.kernel_id)
        if not context.kernels.admits(self.kernel_manager, self.websocket_handler):
            self.log.warning("Kernel %s belongs to another visitor", self.kernel_id)
            raise web.HTTPError(403, "this kernel was made for another visitor")
        if self._record is not None:
            # Jupyter takes the client's word for this id, names the ZMQ sockets by it and
            # closes an open websocket of the same id: a second person could take it over.
            self.session.session = channel_identity(self._record.person, self.session.session)
        prepare = getattr(super(), "prepare", None)
        if prepare is not None:
            await prepare()

    def _find_context(self) -> ServerContext:
        """Return the extension's context; in standalone Voila it comes with the kernels."""
        settings = self.websocket_handler.settings
        context: ServerContext = settings.get(SETTING) or self.multi_kernel_manager.session_user
        return context

    def connect(self) -> Any:
        """Connect as the class below does, with small messages sent at once."""
        context = self._context
        handler = self.websocket_handler
        self._stamp_frame = stamp_v1 if handler.selected_subprotocol == V1 else _stamp_legacy
        if context.websocket_nodelay:
            handler.set_nodelay(True)
        context.bridge.attach(self.kernel_manager)
        return super().connect()

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Stamp one message of the client and pass it on; close the socket on garbage."""
        if self._refused or self._stamp_frame is None:
            return
        try:
            stamped = self._stamp_frame(incoming_msg, self._current_stamp())
        except RemoteProtocolError as error:
            self._refuse(str(error))
            return
        if stamped is not None:
            self._forward(stamped)

    def handle_outgoing_message(self, stream: Any, *rest: Any) -> None:
        """Pass a kernel's message on, unless it is between the kernel and us.

        ZMQ connections get a stream and frames, gateway connections one JSON text.
        """
        if is_private(rest[0]) if rest else is_private_text(stream):
            return
        super().handle_outgoing_message(stream, *rest)

    def _current_stamp(self) -> bytes:
        if self._record is None:
            return _NOBODY
        self._record = self._context.store.get(self._record.session.id) or self._record
        return self._record.stamp

    def _forward(self, frame: str | bytes) -> None:
        try:
            super().handle_incoming_message(frame)
        except Exception as error:  # noqa: BLE001 - what the class below cannot read is the
            # client's doing; it costs the client this socket, and nobody else anything.
            self._refuse(f"not a kernel message ({type(error).__name__})")

    def _refuse(self, why: str) -> None:
        self._refused = True
        self.log.warning("Closing a websocket of kernel %s: %s", self.kernel_id, why)
        self.websocket_handler.close(INVALID_PAYLOAD, why[:120])  # RFC 6455: 123 bytes


def _stamp_legacy(frame: str | bytes, stamp: bytes) -> str | bytes | None:
    if isinstance(frame, bytes):
        return stamp_legacy_binary(frame, stamp)
    return stamp_legacy_text(frame, stamp)


def channel_identity(person: str, session_id: str) -> str:
    """Return the id that a client's sockets get: its own choice, within its own person's.

    The person, not the login: who signs in again must get the output buffered meanwhile.
    """
    parts = f"{len(person)}:{person}:{session_id}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(parts).hexdigest()[:32]


def is_private(message: list[Any]) -> bool:
    """Tell whether a message from the kernel is part of the talk between helper and server.

    Args:
        message: ZMQ frames, with the topic first if they come from iopub.
    """
    if bytes(message[0]).startswith(TOPIC_PREFIX):
        return True
    if len(message) <= _IOPUB_PARENT or _REPLY_BYTES not in bytes(message[_IOPUB_PARENT]):
        return False
    return _message_type(bytes(message[_IOPUB_PARENT])) == REPLY_TYPE


def is_private_text(message: str | bytes) -> bool:
    """Tell the same of a message that a gateway sent, a JSON text."""
    text = message.encode() if isinstance(message, str) else message
    if _REQUEST_BYTES not in text and _REPLY_BYTES not in text:
        return False
    try:
        parsed = json.loads(text)
        types = {parsed["header"]["msg_type"], parsed["parent_header"].get("msg_type")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False  # not ours to judge
    return not types.isdisjoint({REQUEST_TYPE, REPLY_TYPE})


def _message_type(header: bytes) -> object:
    try:
        parsed = json.loads(header)
    except (ValueError, RecursionError):
        return None
    return parsed.get("msg_type") if isinstance(parsed, dict) else None


def stamped_class(base: type[Any]) -> type[Any]:
    """Return ``base`` with the mixin over it; ``base`` itself if it has it already."""
    if issubclass(base, StampedConnection):
        return base
    return type(f"Stamped{base.__name__}", (StampedConnection, base), {})
