"""Kernel clients that server code makes without the kernel manager's ``client()``.

jupyter-server-documents makes one with ``client_factory``, and other packages have a class of their
own. All of them take the kernel's address and key from ``load_connection_info`` or a connection
file. At that place the client gets a session that stamps each message with the user of the request
in which the message is built, or with no user.
"""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

from jupyter_client.connect import ConnectionFileMixin
from jupyter_client.manager import KernelManager

from jupyter_session_user.server.messages.clients import StampingSession, stamping
from jupyter_session_user.upstream import wrap

__all__ = ["ForeignClients"]


class ForeignClients:
    """Makes every client of this server's kernels stamp its messages."""

    #: Of all servers in this process: they share the class that is wrapped.
    _all: ClassVar[weakref.WeakSet[ForeignClients]] = weakref.WeakSet()

    def __init__(self) -> None:
        self._sessions: weakref.WeakSet[StampingSession] = weakref.WeakSet()
        self._all.add(self)
        wrap(ConnectionFileMixin, "load_connection_info", _adopting, "jupyter_client")

    def follow(self, session: StampingSession) -> None:
        """Have clients stamp that load the key of this kernel manager's session."""
        self._sessions.add(session)

    @classmethod
    def adopt(cls, client: Any) -> None:
        """Give a client a session that stamps, if it has loaded the key of one of our kernels."""
        if isinstance(client, KernelManager) or isinstance(client.session, StampingSession):
            return
        key = client.session.key
        for server in cls._all if key else ():
            session = server.session_with(key)
            if session is not None:
                server.give(client, session)
                return

    def session_with(self, key: bytes) -> StampingSession | None:
        """Return the session of the kernel manager that has this key; None if none has."""
        return next((session for session in self._sessions if session.key == key), None)

    @staticmethod
    def give(client: Any, session: StampingSession) -> None:
        """Give a client a session that stamps as this one's other clients do."""
        source = session.stamp_source_of_clone
        client.session = stamping(client.session, source(), source, session.watcher)


def _adopting(original: Any) -> Any:
    def load_connection_info(self: Any, info: Any) -> None:
        original(self, info)
        ForeignClients.adopt(self)

    return load_connection_info
