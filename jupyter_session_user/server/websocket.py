"""The mixin on kernel websocket connections: it stands in the path of every message.

It is put over whatever class the server uses (ZMQ, gateway, another extension's), through
the setting ``kernel_websocket_connection_class``. All rules are in ``core``; this file knows
who is at the other end, and what to do with the verdict.

Once the login is over, ``expired_session_policy`` says what becomes of the socket. It is never
released in place: only a new handshake says whose browser this is now.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from tornado import web
from tornado.ioloop import IOLoop

from jupyter_session_user.core.frames import (
    kernel_headers,
    kernel_headers_of_text,
    kernel_info_of_text,
    stamp_legacy_binary,
    stamp_legacy_text,
    stamp_v1,
)
from jupyter_session_user.core.protocol import NEWS_TYPE, REPLY_TYPE, REQUEST_TYPE, TOPIC_PREFIX
from jupyter_session_user.core.refusal import close_reason
from jupyter_session_user.core.stamp import KEY, unknown_stamp
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.server.quarantine import Quarantine

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
        def disconnect(self) -> Any: ...
        def on_kernel_restarted(self) -> None: ...
        def on_restart_failed(self) -> None: ...
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
#: Codes of our own, as RFC 6455 section 7.4.2 leaves to applications.
RECONNECT = 4400
LOGIN_OVER = 4401

_NOBODY = unknown_stamp("nobody is logged in on the websocket that sent this")
_OUR_TYPES = frozenset({NEWS_TYPE, REPLY_TYPE, REQUEST_TYPE})
_OUR_PARENTS = frozenset({NEWS_TYPE, REPLY_TYPE})
_OUR_BYTES = f"{KEY}_".encode()  # all of them begin so
_IOPUB_PARENT = 4  # topic, delimiter, signature, header, parent_header, metadata, content


class StampedConnection(_Base):
    """Stamps what a browser sends, keeps our own traffic from it, and its id from others."""

    _record: Record | None = None
    _stamp_frame: Callable[[Any, bytes], Any] | None = None
    _refused = False
    _gone = False
    _receives = False  # from ZMQ streams of its own
    _context: ServerContext  # set once: settings are behind two slow attributes
    _client_session = ""  # as the client chose it, and writes it into its headers
    _over: str | None = None
    _quarantine: Quarantine | None = None
    _deadline: float | None = None  # on the monotonic clock, in seconds
    _timer: object = None
    _heard: tuple[bytes, ...] = ()  # the kernel's last message, as far as its headers
    _kernel_info: tuple[dict[str, Any], str] | None = None  # where only the text passes by

    async def prepare(self) -> None:
        """Record whose handshake this is, before anything else happens on the connection."""
        context = self._context = self._find_context()
        self._record = context.capture.session_of(self.websocket_handler, self.kernel_id)
        if not context.kernels.admits(self.kernel_manager, self.websocket_handler):
            self.log.warning("Kernel %s belongs to another visitor", self.kernel_id)
            raise web.HTTPError(403, "this kernel was made for another visitor")
        if self._record is not None:
            self._client_session = self.session.session
            if context.max_connection_age is not None:
                self._deadline = time.monotonic() + context.max_connection_age
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
        if self._record is None:
            return super().connect()
        context.logins.attach(self._record.key, self)
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            self._timer = IOLoop.current().call_later(max(0.0, left), self._grow_old)
        connected = super().connect()
        self._look_at_login(active=False)  # browsers reconnect by themselves
        if hasattr(connected, "add_done_callback"):  # ZMQ: where the streams begin to receive
            connected.add_done_callback(self._on_connected)
        return connected

    def _on_connected(self, _connected: object) -> None:
        self._receives = not self._gone
        self._hold_back()

    def disconnect(self) -> Any:
        """Disconnect as the class below does, and be told nothing more."""
        self._gone, self._receives = True, False
        if self._record is not None:
            self._context.logins.detach(self._record.key, self)
        if self._timer is not None:
            IOLoop.current().remove_timeout(self._timer)
            self._timer = None
        return super().disconnect()

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Stamp one message of the client and pass it on; close the socket on garbage."""
        if self._refused or self._stamp_frame is None:
            return
        try:
            if self._is_stopped():
                self._answer(incoming_msg)
                return
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
        self._hear(stream, *rest)
        if (self._over is None and not self._refused) or self._may_see(stream, *rest):
            super().handle_outgoing_message(stream, *rest)

    def on_kernel_restarted(self) -> None:
        """Tell the client, unless nothing of the kernel is its business any more."""
        if not self._is_muted():
            super().on_kernel_restarted()

    def on_restart_failed(self) -> None:
        """Tell the client, as above."""
        if not self._is_muted():
            super().on_restart_failed()

    def login_over(self, state: str) -> None:
        """Do what the policy says; harmless when repeated.

        Args:
            state: ``expired``, ``revoked`` or ``ended``; the latter two are final.
        """
        if self._over in (None, "expired"):
            self._over = state
        policy = self._context.session_policy
        if policy == "close":
            self._close(LOGIN_OVER, close_reason(state))
        elif policy == "quarantine":
            self._quarantine = self._quarantine or self._new_quarantine()
            self._hold_back()

    def login_back(self) -> None:
        """Have the client make a new handshake, with the cookies that it has now."""
        self._close(RECONNECT, "signed in again: reconnect")

    def _grow_old(self) -> None:
        self._close(RECONNECT, "this connection is old: reconnect")

    def _is_stopped(self) -> bool:
        """Tell whether nothing of the client may pass any more."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._grow_old()
        else:
            self._look_at_login(active=True)
        return self._refused or self._quarantine is not None

    def _look_at_login(self, *, active: bool) -> None:
        """Notice that the login got over before somebody says so: a timer may be late."""
        if self._record is None:
            return
        state = self._context.logins.over(self._record.key, active=active)
        if state is not None and state != self._over:
            self.login_over(state)

    def _answer(self, frame: str | bytes) -> None:
        if self._quarantine is not None and not self._refused:
            self._quarantine.answer(frame, self._over or "expired")

    def _new_quarantine(self) -> Quarantine:
        info, session = self._kernel_info or (_asked_kernel_info(self), "")
        return Quarantine(
            self.session,
            self.websocket_handler,
            v1=self._stamp_frame is stamp_v1,
            kernel_info=info,
            kernel_session=session or str(kernel_headers(self._heard).header.get("session", "")),
        )

    def _hear(self, stream: Any, *rest: Any) -> None:
        """Keep what the kernel says of itself, for the time when it is not asked any more."""
        if rest:
            self._heard = tuple(rest[0][: _IOPUB_PARENT + 1])
        elif self._kernel_info is None and "kernel_info_reply" in stream:
            self._kernel_info = kernel_info_of_text(stream)

    def _is_muted(self) -> bool:
        held = self._quarantine is not None and self._over != "expired"
        return held or self._refused

    def _may_see(self, stream: Any, *rest: Any) -> bool:
        """Tell whether a kernel's message answers what the client asked while it might."""
        if self._over == "expired":
            self._look_at_login(active=False)  # somebody may have revoked it since
        if self._is_muted():
            return False
        if self._quarantine is None:
            return True  # policy "flag"
        headers = kernel_headers(rest[0]) if rest else kernel_headers_of_text(stream)
        return headers.parent.get("session") == self._client_session

    def _hold_back(self) -> None:
        """Leave the kernel's messages in the ZMQ sockets, if the client may not have them.

        When this socket closes, Jupyter buffers them for the same person's next one. ZMQ
        keeps a thousand per socket, then the kernel drops what is for this socket alone.
        """
        if not (self._receives and self._is_muted()):
            return  # before that, Jupyter waits for a sign of life; after it, Jupyter buffers
        for stream in getattr(self, "channels", {}).values():
            if not stream.closed():
                stream.stop_on_recv()

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
        self.log.warning("Closing a websocket of kernel %s: %s", self.kernel_id, why)
        self._close(INVALID_PAYLOAD, why)

    def _close(self, code: int, why: str) -> None:
        """Close the socket; nothing of either side passes any more, while it closes."""
        if self._refused:
            return
        self._refused = True
        self._hold_back()
        self.websocket_handler.close(code, why[:120])  # RFC 6455: 123 bytes


def _asked_kernel_info(connection: Any) -> dict[str, Any]:
    """Return the content of the ``kernel_info_reply`` that a ZMQ connection waits for."""
    future = getattr(connection, "_kernel_info_future", None)
    return (future.result() or {}) if future is not None and future.done() else {}


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
    if len(message) <= _IOPUB_PARENT or _OUR_BYTES not in bytes(message[_IOPUB_PARENT]):
        return False
    return _message_type(bytes(message[_IOPUB_PARENT])) in _OUR_PARENTS


def is_private_text(message: str | bytes) -> bool:
    """Tell the same of a message that a gateway sent, a JSON text."""
    text = message.encode() if isinstance(message, str) else message
    if _OUR_BYTES not in text:
        return False
    try:
        parsed = json.loads(text)
        types = {parsed["header"]["msg_type"], parsed["parent_header"].get("msg_type")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False  # not ours to judge
    return not types.isdisjoint(_OUR_TYPES)


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
