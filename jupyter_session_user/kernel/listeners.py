"""``on_session_change``: callbacks in one thread, each as the user that registered it.

The thread also checks twice a second, without waiting for updates. If the server cannot reach the
kernel, a login that expires causes no update. The check also finds updates that were lost.
"""

from __future__ import annotations

import contextvars
import inspect
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from jupyter_session_user.core.session import OVER
from jupyter_session_user.core.stamp import KEY
from jupyter_session_user.errors import WrongArgument
from jupyter_session_user.kernel import message_context
from jupyter_session_user.kernel.current import Binding, current_session
from jupyter_session_user.kernel.ipykernel import helper
from jupyter_session_user.kernel.live_session import LiveSession
from jupyter_session_user.kernel.status import FINAL, Place, statuses

if TYPE_CHECKING:
    from datetime import datetime

    from jupyter_session_user.core.protocol import Update

__all__ = ["on_session_change"]

LOOK_S = 0.5
#: A restarted server, or one that lost the subscription, does not know that we listen.
ASK_ANEW_S = 60.0

_log = logging.getLogger(KEY)

Callback = Callable[[LiveSession], object]


class _Seen(NamedTuple):
    """The state of a listener's user at one moment."""

    number: int
    place: Place
    state: str
    end: datetime | None


class _Listener:
    """One registered callback, and the state that it was last called with.

    It follows the session of the cell that registered it. When that login expires, it goes on with
    the user's next login. After a revocation or a sign-out it follows the next session of the same
    user that begins.

    Args:
        callback: The function.
        session: The session of the cell that registered it.
    """

    def __init__(self, callback: Callback, session: LiveSession) -> None:
        self.cancelled = False
        self._callback = callback
        self._session = session
        self._context = contextvars.copy_context()
        self._numbers = itertools.count()
        self._place = statuses.place(session.now())
        self._before_end: frozenset[str] | None = None
        self._last_report = self.see()  # the present state is no change

    def see(self) -> _Seen:
        """Return the present state; in any thread."""
        number = next(self._numbers)  # orders the reads of two threads
        place = self._place
        status = place.now()
        if status.state in FINAL:
            place = self._next_after(place)
            status = place.now()
        return _Seen(number, place, status.state, status.expires_at)

    def tell(self, seen: _Seen) -> None:
        """Call the callback if the state has changed; in the thread of the callbacks."""
        told = self._last_report
        if seen.number <= told.number:
            return
        self._last_report = seen
        if seen.place is not self._place:
            self._place, self._before_end = seen.place, None
        if _is_update(seen, told) and not self.cancelled:
            # A copy, so that a callback's changes to the context do not reach the next call.
            session = LiveSession.of(seen.place.own.session)
            self._context.copy().run(self._call, session)

    def _next_after(self, place: Place) -> Place:
        """Return the session that began after this one had ended for good; until then this one."""
        places = statuses.of_principal(place)
        before = self._before_end
        if before is None:
            self._before_end = frozenset(other.own.session.id for other in places)
            return place
        begun = [p for p in places if p.own.session.id not in before and not p.now().is_over()]
        return begun[0] if begun else place

    def _call(self, session: LiveSession) -> None:
        try:
            with Binding(self._session):  # a thread has no message, only its bindings
                self._callback(session)
        except (Exception, SystemExit):  # noqa: BLE001 - theirs is not to stop the others
            _log.exception("a callback of on_session_change failed")


def _is_update(seen: _Seen, told: _Seen) -> bool:
    """Tell whether the state has changed, or the login was renewed: it ends later than it did."""
    if seen.state != told.state:
        return True
    both = seen.end is not None and told.end is not None
    return both and seen.state not in OVER and seen.end > told.end  # type: ignore[operator]


class _Listeners:
    """All callbacks of this process, and their thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[_Listener] = []
        self._seen: queue.SimpleQueue[list[tuple[_Listener, _Seen]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._asked_anew = float("-inf")

    def add(self, listener: _Listener) -> None:
        """Add a callback, and start the thread if it is the first."""
        self._attend()
        with self._lock:
            self._all.append(listener)
            if self._thread is None or not self._thread.is_alive():  # as after a fork
                self._thread = threading.Thread(
                    target=self._run, name=f"{KEY}.updates", daemon=True
                )
                self._thread.start()
        self._seen.put(None)

    def remove(self, listener: _Listener) -> None:
        """Remove a callback; harmless when repeated."""
        listener.cancelled = True
        with self._lock:
            self._all = [other for other in self._all if other is not listener]

    def _hear(self, _update: Update) -> None:
        """Store the state after this update; the thread calls the callbacks."""
        self._seen.put([(listener, listener.see()) for listener in self._all])

    def _run(self) -> None:
        while True:
            seen = self._next()
            try:
                if seen is None:
                    self._attend()
                    seen = [(listener, listener.see()) for listener in self._all]
                for listener, moment in seen:
                    listener.tell(moment)
            except Exception:  # noqa: BLE001 - this thread serves everybody
                _log.exception("listening to session changes")

    def _next(self) -> list[tuple[_Listener, _Seen]] | None:
        try:
            return self._seen.get(timeout=LOOK_S if self._all else None)
        except queue.Empty:
            return None

    def _attend(self) -> None:
        """Keep the updates coming, even after a server restart or lost requests."""
        here = helper()
        if here is None:
            return
        here.updates.on_update = self._hear
        if time.monotonic() >= self._asked_anew + ASK_ANEW_S:
            self._asked_anew = time.monotonic()
            here.updates.ask_anew()
        here.updates.ask()


_listeners = _Listeners()


@message_context.after_fork
def _leave_to_parent() -> None:
    """Forget the callbacks: the parent process goes on to call them."""
    global _listeners  # noqa: PLW0603 - with its lock and its queue
    _listeners = _Listeners()


def _check(callback: object) -> None:
    """Refuse what the thread could not call: its error would come later, in a log.

    Raises:
        WrongArgument: ``callback`` is not a plain function of one argument.
    """
    fix = "pass one, such as on_session_change(lambda session: print(session.state))"
    needs = "on_session_change needs a plain function of one argument"
    if not callable(callback):
        raise WrongArgument(f"{needs}, not {type(callback).__name__}; {fix}")
    if inspect.iscoroutinefunction(callback):
        raise WrongArgument(f"{needs}, and this function is asynchronous; {fix}")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):
        return  # some functions in C have none
    try:
        signature.bind(None)
    except TypeError:
        raise WrongArgument(f"{needs}, and this one takes {signature}; {fix}") from None


def on_session_change(callback: Callable[[LiveSession], object], /) -> Callable[[], None]:
    """Register a function that is called when the current user's login changes.

        cancel = on_session_change(lambda session: print(session.state))

    It is called with the session when that is expiring, has expired, was renewed, was revoked, or
    has ended, and when the same user signs in again; within a second, also while a cell runs. All
    logins of one user are treated as one: the login that lasts longest decides. For users that
    Jupyter generated (anonymous users), a new login is a new user.

    All callbacks run one after another in a thread of their own. Each runs as the user that
    registered it (``get_current_user(allow_expired=True)``), and its output goes to that user's
    cell. An error in a callback is logged. A slow callback delays the others.

    Args:
        callback: A plain function of one argument.

    Returns:
        A function without arguments that removes the callback. Do not use ``on_session_change`` as
        a decorator, since the decorated name would refer to that function.

    Raises:
        IdentityUnavailable: The current user cannot be determined.
        WrongArgument: ``callback`` is not a plain function of one argument.
    """
    _check(callback)
    listener = _Listener(callback, current_session())
    _listeners.add(listener)

    def cancel() -> None:
        """Remove the callback; harmless when repeated."""
        _listeners.remove(listener)

    return cancel
