"""Stamps the messages of server-side clients, with a jupyter_client Session that stamps.

``KernelManager.client()`` gives each client a clone of the manager's session, and a client builds
every message with it. So one session per kernel manager covers all clients.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, cast

from jupyter_client.session import Session
from traitlets import Any as AnyTrait

from jupyter_session_user.core.executions import Asked, asked, status_of
from jupyter_session_user.core.stamp import KEY, load_json, splice, stamp_mapping
from jupyter_session_user.errors import RemoteProtocolError

__all__ = ["StampingSession", "Watcher", "client_named", "forwarding", "stamping"]

#: Whether a websocket hands on a frame that has its stamp, and is recorded.
_forwarding: ContextVar[bool] = ContextVar("jupyter_session_user.forwarding", default=False)
#: The identity of the client that a websocket makes; empty for other clients.
_named: ContextVar[str] = ContextVar("jupyter_session_user.client", default="")

_EXECUTE, _REPLY = "execute_request", "execute_reply"


@contextmanager
def forwarding() -> Iterator[None]:
    """Let the serialised messages of this block pass as they are: a websocket has stamped them."""
    token = _forwarding.set(True)
    try:
        yield
    finally:
        _forwarding.reset(token)


@contextmanager
def client_named(identity: str) -> Iterator[None]:
    """Give a client that is made in this block an identity of its own.

    All clients of a kernel manager have the manager's identity otherwise, and the kernel's replies
    to one of them may reach another one.

    Args:
        identity: The identity of its ZMQ sockets.
    """
    token = _named.set(identity)
    try:
        yield
    finally:
        _named.reset(token)


class Watcher(Protocol):
    """Records what the clients of one kernel run."""

    @property
    def active(self) -> bool:
        """Tell whether anything is recorded."""

    def new_client(self) -> str:
        """Return a name for one more client."""

    def sent(self, client: str, what: Asked, stamp: dict[str, Any]) -> None:
        """Note that a client sends code, with the stamp of its message."""

    def heard(self, client: str, msg_id: str, status: str) -> None:
        """Note the reply to it."""


class _Stamp(dict[str, Any]):
    """A stamp of this process; its type distinguishes it from stamps of other origin."""


class StampingSession(Session):
    """Puts the server's stamp on every message that it builds or sends.

    A message is stamped when it is built, since the request is known then. A message that was built
    elsewhere is stamped when it is sent.
    """

    #: ``msg_type -> bytes``; a trait, because ``clone`` copies only traits.
    stamp_source = AnyTrait()
    #: ``() -> stamp_source``: called at each ``clone``, since a clone belongs to one client.
    stamp_source_of_clone = AnyTrait()
    #: A :class:`Watcher`; None records nothing.
    watcher = AnyTrait()
    #: The name that the watcher gave this client.
    client_name = AnyTrait()

    def clone(self) -> StampingSession:
        """Clone as the base class does; the clone's stamps are those of its own client."""
        new = cast("StampingSession", super().clone())
        new.stamp_source = self.stamp_source_of_clone()
        new.session = _named.get() or new.session
        if new.watcher is not None:
            new.client_name = new.watcher.new_client()
        return new

    def msg(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Build a message as the base class does, and stamp it."""
        message: dict[str, Any] = super().msg(*args, **kwargs)
        message["metadata"][KEY] = _Stamp(json.loads(self.stamp_source(message["msg_type"])))
        self._watch_sent(message["header"], message["metadata"], message["content"])
        return message

    def send(self, stream: Any, msg_or_type: Any, *args: Any, **kwargs: Any) -> Any:
        """Send as the base class does, after stamping a message that was built elsewhere."""
        if isinstance(msg_or_type, dict):
            metadata = msg_or_type.get("metadata") or {}
            if not isinstance(metadata.get(KEY), _Stamp):
                stamp = self.stamp_source(str(msg_or_type.get("msg_type", "")))
                metadata = stamp_mapping(metadata, stamp)
                msg_or_type = {**msg_or_type, "metadata": metadata}
                header = {"msg_type": msg_or_type.get("msg_type"), **msg_or_type.get("header", {})}
                self._watch_sent(header, metadata, msg_or_type.get("content"))
        return super().send(stream, msg_or_type, *args, **kwargs)

    def send_raw(self, stream: Any, msg_list: list[bytes], *args: Any, **kwargs: Any) -> None:
        """Send serialised parts (header, parent, metadata, content, buffers), stamped."""
        if _forwarding.get():
            super().send_raw(stream, msg_list, *args, **kwargs)
            return
        metadata = splice(bytes(msg_list[2]), self.stamp_source(""))
        parts = [*msg_list[:2], metadata, *msg_list[3:]]
        if self.watcher is not None and self.watcher.active:
            try:
                read = [load_json(bytes(part), "part") for part in (parts[0], metadata, parts[3])]
                self._watch_sent(*read)
            except RemoteProtocolError:
                pass  # the kernel ignores it
        super().send_raw(stream, parts, *args, **kwargs)

    def deserialize(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a message as the base class does; a reply ends an execution."""
        message: dict[str, Any] = super().deserialize(*args, **kwargs)
        if message.get("msg_type") == _REPLY and self.watcher is not None and self.watcher.active:
            content = message.get("content")
            if not isinstance(content, dict):  # the caller wants the bytes
                content = self.unpack(bytes(content)) if content else None
            msg_id = message["parent_header"].get("msg_id", "")
            self.watcher.heard(self.client_name, str(msg_id), status_of(content))
        return message

    def _watch_sent(self, header: Any, metadata: Any, content: Any) -> None:
        """Tell the watcher about code that this client sends."""
        if not isinstance(header, dict) or header.get("msg_type") != _EXECUTE:
            return
        if self.watcher is not None and self.watcher.active:
            what = asked(header, metadata, content)
            self.watcher.sent(self.client_name, what, metadata[KEY])


def stamping(
    session: Session, stamp_source: Any, of_clone: Any, watcher: Watcher | None = None
) -> StampingSession:
    """Return a stamping session with all settings of ``session``.

    Args:
        session: Of any class; its own behaviour is kept.
        stamp_source: ``msg_type -> bytes``, called for every message.
        of_clone: ``() -> stamp_source``, called for every client.
        watcher: Records what the clients run; None records nothing.
    """
    base = type(session)
    cls: type[Any] = StampingSession if base is Session else base
    if not issubclass(cls, StampingSession):
        cls = type(f"Stamping{base.__name__}", (StampingSession, base), {})
    new: StampingSession = cls()
    for name in session.traits():  # as in Session.clone
        setattr(new, name, getattr(session, name))
    new.stamp_source = stamp_source
    new.stamp_source_of_clone = of_clone
    new.watcher = watcher
    new.client_name = None if watcher is None else watcher.new_client()
    return new
