"""Stamps the messages of server-side clients, with a jupyter_client Session that stamps.

``KernelManager.client()`` gives each client a clone of the manager's session, and a client builds
every message with it. So one session per kernel manager covers all clients.
"""

from __future__ import annotations

import json
from typing import Any, cast

from jupyter_client.session import Session
from traitlets import Any as AnyTrait

from jupyter_session_user.core.stamp import KEY, splice, stamp_mapping

__all__ = ["StampingSession", "stamping"]


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

    def clone(self) -> StampingSession:
        """Clone as the base class does; the clone's stamps are those of its own client."""
        new = cast("StampingSession", super().clone())
        new.stamp_source = self.stamp_source_of_clone()
        return new

    def msg(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Build a message as the base class does, and stamp it."""
        message: dict[str, Any] = super().msg(*args, **kwargs)
        message["metadata"][KEY] = _Stamp(json.loads(self.stamp_source(message["msg_type"])))
        return message

    def send(self, stream: Any, msg_or_type: Any, *args: Any, **kwargs: Any) -> Any:
        """Send as the base class does, after stamping a message that was built elsewhere."""
        if isinstance(msg_or_type, dict):
            metadata = msg_or_type.get("metadata") or {}
            if not isinstance(metadata.get(KEY), _Stamp):
                stamp = self.stamp_source(str(msg_or_type.get("msg_type", "")))
                msg_or_type = {**msg_or_type, "metadata": stamp_mapping(metadata, stamp)}
        return super().send(stream, msg_or_type, *args, **kwargs)

    def send_raw(self, stream: Any, msg_list: list[bytes], *args: Any, **kwargs: Any) -> None:
        """Send serialised parts (header, parent, metadata, content, buffers), stamped."""
        metadata = splice(bytes(msg_list[2]), self.stamp_source(""))
        parts = [*msg_list[:2], metadata, *msg_list[3:]]
        super().send_raw(stream, parts, *args, **kwargs)


def stamping(session: Session, stamp_source: Any, of_clone: Any) -> StampingSession:
    """Return a stamping session with all settings of ``session``.

    Args:
        session: Of any class; its own behaviour is kept.
        stamp_source: ``msg_type -> bytes``, called for every message.
        of_clone: ``() -> stamp_source``, called for every client.
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
    return new
