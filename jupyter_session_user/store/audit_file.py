"""The audit file: a thread appends lines, each with the hash of the line before.

The caller puts a line into a queue, which takes about a microsecond. The thread writes all waiting
lines with one system call. The queue is bounded; what happens when it is full is a setting.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import glob
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from jupyter_session_user.core.audit_chain import START, Link, append, read_entry
from jupyter_session_user.errors import ConfigurationError

__all__ = ["AuditFile", "parts_of", "read_lines"]

_RETRY_S = 1.0
_CLOSE_S = 30.0
_WAIT_S = 0.001
#: How long lines gather before they are written: waking the thread costs more than queueing a line.
_GATHER_S = 0.01
#: Lines that one system call writes: a stop in between loses no more than these.
_BATCH = 1_000
#: Lines that the thread makes before it lets others run: about a millisecond.
_TURN = 50
_TAIL = 65_536  # bytes read at once, from the end
_MODE = 0o600
#: How a line begins: the names of its fields are sorted.
_BEGINNINGS = (b'{"actor":', b'{"bytes":', b'{"kind":"lost"')


class AuditFile:
    """Appends to an audit file, in a thread of its own.

    Args:
        path: The file. A part that was full is renamed to it with the number of its first line.
        render: Makes the fields of a line from what ``put`` got; called in the thread.
        failed: Called in the thread: with the error when lines cannot be written, and with an empty
            string when they can be written again.
        limit: Maximum number of waiting lines.
        waits: Whether ``put`` waits if the queue is full. Otherwise the lines are lost, and a line
            says how many.
        max_bytes: Size at which a new part of the file begins; 0 for no limit.

    Raises:
        ConfigurationError: The file cannot be written, another server writes it, or its last line
            has been changed.
    """

    def __init__(
        self,
        path: Path,
        render: Callable[[dict[str, Any]], dict[str, Any]],
        failed: Callable[[str], None],
        *,
        limit: int,
        waits: bool,
        max_bytes: int = 0,
    ) -> None:
        path = path.resolve()  # by a link, two servers would write one file
        self._path = path
        self._render = render
        self._failed = failed
        self._limit = limit
        self._waits = waits
        self._max_bytes = max_bytes
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._closed = False
        self._give_up = math.inf
        #: Lines that were lost because the queue was full.
        self.lost = 0
        #: Lines written since the start.
        self.written = 0
        self._said_lost = 0
        with contextlib.ExitStack() as failing:
            failing.enter_context(_as_wrong_setting(path))
            self._lock = failing.enter_context(_locked(path))
            file, size = _opened(path)
            self._file = failing.enter_context(file)
            self._first, self._end, torn = _end_of(file, path)
            # Only now is it known to be an audit file.
            path.chmod(_MODE)
            if torn:
                file.truncate(size - torn)
            failing.pop_all()
        self._size = size - torn
        if torn:
            self._queue.put({"kind": "recovered", "bytes": torn})
        self._thread = threading.Thread(target=self._run, name="session-user-audit", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # the interpreter does not wait for a daemon thread

    def put(self, fields: dict[str, Any]) -> None:
        """Queue one line; from any thread."""
        while self._queue.qsize() >= self._limit:
            if not self._waits or self._closed:
                self.lost += 1
                return
            time.sleep(_WAIT_S)
        self._queue.put(fields)

    def waiting(self) -> int:
        """Return how many lines wait to be written."""
        return self._queue.qsize()

    def close(self) -> None:
        """Write the waiting lines, and stop; harmless when repeated."""
        if not self._closed:
            self._give_up = time.monotonic() + _CLOSE_S
            self._closed = True
            atexit.unregister(self.close)
            self._queue.put(None)
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        stopping, problem = False, ""
        while not stopping:
            batch, stopping = self._next()
            while True:
                before, problem = problem, self._write(batch)
                if problem != before:
                    self._failed(problem)
                if not problem:
                    break
                if self._closed and time.monotonic() > self._give_up:
                    self.lost += sum(1 for fields in batch if fields.get("kind") != "lost")
                    break
                time.sleep(_RETRY_S)
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        self._file.close()
        self._lock.close()

    def _next(self) -> tuple[list[dict[str, Any]], bool]:
        """Wait for lines; return those that wait, and whether they are the last ones."""
        batch: list[dict[str, Any]] = []
        with contextlib.suppress(queue.Empty):
            item = self._queue.get()
            if item is not None:
                time.sleep(_GATHER_S)
            while item is not None:
                batch.append(item)
                if len(batch) >= _BATCH:
                    break
                item = self._queue.get_nowait()
            else:
                return self._with_lost(batch), True
        return self._with_lost(batch), False

    def _with_lost(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lost = self.lost - self._said_lost
        if not lost:
            return batch
        self._said_lost += lost
        return [*batch, {"kind": "lost", "lines": lost}]

    def _write(self, batch: list[dict[str, Any]]) -> str:
        """Write some lines, all or none; return the error, or an empty string."""
        end, lines = self._end, []
        for fields in batch:
            try:
                line, end = append(end, self._render(fields))
            except Exception:  # noqa: BLE001 - only this line is lost, and the file says so
                line, end = append(end, {"kind": "lost", "lines": 1})
            lines.append(line + b"\n")
            if len(lines) % _TURN == 0:
                time.sleep(0)  # the event loop waits for Python's lock no longer than this
        data = b"".join(lines)
        try:
            if self._max_bytes and self._size and self._size + len(data) > self._max_bytes:
                self._rotate()
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # a part of a line may be there
                self._file.truncate(self._size)
            return error.strerror or type(error).__name__
        self._end, self._size = end, self._size + len(data)
        self.written += len(batch)
        return ""

    def _rotate(self) -> None:
        os.fsync(self._file.fileno())
        full = self._path.with_name(f"{self._path.name}.{self._first:012d}")
        if full.exists():
            raise FileExistsError(errno.EEXIST, f"{full.name} exists; move it away")
        self._path.rename(full)
        try:
            file, size = _opened(self._path)
        except OSError:
            full.rename(self._path)  # go on in the same file, and try again
            raise
        self._file.close()
        self._file, self._size, self._first = file, size, self._end.seq + 1


def parts_of(path: Path) -> list[Path]:
    """Return the parts of an audit file, oldest first, the file itself last."""
    older = path.parent.glob(f"{glob.escape(path.name)}.*[0-9]")
    return [*sorted(part for part in older if part.suffix[1:].isdigit()), path]


def read_lines(paths: list[Path]) -> Iterator[bytes]:
    """Yield the lines of the parts, without newlines; a cut line loses its last byte."""
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                yield line[:-1]


@contextlib.contextmanager
def _as_wrong_setting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"audit_file: cannot write {path} ({error.strerror}); name a file in a directory "
            "that this account may write to"
        ) from None


def _opened(path: Path) -> tuple[BinaryIO, int]:
    """Open a part for appending, unbuffered, and return its size."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _MODE), "r+b", buffering=0)
    return file, file.seek(0, os.SEEK_END)


def _locked(path: Path) -> BinaryIO:
    """Make this process the only one that writes the file."""
    lock = path.with_name(f"{path.name}.lock")
    file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, _MODE), "r+b", buffering=0)
    try:
        import fcntl  # noqa: PLC0415 - Windows has none, and no lock there
    except ImportError:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ConfigurationError(
            f"audit_file: another server writes {path}; give each server a file of its own"
        ) from None
    return file


def _end_of(file: BinaryIO, path: Path) -> tuple[int, Link, int]:
    """Find the end of the chain, without a change of the file.

    Returns:
        The number of the first line of this part, the end of the chain, and how many bytes of a
        line follow that a crash has cut.

    Raises:
        ConfigurationError: It is the file of another program, or a line has been changed.
    """
    size = file.seek(0, os.SEEK_END)
    text, start = b"", size
    while start > 0 and text.count(b"\n") < 2:  # noqa: PLR2004 - the last line is between two
        start = max(0, start - _TAIL)
        file.seek(start)
        text = _exactly(file, size - start)
    whole = text.rfind(b"\n") + 1
    torn = len(text) - whole
    if not whole:
        return _without_lines(path, text)
    line = text[:whole].rstrip(b"\n").rpartition(b"\n")[2]
    file.seek(0)
    return _link_of(file.readline()[:-1], path).seq, _link_of(line, path), torn


def _without_lines(path: Path, torn: bytes) -> tuple[int, Link, int]:
    """Continue the chain of the newest full part, if there is one.

    Without one, only the beginning of a line of ours may be there: a setting may name the file of
    another program.
    """
    older = parts_of(path)[:-1]
    if not older:
        if torn and not any(torn.startswith(b) or b.startswith(torn) for b in _BEGINNINGS):
            raise _foreign(path, "of another program")
        return 1, START, len(torn)
    last = b""
    for line in read_lines(older[-1:]):
        last = line
    end = _link_of(last, older[-1])
    return end.seq + 1, end, len(torn)


def _exactly(file: BinaryIO, count: int) -> bytes:
    parts = []
    while count > 0 and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _link_of(line: bytes, path: Path) -> Link:
    try:
        return read_entry(line).link
    except ValueError as error:
        raise _foreign(path, str(error)) from None


def _foreign(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"audit_file: a line of {path} is {what}; check the file with 'jupyter session-user "
        "audit verify', and move it away to begin a new one"
    )
