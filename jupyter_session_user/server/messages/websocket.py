"""The mixin on kernel websocket connections, which processes every message.

It is applied to whatever class the server uses (ZMQ, gateway, another extension's), through the
setting ``kernel_websocket_connection_class``. All rules are in ``core``; this file knows the user
of the connection, reports what happens to ``core.socket_state``, and carries out its actions.

After the login has ended, ``expired_session_policy`` decides how to treat the socket. The socket is
never released in place: only a new handshake identifies the browser's current user.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from typing import TYPE_CHECKING, Any

from tornado import web
from tornado.ioloop import IOLoop

from jupyter_session_user.core.executions import how_it_ended
from jupyter_session_user.core.frames import LEGACY, V1, Format, Spliced, format_of
from jupyter_session_user.core.kernel_messages import (
    HEADERS_END,
    channel_of_text,
    is_private,
    kernel_headers,
    kernel_info_of_text,
)
from jupyter_session_user.core.socket_state import (
    ANSWER,
    BACK,
    CLOSING,
    CONNECTED,
    DISCONNECTED,
    MALFORMED,
    OLD,
    OPEN,
    Close,
    SocketState,
)
from jupyter_session_user.core.stamp import unknown_stamp
from jupyter_session_user.errors import IgnoredMessage, RemoteProtocolError
from jupyter_session_user.server.messages.clients import forwarding
from jupyter_session_user.server.messages.executions import NO_LOGIN, Client
from jupyter_session_user.server.messages.gateway_link import GatewayLink
from jupyter_session_user.server.messages.kernels import STILL_CONNECTED
from jupyter_session_user.server.messages.own_clients import OwnClient, writes_itself
from jupyter_session_user.server.messages.quarantine import Quarantine
from jupyter_session_user.upstream.jupyter_server import kernel_info_of, reads_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_session_user.server.context import ServerContext
    from jupyter_session_user.store.base import Record

    class _Base:
        """The methods of the class below that the mixin uses."""

        log: Any
        session: Any
        kernel_id: str
        kernel_manager: Any
        multi_kernel_manager: Any
        websocket_handler: Any
        ws: Any  # this and the next two: behind a gateway
        ws_future: Any
        disconnected: bool

        def connect(self) -> Any: ...
        def disconnect(self) -> Any: ...
        def on_kernel_restarted(self) -> None: ...
        def on_restart_failed(self) -> None: ...
        def handle_incoming_message(self, incoming_msg: Any) -> None: ...
        def handle_outgoing_message(self, stream: Any, *rest: Any) -> None: ...
else:
    _Base = object

__all__ = ["SETTING", "StampedConnection", "stamped_class"]

#: Key of the extension's context in the web application's settings.
SETTING = "jupyter_session_user"

_NEVER = math.inf
_NOBODY = unknown_stamp(NO_LOGIN)


class StampedConnection(_Base):
    """Stamps a browser's messages, hides our own messages from it, and keeps its id unique."""

    _record: Record | None = None
    _state = SocketState()
    _format: Format | None = None  # until the socket is connected
    _named_client: Client  # set with it: reading the names takes four slow attributes
    _context: ServerContext  # set once: reading settings takes two slow attributes
    _writes_itself = False  # whether the class below has a client of its own
    _reads_slices = False  # whether the class below needs no more of a large frame
    _client_session = ""  # as the client chose it, and writes it into its headers
    _quarantine: Quarantine  # once the client is answered in place of the kernel
    _timer: object = None
    _heard: Sequence[bytes] = ()  # the kernel's last message, up to its headers
    _kernel_info: tuple[dict[str, Any], str] | None = None  # if only the text is available
    _link: GatewayLink | None = None  # behind a gateway
    _own: OwnClient | None = None  # if the class below has a client of its own

    async def prepare(self) -> None:
        """Record the handshake's user, before anything else happens on the connection."""
        # In standalone Voila the kernel manager has the context.
        settings = self.websocket_handler.settings
        context = settings.get(SETTING) or self.multi_kernel_manager.session_user
        self._context = context
        self._record = context.capture.session_of(self.websocket_handler, self.kernel_id)
        if not context.kernels.admits(self.kernel_manager, self.websocket_handler):
            self.log.warning("Kernel %s belongs to another visitor", self.kernel_id)
            raise web.HTTPError(403, "this kernel was made for another visitor")
        context.kernels.join(self.kernel_manager, self.websocket_handler, self._record)
        lent = context.databases
        settled = lent is None or await lent.settled(self.kernel_id)
        if not settled and context.kernels.speakers.is_shared(self.kernel_manager):
            raise web.HTTPError(503, STILL_CONNECTED)
        if self._record is not None:
            self._client_session = self.session.session
            age = context.max_connection_age
            deadline = _NEVER if age is None else time.monotonic() + age
            self._state = SocketState(context.session_policy, deadline)
            # Jupyter accepts any id from the client, names the ZMQ sockets by it and closes an open
            # websocket with the same id. A second user could therefore take over the first one's.
            self.session.session = channel_identity(self._record.speaker, self.session.session)
        prepare = getattr(super(), "prepare", None)
        if prepare is not None:
            await prepare()

    def connect(self) -> Any:
        """Connect like the class below, and send small messages immediately."""
        context = self._context
        handler = self.websocket_handler
        if handler.ws_connection is None:
            return None  # Jupyter tries a lost gateway again, also after the client has left
        self._format = format_of(handler.selected_subprotocol)
        self._named_client = Client(self.kernel_id, self.session.session, self._format is V1)
        self._reads_slices = reads_slices(super().handle_incoming_message)
        if self._writes_itself:
            self._own = OwnClient(handler, self._passes)
        if context.websocket_nodelay:
            handler.set_nodelay(True)
        link = context.bridge.attach(self.kernel_manager)
        if isinstance(link, GatewayLink):
            link.join(self)
            self._link = link
        if self._record is None:
            return self._connect_below()
        context.logins.attach(self._record.key, self)
        if self._state.deadline < _NEVER:
            left = self._state.deadline - time.monotonic()
            self._timer = IOLoop.current().call_later(max(0.0, left), self._note, OLD)
        connected = self._connect_below()
        self._look_at_login(active=False)  # browsers reconnect automatically
        if hasattr(connected, "add_done_callback"):  # ZMQ: the streams begin to receive then
            connected.add_done_callback(lambda _: self._note(CONNECTED))
        return connected

    def _connect_below(self) -> Any:
        if self._own is not None:
            connect = super().connect
            return asyncio.ensure_future(self._own.connect(connect, self.session.session))
        connecting = super().connect()
        return connecting if self._link is None else self._connect_to_gateway(connecting)

    async def _connect_to_gateway(self, connecting: Any) -> None:
        """Connect, and tell the link as soon as the websocket to the gateway is open."""
        await connecting
        if self._link is not None and self.ws_future is not None:
            link = self._link
            IOLoop.current().add_future(self.ws_future, lambda _: link.opened(self))

    def disconnect(self) -> Any:
        """Disconnect like the class below, and stop following the login."""
        self._note(DISCONNECTED)
        if self._link is not None:
            self._link.leave(self)
        if self._record is not None:
            self._context.logins.detach(self._record.key, self)
        if self._timer is not None:
            IOLoop.current().remove_timeout(self._timer)
            self._timer = None
        return super().disconnect()

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Stamp one message of the client and forward it; close the socket if it is malformed."""
        frames, state = self._format, self._state
        if frames is None or state.gate == CLOSING:
            return
        if state.deadline < _NEVER and time.monotonic() >= state.deadline:
            self._note(OLD)
        else:
            self._look_at_login(active=True)
        gate = self._state.gate
        try:
            if gate != OPEN:
                if gate != CLOSING:
                    self._answer(incoming_msg, gate)
                return
            stamp, session, record = _NOBODY, None, self._record
            if record is not None:
                self._record = record = self._context.store.get(record.session.id) or record
                stamp, session = record.stamp, record.session
            stamped = frames.stamp(incoming_msg, stamp)
            if stamped is None or (frames.is_stdin(stamped) and not self._may_answer()):
                return
            self._context.executions.sent(self._named_client, incoming_msg, session, time.time())
        except IgnoredMessage as error:
            self.log.warning("Dropping a message to kernel %s: %s", self.kernel_id, error)
            return
        except RemoteProtocolError as error:
            self._refuse(str(error))
            return
        self._forward(stamped)

    def _answer(self, message: str | bytes, gate: str) -> None:
        """Answer in place of the kernel, and record which request was refused."""
        executions = self._context.executions
        executions.counts.refusals += 1
        if self._quarantine.answer(message, gate):
            session = None if self._record is None else self._record.session
            executions.note("refusal", session, self.kernel_id, gate)

    def _forward(self, stamped: str | bytes | Spliced) -> None:
        """Give a stamped message to the class below."""
        try:
            if isinstance(stamped, Spliced) and not self._reads_slices:
                stamped = bytes(stamped)
            if self._own is None:
                super().handle_incoming_message(stamped)
            else:
                with forwarding():
                    super().handle_incoming_message(stamped)
        except Exception as error:  # noqa: BLE001 - the client sent what the class below cannot
            # read; only this client loses its socket.
            self._refuse(f"not a kernel message ({type(error).__name__})")

    def handle_outgoing_message(self, stream: Any, *rest: Any) -> None:
        """Forward a kernel's message to the client, unless it is for the server only.

        ZMQ connections get a stream and frames, gateway connections one JSON text.
        """
        message = rest[0] if rest else stream
        channel = getattr(stream, "channel", stream) if rest else channel_of_text(message)
        if self._passes(channel, message):
            super().handle_outgoing_message(stream, *rest)

    def _passes(self, channel: str, message: Any) -> bool:
        """Read a kernel's message, and tell whether it may go to the client."""
        if is_private(message):
            if self._link is not None:
                self._link.hear(message, self)
            return False
        if not isinstance(message, str | bytes):  # to know the kernel's session id
            self._heard = message[:HEADERS_END]
        elif self._kernel_info is None and "kernel_info_reply" in message:
            self._kernel_info = kernel_info_of_text(message)
        if channel in {"shell", "control"}:
            self._follow_execution(message)
        if channel in {"stdin", "shell"}:
            self._follow_question(channel, message)
        return self._state.gate == OPEN or self._may_see(message)

    def send_to_gateway(self, text: str) -> bool:
        """Send a message of the server itself over this connection to the gateway.

        Args:
            text: The message, in the format of gateways.

        Returns:
            Whether the connection is open.
        """
        if not self.is_open_to_gateway():
            return False
        super().handle_incoming_message(text)
        return True

    def is_open_to_gateway(self) -> bool:
        """Tell whether the connection to the gateway is open."""
        if self.ws is None or self.disconnected:
            return False
        # Jupyter keeps a lost connection until it connects again.
        protocol = self.ws.protocol
        return protocol is not None and not protocol.is_closing()

    def on_kernel_restarted(self) -> None:
        """Notify the client, unless it may no longer see anything of the kernel."""
        if not self._state.is_muted:
            super().on_kernel_restarted()

    def on_restart_failed(self) -> None:
        """Notify the client, as above."""
        if not self._state.is_muted:
            super().on_restart_failed()

    def login_over(self, state: str) -> None:
        """Apply the policy for ended logins; harmless when repeated.

        Args:
            state: ``expired``, ``revoked`` or ``signed_out``; the latter two are final.
        """
        self._note(state)

    def login_back(self) -> None:
        """Make the client reconnect, with its current cookies."""
        self._note(BACK)

    def _note(self, event: str, why: str = "") -> None:
        """Change the state as ``core.socket_state`` says, and carry out the actions."""
        self._state, actions = self._state.after(event, why)
        for action in actions:
            if isinstance(action, Close):
                self.websocket_handler.close(*action)
            elif action == ANSWER:
                info, session = self._kernel_info or (kernel_info_of(self), "")
                heard = kernel_headers(self._heard).header.get("session", "")
                self._quarantine = Quarantine(
                    self.session,
                    self._own or self.websocket_handler,
                    self._format or LEGACY,
                    kernel_info=info,
                    kernel_session=session or str(heard),
                )
            else:
                for stream in getattr(self, "channels", {}).values():
                    if not stream.closed():
                        stream.stop_on_recv()

    def _look_at_login(self, *, active: bool) -> None:
        """Check whether the login has ended: a timer's notice may be late."""
        if self._record is None:
            return
        state = self._context.logins.over(self._record.key, active=active)
        if state is not None:
            self._note(state)

    def _follow_execution(self, reply: Any) -> None:
        """Record the execution that a kernel's reply ends."""
        ended = how_it_ended(reply) if self._context.executions.active else None
        if ended is not None:
            client = self._named_client
            self._context.executions.end(client.kernel_id, client.identity, *ended)

    def _follow_question(self, channel: str, message: Any) -> None:
        """Note that the kernel asks this client for input, or no longer asks."""
        questions, kernel = self._context.questions, self.kernel_manager
        client = self.session.session
        if channel == "stdin":
            questions.ask(kernel, client, kernel_headers(message).parent.get("msg_id"))
        elif questions.is_asked(kernel, client):
            questions.end(kernel, kernel_headers(message).parent.get("msg_id"))

    def _may_answer(self) -> bool:
        """Tell whether the kernel asks this client for input."""
        if self._context.questions.take(self.kernel_manager, self.session.session):
            return True
        self.log.warning(
            "Kernel %s: dropped an answer to input() from a client that was not asked",
            self.kernel_id,
        )
        return False

    def _may_see(self, message: Any) -> bool:
        """Tell whether a kernel's message answers a request from before the login ended."""
        if self._state.gate == "expired":
            self._look_at_login(active=False)  # the login may have been revoked since
        if self._state.gate != "expired":
            return False
        return kernel_headers(message).parent.get("session") == self._client_session

    def _refuse(self, why: str) -> None:
        self.log.warning("Closing a websocket of kernel %s: %s", self.kernel_id, why)
        self._note(MALFORMED, why)


def channel_identity(speaker: str, session_id: str) -> str:
    """Return the id of a client's sockets: its own choice, made unique per user, and per agent.

    It depends on the user, not the login: after signing in again, the user must get the output that
    was buffered meanwhile.
    """
    parts = f"{len(speaker)}:{speaker}:{session_id}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(parts).hexdigest()[:32]


def stamped_class(base: type[Any]) -> type[Any]:
    """Return ``base`` with the mixin applied; ``base`` itself if it has the mixin already."""
    if issubclass(base, StampedConnection):
        return base
    names = {"_writes_itself": writes_itself(base)}
    return type(f"Stamped{base.__name__}", (StampedConnection, base), names)
