"""News of the server: asked for without waiting, and taken while a cell runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.protocol import News, Reply, Request
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import KEY, is_server_stamp
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.kernel.standing import MAX_SESSIONS, standings

if TYPE_CHECKING:
    from jupyter_session_user.kernel.comm import CommClient

__all__ = ["NewsDesk"]

#: A question may be lost before the server listens, and behind a gateway nobody answers.
#: Seconds until it is asked again, doubled each time.
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 60.0

_log = logging.getLogger(KEY)


class NewsDesk:
    """Sees to it that the server sends news, and takes them.

    Args:
        comm: The way to the server.

    Attributes:
        on_news: Called in the control thread with each news that is one; must return at once.
    """

    def __init__(self, comm: CommClient) -> None:
        self.on_news: Callable[[News], None] | None = None
        self._comm = comm
        # One id for all the questions: they are the same one, and so are the answers.
        self._request = Request(os.urandom(16).hex(), "watch", "")
        self._seen: set[str] = set()
        self._acknowledged = False
        self._pause = FIRST_PAUSE_S
        self._not_before = 0.0

    def saw(self, session: Session) -> None:
        """Take the session of a message, and ask for news unless the server sends them."""
        standings.learn(session)
        if session.id not in self._seen:
            # A server that was started anew has new sessions, and does not know that we listen.
            self._seen = {session.id, *(self._seen if len(self._seen) < MAX_SESSIONS else ())}
            self.ask_anew()
        self.ask()

    def ask_anew(self) -> None:
        """Ask soon, whatever was answered before."""
        self._acknowledged, self._pause, self._not_before = False, FIRST_PAUSE_S, 0.0

    def ask(self) -> None:
        """Ask for news, unless the server sends them or was asked just now; never waits."""
        now = time.monotonic()
        if self._acknowledged or now < self._not_before:
            return
        self._not_before = now + self._pause
        self._pause = min(self._pause * 2, MAX_PAUSE_S)
        try:
            self._comm.post(self._request, self._take_answer)
        except Exception:  # noqa: BLE001 - who asks for a name must not pay for a closed socket
            _log.debug("news were not asked for", exc_info=True)

    def deliver(self, message: dict[str, Any]) -> None:
        """Take news that arrived; what is not the server's is ignored.

        Args:
            message: A control message, as ipykernel hands it to a handler.
        """
        if not is_server_stamp(message["metadata"].get(KEY)):
            return
        try:
            news = News.from_wire(message["content"])
        except RemoteProtocolError as error:
            _log.warning("news of Jupyter Server cannot be read: %s", error)
            return
        if standings.learn(news.session, told=True) and self.on_news is not None:
            self.on_news(news)

    def _take_answer(self, reply: Reply) -> None:
        listed = reply.result.get("sessions")
        if reply.error or not isinstance(listed, list):
            return
        self._acknowledged = True
        for wire in listed:
            standings.learn(Session.from_wire(wire), told=True)
