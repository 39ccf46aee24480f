"""Answers what kernels ask: the server's end of the comm.

``Answers`` decides, and knows no transport. ``ZmqLink`` carries, for kernels whose sockets
this server can reach; ``Bridge`` keeps one link per kernel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_client.session import Session
from jupyter_server.gateway.managers import GatewayKernelManager
from tornado.web import decode_signed_value
from zmq.eventloop.zmqstream import ZMQStream

from jupyter_session_user.core.cookies import CookieJar, Cookies, cookies_to_wire
from jupyter_session_user.core.protocol import (
    NEWS_TYPE,
    REPLY_TYPE,
    REQUEST_TYPE,
    TOPIC_PREFIX,
    News,
    Reply,
    Request,
)
from jupyter_session_user.core.session import OVER
from jupyter_session_user.core.stamp import KEY, SERVER_STAMP, load_json
from jupyter_session_user.errors import RemoteProtocolError

if TYPE_CHECKING:
    import logging

    from jupyter_client.manager import KernelManager

    from jupyter_session_user.core.policy import CookiePolicy
    from jupyter_session_user.core.session import Session as UserSession
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["Answers", "Bridge", "Link", "ZmqLink"]


#: What is given while the login holds.
_OF_A_LOGIN = frozenset({"cookies", "signed"})


class Answers:
    """Decides what a kernel is told.

    Args:
        store: The session records.
        policy: Which cookies may go to a kernel.
        owns: ``(person, kernel_id) -> bool``: whether the person started that kernel.
        visitor: ``kernel_id -> record``: for whom a runner made that kernel, if it did.
        cookie_secret: Gives what this server's Tornado signs cookies with; never leaves here.
    """

    def __init__(
        self,
        store: SessionStore,
        policy: CookiePolicy,
        owns: Callable[[str, str], bool],
        visitor: Callable[[str], Record | None],
        cookie_secret: Callable[[], Any],
    ) -> None:
        self._store = store
        self._policy = policy
        self._owns = owns
        self._visitor = visitor
        self._secret = cookie_secret

    def answer(self, kernel_id: str, request: Request) -> Reply:
        """Return the answer to a request that came from this very kernel."""
        if request.operation == "watch":
            return self._watch(kernel_id, request)
        if request.operation == "visitor":
            record = self._visitor(kernel_id)
        else:
            record = self._store.get(request.session_id)
        if record is None or record.session.kernel_id != kernel_id:
            return Reply(
                request.id,
                error="no_session",
                message="the server knows no such session on this kernel (any more)",
            )
        if record.session.state in OVER and request.operation in _OF_A_LOGIN:
            state = record.session.state
            return Reply(request.id, error=f"session_{state}", message="the login is over")
        operations = {
            "cookies": self._cookies,
            "refresh": self._refresh,
            "signed": self._signed,
            "visitor": self._refresh,
        }
        return operations[request.operation](record, request)

    def _refresh(self, record: Record, request: Request) -> Reply:
        return Reply(request.id, {"session": record.session.to_wire()})

    def _watch(self, kernel_id: str, request: Request) -> Reply:
        sessions = [record.session for record in self._store.on_kernel(kernel_id)]
        changed = [s.to_wire() for s in sessions if s.state != "active" or s.degraded]
        return Reply(request.id, {"sessions": changed})

    def _cookies(self, record: Record, request: Request) -> Reply:
        return Reply(request.id, cookies_to_wire(self._jar(record)))

    def _signed(self, record: Record, request: Request) -> Reply:
        found = [c for c in self._jar(record).cookies if c.name == request.name]
        if len(found) != 1 or found[0].too_large:
            return Reply(request.id, error="no_cookie", message="no such cookie, or several")
        value = decode_signed_value(
            self._secret(),
            request.name,
            Cookies(CookieJar((found[0],)))[request.name],  # as Tornado's get_signed_cookie
            max_age_days=request.max_age_days,
        )
        text = None if value is None else value.decode("utf-8", "replace")
        return Reply(request.id, {"value": text})

    def _jar(self, record: Record) -> CookieJar:
        """Return what the kernel of this record may see of its cookies."""
        own = self._owns(record.person, record.session.kernel_id or "")
        visible = self._policy.visible(record.cookies.cookies, own_kernel=own)
        withheld = record.cookies.withheld if own else frozenset()
        return dataclasses.replace(
            record.cookies, cookies=visible.cookies, withheld=withheld, shared=not own
        )


class Link(Protocol):
    """A way to one kernel and back."""

    def is_current(self) -> bool:
        """Tell whether the kernel is still where this link points."""

    def close(self) -> None:
        """Give the sockets back; harmless when repeated."""

    def send_news(self, news: News) -> None:
        """Tell the kernel, if it has asked for news."""


class ZmqLink:
    """Listens to our topic on a kernel's iopub, and answers on its control channel.

    Args:
        manager: The kernel's manager.
        admit: Whether one more message may cost something now.
        answer: ``(kernel_id, request) -> reply``.
        log: Where malformed messages are noted, without their content.
    """

    def __init__(
        self,
        manager: KernelManager,
        admit: Callable[[], bool],
        answer: Callable[[str, Request], Reply],
        log: logging.Logger,
    ) -> None:
        self._kernel_id: str = manager.kernel_id
        self._admit = admit
        self._answer = answer
        self._log = log
        self._manager = manager
        self._ports = tuple(manager.ports)
        self._session = Session(key=manager.session.key)
        self._session.signature_scheme = manager.session.signature_scheme
        self._iopub = _stream(manager.connect_iopub())
        self._iopub.socket.unsubscribe(b"")  # connect_iopub subscribes to everything
        self._iopub.socket.subscribe(TOPIC_PREFIX)
        self._iopub.on_recv(self._on_iopub)
        self._control = _stream(manager.connect_control())
        self._watched_by: object = None

    def is_current(self) -> bool:
        """Tell whether the kernel still has the ports it had; a restart may change them."""
        return tuple(self._manager.ports) == self._ports

    def close(self) -> None:
        """Close both sockets."""
        for stream in (self._iopub, self._control):
            if not stream.closed():
                stream.close(linger=0)

    def send_news(self, news: News) -> None:
        """Tell the kernel, if its present process has asked; others would log an unknown type."""
        if self.is_current() and self._watched_by is self._manager.ready:
            self._send(NEWS_TYPE, news.to_wire())

    def _on_iopub(self, frames: list[bytes]) -> None:
        if not frames[0].startswith(TOPIC_PREFIX) or not self._admit():
            return
        try:
            self._on_message(frames)
        except (RemoteProtocolError, ValueError, TypeError, KeyError, RecursionError) as error:
            name = type(error).__name__
            self._log.warning("Kernel %s: comm message refused: %s", self._kernel_id, name)

    def _on_message(self, frames: list[bytes]) -> None:
        _, parts = self._session.feed_identities(frames)
        message = self._session.deserialize(parts)  # checks the signature
        if message["header"]["msg_type"] != REQUEST_TYPE:
            return  # the socket's own welcome, or user code that took our topic
        request = Request.from_wire(message["content"]["data"])
        if request.operation == "watch":
            # A future of the manager's, made anew at each start: it stands for the process.
            self._watched_by = self._manager.ready
        reply = self._answer(self._kernel_id, request)
        self._send(REPLY_TYPE, {"comm_id": message["content"]["comm_id"], "data": reply.to_wire()})

    def _send(self, msg_type: str, content: dict[str, Any]) -> None:
        self._session.send(
            self._control,
            msg_type,
            content,
            metadata={KEY: load_json(SERVER_STAMP, "stamp")},
        )


def _stream(socket: Any) -> ZMQStream:
    """Return a stream, which the server's own managers give already."""
    return socket if isinstance(socket, ZMQStream) else ZMQStream(socket)


class Bridge:
    """Keeps a link to each kernel that somebody speaks to.

    Args:
        answers: Decides what a kernel is told.
        limiter: Makes, for one kernel, the function that says whether a message may pass.
            What may not pass is dropped unread: a flood must not cost the others anything.
        log: For what goes wrong.
    """

    def __init__(
        self, answers: Answers, limiter: Callable[[], Callable[[], bool]], log: logging.Logger
    ) -> None:
        self._answers = answers
        self._limiter = limiter
        self._log = log
        self._links: dict[str, Link] = {}

    def attach(self, manager: KernelManager) -> None:
        """Listen to this kernel; cheap when that is already so."""
        kernel_id = manager.kernel_id
        link = self._links.get(kernel_id)
        if link is not None and link.is_current():
            return
        self.detach(kernel_id)
        if isinstance(manager, GatewayKernelManager):
            return  # its sockets are on another machine
        answer = self._answers.answer
        self._links[kernel_id] = ZmqLink(manager, self._limiter(), answer, self._log)

    def detach(self, kernel_id: str) -> None:
        """Stop listening to a kernel; harmless when it was not attached."""
        link = self._links.pop(kernel_id, None)
        if link is not None:
            link.close()

    def news(self, kernel_id: str, event: str, session: UserSession) -> None:
        """Tell a kernel what happened to one of its sessions, if it has asked for news.

        Args:
            kernel_id: The kernel.
            event: One of the protocol's.
            session: The session, after it happened; its revision is higher than before.
        """
        link = self._links.get(kernel_id)
        if link is not None:
            link.send_news(News(event, session))

    def close(self) -> None:
        """Detach all kernels."""
        for kernel_id in list(self._links):
            self.detach(kernel_id)
