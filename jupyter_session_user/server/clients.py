"""Stamps what server-side clients send: a Session (jupyter_client) that stamps.

``KernelManager.client()`` hands each client a clone of the manager's session, and a client
builds every message with it. So one session per kernel manager covers them all.
"""

from __future__ import annotations

import json
from typing import Any, cast

from jupyter_client.session import Session
from traitlets import Any as AnyTrait

from jupyter_session_user.core.stamp import KEY, splice, stamp_mapping

__all__ = ["StampingSession", "stamping"]


class _Stamp(dict[str, Any]):
    """A stamp that this process made: told from one that came from elsewhere by its type."""


class StampingSession(Session):
    """Puts the server's stamp on every message that it builds or sends.

    A message is stamped when it is built, since that is when the request is known; one that
    was built elsewhere is stamped when it is sent.
    """

    #: ``() -> bytes``; a trait, because ``clone`` copies traits and nothing else.
    stamp_source = AnyTrait()
    #: ``() -> stamp_source``: asked at each ``clone``, since a clone belongs to one client.
    stamp_source_of_clone = AnyTrait()

    def clone(self) -> StampingSession:
        """Copy as the base class does; the copy's stamps are those of its own client."""
        new = cast("StampingSession", super().clone())
        new.stamp_source = self.stamp_source_of_clone()
        return new

    def msg(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Build a message as the base class does, and stamp it."""
        message: dict[str, Any] = super().msg(*args, **kwargs)
        message["metadata"][KEY] = _Stamp(json.loads(self.stamp_source()))
        return message

    def send(self, stream: Any, msg_or_type: Any, *args: Any, **kwargs: Any) -> Any:
        """Send as the base class does, after stamping a message that was built elsewhere."""
        if isinstance(msg_or_type, dict):
            msg_or_type = self._stamped(msg_or_type)
        return super().send(stream, msg_or_type, *args, **kwargs)

    def send_raw(self, stream: Any, msg_list: list[bytes], *args: Any, **kwargs: Any) -> None:
        """Send serialised parts (header, parent, metadata, content, buffers), stamped."""
        metadata = splice(bytes(msg_list[2]), self.stamp_source())
        parts = [*msg_list[:2], metadata, *msg_list[3:]]
        super().send_raw(stream, parts, *args, **kwargs)

    def _stamped(self, message: dict[str, Any]) -> dict[str, Any]:
        metadata = message.get("metadata") or {}
        if isinstance(metadata.get(KEY), _Stamp):
            return message
        return {**message, "metadata": stamp_mapping(metadata, self.stamp_source())}


def stamping(session: Session, stamp_source: Any, of_clone: Any) -> StampingSession:
    """Return a session with all settings of ``session``, which stamps.

    Args:
        session: Of any class; its own behaviour is kept.
        stamp_source: ``() -> bytes``, asked at every message.
        of_clone: ``() -> stamp_source``, asked for every client.
    """
    base = type(session)
    cls = base if issubclass(base, StampingSession) else _with_stamps(base)
    new = cls()
    for name in session.traits():  # as Session.clone does
        setattr(new, name, getattr(session, name))
    new.stamp_source = stamp_source
    new.stamp_source_of_clone = of_clone
    return new


def _with_stamps(base: type[Session]) -> type[StampingSession]:
    if base is Session:
        return StampingSession
    return type(f"Stamping{base.__name__}", (StampingSession, base), {})
