"""Records who runs what: each execution from its request to its reply, and what was refused.

A client chooses the id of its message, and two users may choose the same one. So an execution is
known by its kernel, the *client* and the message id. The client is the identity of the ZMQ socket
that the reply comes back on: of a websocket it is derived from the user, and a client of the server
itself has a number. A reply can therefore end only an execution of its own client.

Only the status comes from the kernel. All else is known before the message reaches it.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_session_user.core.executions import Asked, asked_by, hash_of, is_forged, storable
from jupyter_session_user.core.last_runs import LastRuns, Run
from jupyter_session_user.server.messages.counts import Counts

if TYPE_CHECKING:
    from jupyter_session_user.core.session import Session
    from jupyter_session_user.store.base import Record

__all__ = ["NO_LOGIN", "Client", "Executions"]

_log = logging.getLogger(__name__)

#: Executions of one client that wait or run, and of all. Beyond that, the oldest one of the client
#: with the most of them is recorded as not seen to end: nobody loses the end of another's.
_MAX_OF_ONE = 1_000
_MAX_OF_ALL = 100_000
#: The server did not see the end: the client was gone, or the kernel or the server stopped.
_UNSEEN = "unseen"

#: Why the user of a websocket's message is unknown.
NO_LOGIN = "no user is logged in on the websocket that sent this"

#: A kernel, and the identity of one of its clients.
_Name = tuple[str, str]


class _Running(NamedTuple):
    """An execution that has not ended: its record, and what the users of the kernel see."""

    fields: dict[str, Any] | None
    run: Run | None


class Client(NamedTuple):
    """A websocket that sends messages to a kernel.

    Attributes:
        kernel_id: The kernel.
        identity: The identity of the client's ZMQ sockets.
        v1: Whether its frames are in the format v1.
    """

    kernel_id: str
    identity: str
    v1: bool


#: A client's message on its way to a kernel: the client, the frame as the client sent it, the
#: session (None for an unknown user), and the time in seconds since the epoch.
_Sent = tuple[Client, str | bytes, "Session | None", float]


class Executions:
    """The executions of one server that have not ended yet.

    Args:
        write: Gets each record, as the fields of the event ``execution`` without its time; times
            are in seconds since the epoch. None if nobody wants records: then nothing is kept.
        with_code: Whether records hold the code.
        starts: Whether the start is a record of its own.
        runs: The latest run of each cell, for the users of its kernel; None if they may not know.
        later: Calls a function soon, from the same thread; without it, it is called at once.

    Attributes:
        active: Whether executions are followed, for records or for the users of the kernels.
        runs: As above.
        counts: What is counted in any case, for the metrics.
        paths: The notebook of each kernel, as Jupyter's sessions say.
    """

    def __init__(
        self,
        write: Callable[[dict[str, Any]], None] | None = None,
        *,
        with_code: bool = False,
        starts: bool = False,
        runs: LastRuns | None = None,
        later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.active = write is not None or runs is not None
        self.runs = runs
        self._records = write is not None
        self.counts = Counts()
        self._write = write if write is not None else lambda _: None
        self._with_code = with_code
        self._starts = starts
        #: For each kernel and client, by message id.
        self._running: dict[_Name, dict[str, deque[_Running]]] = {}
        self._counts: dict[_Name, int] = {}
        self._count = 0
        self._clients = itertools.count(1)
        # A server-side client may read its replies in another thread.
        self._lock = threading.Lock()
        self._sent: deque[_Sent] = deque()
        self._looking = threading.RLock()
        self._later = later if later is not None else lambda look: look()
        self.paths: dict[str, str] = {}

    def new_client(self) -> str:
        """Return the name of one more client that the server has made."""
        return f"server {next(self._clients)}"

    def sent(
        self, client: Client, message: str | bytes, session: Session | None, at: float
    ) -> None:
        """Note a message of a websocket, which has a stamp now. It is read after it has left.

        Args:
            client: The websocket.
            message: The frame, as the client sent it.
            session: The session of the message; None for an unknown user.
            at: Now, in seconds since the epoch.
        """
        self._sent.append((client, message, session, at))
        if len(self._sent) == 1:
            self._later(self._look)

    def _look(self) -> None:
        """Count the messages that have left, and note the forged stamps and the executions."""
        with self._looking:  # another thread that records an end waits for the beginnings
            while self._sent:
                sent = self._sent.popleft()
                try:
                    self._read(*sent)
                except Exception:  # noqa: BLE001 - one message costs no other one its record
                    _log.exception("A message to kernel %s was not recorded", sent[0].kernel_id)

    def _read(
        self, client: Client, message: str | bytes, session: Session | None, at: float
    ) -> None:
        self.counts.stamps += 1
        if is_forged(message, v1=client.v1):
            self.counts.forged += 1
            self.note("forged_stamp", session, client.kernel_id)
        asked = asked_by(message, v1=client.v1) if self.active else None
        if asked is not None:
            why = NO_LOGIN if session is None else None
            name, kernel_id = client.identity, client.kernel_id
            self.begin(kernel_id, name, asked, session, "websocket", why, at)

    def begin(
        self,
        kernel_id: str,
        client: str,
        asked: Asked,
        session: Session | None,
        via: str,
        detail: str | None = None,
        at: float | None = None,
    ) -> None:
        """Note that a message that runs code is on its way to a kernel.

        Args:
            kernel_id: The kernel.
            client: The identity of the client's socket.
            asked: What it runs.
            session: The session of the message; None for an unknown user.
            via: The way, as in the schema of the event.
            detail: Why the user is unknown.
            at: When it was sent, in seconds since the epoch; None for now.
        """
        now, fields, run = time.time() if at is None else at, None, None
        if self._records:
            fields = self._fields("execution", session, kernel_id, detail)
            self._describe(fields, asked, via, now)
        if self.runs is not None:
            run = self.runs.begin(kernel_id, asked.cell_id, session, now)
        if fields is None and run is None:
            return
        with self._lock:
            mine = (kernel_id, client)
            waiting = self._running.setdefault(mine, {})
            waiting.setdefault(asked.msg_id, deque()).append(_Running(fields, run))
            self._count += 1
            self._counts[mine] = self._counts.get(mine, 0) + 1
            oldest = None
            if self._counts[mine] > _MAX_OF_ONE or self._count > _MAX_OF_ALL:
                mine = max(self._counts, key=self._counts.__getitem__)
                oldest = self._take(mine, next(iter(self._running[mine])))
        if oldest is not None:
            self._ended(mine[0], oldest, _UNSEEN)

    def _describe(self, fields: dict[str, Any], asked: Asked, via: str, now: float) -> None:
        """Add to a record what is run, and record the start if that is wanted."""
        fields["via"] = via
        fields["message_id"] = asked.msg_id
        fields["cell_id"] = asked.cell_id
        fields["code_sha256"] = hash_of(asked.code)
        if self._with_code:
            fields["code"] = None if asked.code is None else storable(asked.code)
        fields["start"] = now
        if self._starts:
            self._write({**fields, "status": "started"})

    def end(self, kernel_id: str, client: str, msg_id: str, status: str) -> None:
        """Record the execution that a reply ends; harmless if there is none."""
        self._look()
        with self._lock:
            running = self._take((kernel_id, client), msg_id)
        if running is not None:
            self._ended(kernel_id, running, status, time.time())

    def gone(self, kernel_id: str | None = None) -> None:
        """Record the executions of a kernel that has stopped, or of all kernels."""
        self._look()
        with self._lock:
            clients = [client for client in self._running if kernel_id in {None, client[0]}]
            ended = [
                (client[0], running)
                for client in clients
                for waiting in self._running.pop(client).values()
                for running in waiting
            ]
            for client in clients:
                del self._counts[client]
            self._count -= len(ended)
        for its_kernel, running in ended:
            self._ended(its_kernel, running, _UNSEEN)

    def forget(self, kernel_id: str) -> None:
        """Record the executions of a kernel that was removed, and forget who ran its cells."""
        self.gone(kernel_id)
        self.paths.pop(kernel_id, None)
        if self.runs is not None:
            self.runs.forget(kernel_id)

    def note(
        self, kind: str, session: Session | None, kernel_id: str | None, detail: str | None = None
    ) -> None:
        """Record something else than an execution.

        Args:
            kind: As in the schema of the event.
            session: The session; None for an unknown user.
            kernel_id: The kernel; None for a login.
            detail: A text for the reader.
        """
        if self._records:
            self._write(self._fields(kind, session, kernel_id, detail))

    def on_change(self, event: str, record: Record) -> None:
        """Record that a login was revoked; a listener for changes of logins."""
        if event == "revoked":
            self.note("revocation", record.session, record.session.kernel_id)

    def on_refused(self, record: Record, state: str) -> None:
        """Count and record a message of a login that has ended."""
        self.counts.refusals += 1
        self.note("refusal", record.session, record.session.kernel_id, state)

    def _ended(
        self, kernel_id: str, running: _Running, status: str, at: float | None = None
    ) -> None:
        """Record an end; without a time, the server has not seen it."""
        if running.fields is not None:
            end = {} if at is None else {"end": at}
            self._write({**running.fields, **end, "status": status})
        if self.runs is not None and running.run is not None:
            self.runs.end(kernel_id, running.run, status, at)

    def _take(self, client: _Name, msg_id: str) -> _Running | None:
        its = self._running.get(client, {})
        waiting = its.get(msg_id)
        if not waiting:
            return None
        running = waiting.popleft()  # a kernel answers in the order of the requests
        self._count -= 1
        self._counts[client] -= 1
        if not waiting:
            del its[msg_id]
        if not its:
            del self._running[client], self._counts[client]
        return running

    def _fields(
        self, kind: str, session: Session | None, kernel_id: str | None, detail: str | None
    ) -> dict[str, Any]:
        path = self.paths.get(kernel_id or "")
        actor = None if session is None else session.actor
        return {
            "kind": kind,
            "username": None if session is None else session.user.username,
            "verified": None if session is None else session.verified,
            "actor": None if actor is None else actor.to_wire(),
            "session_id": None if session is None else session.id,
            "kernel_id": kernel_id,
            "path": None if path is None else storable(path),
            "detail": detail,
        }
