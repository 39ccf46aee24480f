"""The thread that writes the changes of one server to a journal."""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from jupyter_session_user.errors import StoreUnavailable
from jupyter_session_user.store.journal import Change, Journal, JournalError

__all__ = ["Writer"]

_RETRY_S = 1.0
_CLOSE_S = 10.0


class Writer:
    """Writes changes; one transaction takes all pending changes.

    Args:
        journal: The journal.
        failed: Called in the thread: with the name of the error when changes cannot be saved, and
            with an empty string when they can be saved again.
    """

    def __init__(self, journal: Journal, failed: Callable[[str], None]) -> None:
        self._journal = journal
        self._failed = failed
        self._lock = threading.Lock()
        #: Changes that are not saved yet, by their subject: the latest change counts.
        self._pending: dict[tuple[str, str], Change] = {}
        self._forget: float | None = None  # a time, since the epoch
        self._wake: queue.SimpleQueue[Future[None] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="session-user-store", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # the interpreter does not wait for a daemon thread

    def write(self, *changes: Change | None) -> None:
        """Queue changes, each in place of an earlier change of the same subject; None is none."""
        with self._lock:
            for change in changes:
                if change is not None:
                    self._pending.pop(change[:2], None)
                    self._pending[change[:2]] = change
        self._wake.put(Future())

    def forget(self, now: float) -> None:
        """Have rows removed whose time has passed at ``now``, in seconds since the epoch."""
        self._forget = now
        self._wake.put(Future())

    def flush(self) -> Future[None]:
        """Return a future that is done when all changes so far are saved."""
        done: Future[None] = Future()
        self._wake.put(done)
        return done

    def close(self) -> None:
        """Write the remaining changes, and stop."""
        if not self._closed:
            self._closed = True
            atexit.unregister(self.close)
            self._wake.put(None)
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        problem = ""
        while True:
            waiting = self._next(_RETRY_S if problem else None)
            before, problem = problem, self._commit()
            if problem != before:
                self._failed(problem)
            for done in waiting:
                if done is not None and done.set_running_or_notify_cancel():
                    _settle(done, problem)
            if None in waiting:
                self._journal.close()
                return

    def _next(self, timeout: float | None) -> list[Future[None] | None]:
        """Wait for something to do; return the futures that wait for the result."""
        waiting: list[Future[None] | None] = []
        with contextlib.suppress(queue.Empty):
            waiting.append(self._wake.get(timeout=timeout))
            while True:
                waiting.append(self._wake.get_nowait())
        return waiting

    def _commit(self) -> str:
        """Save all pending changes; return the error's name, or an empty string."""
        with self._lock:
            taken, self._pending = self._pending, {}
            forget, self._forget = self._forget, None
        if not taken and forget is None:
            return ""
        try:
            self._journal.commit(taken.values(), forget)
        except JournalError as error:
            with self._lock:
                self._pending = {**taken, **self._pending}  # rows are removed the next time
            return str(error)
        return ""


def _settle(done: Future[None], problem: str) -> None:
    if problem:
        done.set_exception(
            StoreUnavailable(
                f"The list of ended logins cannot be saved now ({problem}). It holds until this "
                "server ends, and is saved as soon as that is possible. See store_url."
            )
        )
    else:
        done.set_result(None)
