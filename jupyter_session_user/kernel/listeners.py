"""``on_session_change``: callbacks in one thread, each as the person who registered it.

The thread looks up twice a second beside the news: what ends by the clock alone ends without
news where the server cannot reach the kernel, and what was lost on the way comes to light.
"""

from __future__ import annotations

import contextvars
import inspect
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_session_user.core.protocol import News
from jupyter_session_user.core.stamp import KEY
from jupyter_session_user.errors import LocalProtocolError
from jupyter_session_user.kernel.binding import Binding
from jupyter_session_user.kernel.current import LiveSession
from jupyter_session_user.kernel.standing import Standing, standings
from jupyter_session_user.kernel.state import helper

if TYPE_CHECKING:
    from jupyter_session_user.core.session import Session

__all__ = ["listen"]

LOOK_S = 0.5
#: A server that was started anew, or lost us otherwise, does not know that we listen.
ASK_ANEW_S = 60.0

#: They happen once for each revision, and say more than the state.
_HAPPENINGS = frozenset({"renewed", "started"})

_log = logging.getLogger(KEY)

Callback = Callable[[LiveSession], object]


class _Listener:
    """One registered callback, and what it has been told.

    Args:
        callback: The function.
        session: The session of whoever registered it.
    """

    def __init__(self, callback: Callback, session: Session) -> None:
        self.username = session.user.username
        self.cancelled = False
        self._callback = callback
        self._session = session
        self._context = contextvars.copy_context()
        # State and revision by session id; what is so already is no change.
        self._told = {s.session.id: (s.state, s.revision) for s in self._standings()}

    def hear(self, news: News) -> None:
        """Tell the callback what happened, unless it knows."""
        session = news.session
        if session.user.username != self.username:
            return
        state, revision = self._told.get(session.id, ("active", -1))
        is_new = news.event in _HAPPENINGS and session.revision > revision
        if is_new or session.state != state:
            self._tell(session, session.state)

    def look(self) -> None:
        """Tell the callback what has become of its person's sessions without news."""
        for standing in self._standings():
            now = standing.state
            if now != self._told.get(standing.session.id, ("active", -1))[0]:
                self._tell(standing.session, now)

    def _standings(self) -> list[Standing]:
        return standings.of_person(self.username)

    def _tell(self, session: Session, state: str) -> None:
        self._told[session.id] = (state, session.revision)
        if not self.cancelled:
            # A copy: what one call leaves in its context is not there in the next.
            self._context.copy().run(self._call, LiveSession.of(session))

    def _call(self, session: LiveSession) -> None:
        try:
            with Binding(self._session):  # a thread has no message, only what is bound in it
                self._callback(session)
        except (Exception, SystemExit):  # noqa: BLE001 - theirs is not to stop the others
            _log.exception("a callback of on_session_change failed")


class _Listeners:
    """All callbacks of this process, and their thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[_Listener] = []
        self._news: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._asked_anew = float("-inf")

    def add(self, listener: _Listener) -> None:
        """Add a callback, and start the thread if it is the first."""
        self._attend()
        with self._lock:
            self._all.append(listener)
            if self._thread is None or not self._thread.is_alive():  # as after a fork
                self._thread = threading.Thread(target=self._run, name=f"{KEY}.news", daemon=True)
                self._thread.start()
        self._news.put(None)

    def remove(self, listener: _Listener) -> None:
        """Remove a callback; harmless when repeated."""
        listener.cancelled = True
        with self._lock:
            self._all = [other for other in self._all if other is not listener]

    def _run(self) -> None:
        while True:
            news = self._next()
            try:
                self._work(news)
            except Exception:  # noqa: BLE001 - this thread serves everybody
                _log.exception("listening to session changes")

    def _next(self) -> News | None:
        try:
            return self._news.get(timeout=LOOK_S if self._all else None)
        except queue.Empty:
            return None

    def _work(self, news: News | None) -> None:
        if news is None:
            self._attend()
        for listener in self._all:
            if news is None:
                listener.look()
            else:
                listener.hear(news)

    def _attend(self) -> None:
        """See to it that news come, whatever became of the server and of earlier questions."""
        here = helper()
        if here is None:
            return
        here.news.on_news = self._news.put
        if time.monotonic() >= self._asked_anew + ASK_ANEW_S:
            self._asked_anew = time.monotonic()
            here.news.ask_anew()
        here.news.ask()


_listeners = _Listeners()


def listen(callback: object, session: Session) -> Callable[[], None]:
    """Call ``callback`` when something happens to a session of this session's person.

    Raises:
        LocalProtocolError: ``callback`` is not a plain function.
    """
    if not callable(callback) or inspect.iscoroutinefunction(callback):
        raise LocalProtocolError("on_session_change needs a plain function of one argument")
    listener = _Listener(callback, session)
    _listeners.add(listener)

    def cancel() -> None:
        """Call the callback no more; harmless when repeated."""
        _listeners.remove(listener)

    return cancel
