"""A journal of ended logins in Redis or Valkey, for servers on several machines.

A hash holds the rows, a sorted set the times of their removal, and a stream the latest changes
(https://redis.io/docs/latest/develop/data-types/streams/). One transaction writes all three. A
server that reads the stream misses no change, unlike with publish and subscribe.

A fourth key names the generation of the data, at random. A server reads all rows, and writes
what Redis has lost, after each lost connection, if the generation is another one (Redis was
emptied, or a replica that is behind has taken over), and after a pause in which the stream may have
dropped changes.

Redis sees hashes, and the realm's name. The hash of a username is easy to compute, so only the
servers need access.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.store.journal import TABLES, Change, JournalError

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisJournal"]

# The braces keep all keys of a Redis Cluster on one node, for the transactions.
_PREFIX = "{jupyter-session-user}:"
_ROWS, _UNTIL, _CHANGES, _GENERATION = (
    _PREFIX + name for name in ("rows", "until", "changes", "generation")
)

#: Seconds for a connection and for an answer; the writing thread waits for nothing longer.
_TIMEOUT_S = 1.0
_BLOCK_MS = 1_000
_RETRY_S = 0.5
#: How long the stream keeps a change, in seconds: readers are behind by a moment.
_STREAM_S = 3_600
#: A reader that has paused for longer may have missed changes, in seconds: its machine slept.
_PAUSE_S = 600
#: How often the generation is compared, in seconds.
_COMPARE_S = 1.0
_BATCH = 1_000
#: All servers hash alike, also after Redis has lost everything.
_SALT = b"jupyter-session-user 1"


class _LostError(JournalError):
    """Changes may have been lost, without an error of the connection."""


class RedisJournal:
    """Implements ``Journal`` with Redis ≥ 6.2 or Valkey.

    Args:
        url: ``redis://``, ``rediss://`` for TLS, or ``unix://``, as redis-py takes it.
        password: The server's password, if the URL has none.

    Raises:
        ConfigurationError: redis-py is missing, the URL is invalid, no server answers, or its rows
            are damaged.
    """

    salt = _SALT

    def __init__(self, url: str, password: Secret | None = None) -> None:
        self._redis = _client(url, _TIMEOUT_S, password)
        self._reader = _client(url, _TIMEOUT_S + _BLOCK_MS / 1000, password)
        self._follows = False
        self._last = "0"
        self._generation = ""
        self._compared = self._read = (
            0.0  # wall clock: the monotonic one stops in a machine's sleep
        )
        self._foreign = 0
        problem = ""
        try:
            self._rows = self._all()
        except JournalError as error:
            problem = f"does not answer ({error}). Start it, or correct store_url"
        if self._foreign:
            problem = (
                f"has {self._foreign} rows in {_ROWS} that this release cannot read. Install the "
                f"release that wrote them. To forget the ended logins, delete the keys {_ROWS}, "
                f"{_UNTIL} and {_CHANGES}"
            )
        if problem:
            self.close()
            raise ConfigurationError(
                f"store_url: the Redis server at {urlsplit(url).hostname or 'the socket'} "
                f"{problem}. A server that does not know the ended logins would accept them"
            )

    def load(self) -> list[Change]:
        """Return all rows."""
        rows, self._rows = self._rows, []
        return rows

    def commit(self, changes: Collection[Change], forget: float | None) -> None:
        """Save changes in one transaction.

        Raises:
            JournalError: They cannot be saved now.
        """
        rest = iter(changes)
        with _as_journal_error():
            # In parts: Redis does nothing else during a transaction.
            while part := list(itertools.islice(rest, _BATCH)):
                self._write(part)
            if forget is not None:
                self._forget(forget)

    def _write(self, changes: Iterable[Change]) -> None:
        pipeline = self._redis.pipeline(transaction=True)
        rows: dict[Any, Any] = {}
        until: dict[Any, Any] = {}
        # By the clock of Redis, which numbers the changes.
        oldest = max(0, int(self._last.partition("-")[0]) - _STREAM_S * 1_000)
        for number, change in enumerate(changes):
            name, text = f"{change.table} {change.id}", json.dumps(change)
            rows[name], until[name] = text, float(change.values[-1])
            # One of them removes what is old; XTRIM would need a right of its own.
            minid = None if number else str(oldest)
            pipeline.xadd(_CHANGES, {"row": text}, minid=minid, approximate=True)
        pipeline.hset(_ROWS, mapping=rows)
        pipeline.zadd(_UNTIL, until)
        pipeline.execute()

    def _forget(self, now: float) -> None:
        """Remove what is out of date; if another server writes meanwhile, at the next time."""
        from redis import WatchError  # noqa: PLC0415 - an extra

        with contextlib.suppress(WatchError), self._redis.pipeline(transaction=True) as pipeline:
            while True:
                # https://redis.io/docs/latest/develop/using-commands/transactions/: a row that
                # another server renews between the two commands must stay.
                pipeline.watch(_UNTIL)  # type: ignore[no-untyped-call]
                names: Any = pipeline.zrange(
                    _UNTIL, "-inf", now, byscore=True, offset=0, num=_BATCH
                )
                if not names:
                    return
                pipeline.multi()
                pipeline.hdel(_ROWS, *names)
                pipeline.zrem(_UNTIL, *names)
                pipeline.execute()

    def follow(
        self,
        received: Callable[[Collection[Change]], None],
        resync: Callable[[Collection[Change]], None],
        stop: threading.Event,
    ) -> None:
        """Pass on changes; all rows if Redis, or this reader, may have lost some."""
        self._follows = connected = True
        while not stop.is_set():
            try:
                if not connected:
                    resync(self._all())
                    connected = True
                changes = self._next()
                if changes:
                    received(changes)
            except _LostError:  # noqa: PERF203 - each round may fail
                connected = False
            except JournalError:  # the writing thread reports it
                connected = False
                stop.wait(_RETRY_S)
        self._reader.close()

    def close(self) -> None:
        """Close the connections; that of a follower is closed by its thread."""
        self._redis.close()
        if not self._follows:
            self._reader.close()

    def _next(self) -> list[Change]:
        """Wait for the next changes."""
        with _as_journal_error():
            answer: Any = self._reader.xread({_CHANGES: self._last}, count=_BATCH, block=_BLOCK_MS)
            now = time.time()
            if not 0 <= now - self._read < _PAUSE_S:
                raise _LostError
            self._read = now
            if not 0 <= now - self._compared < _COMPARE_S:
                self._compared = now
                if self._reader.get(_GENERATION) != self._generation:
                    raise _LostError
        entries = answer[0][1] if answer else []
        if entries:
            self._last = entries[-1][0]
        return self._changes(fields.get("row", "") for _, fields in entries)

    def _all(self) -> list[Change]:
        """Return all rows, and read the stream from here on."""
        with _as_journal_error():
            self._reader.set(_GENERATION, secrets.token_hex(8), nx=True)
            self._generation = str(self._reader.get(_GENERATION))
            self._read = time.time()
            newest: Any = self._reader.xrevrange(_CHANGES, count=1)
            self._last = newest[0][0] if newest else "0"
            texts = [text for _, text in self._reader.hscan_iter(_ROWS, count=_BATCH)]
        return sorted(self._changes(texts), key=_by_number)

    def _changes(self, texts: Iterable[str]) -> list[Change]:
        """Return the changes that other servers wrote; a damaged one costs no other."""
        found = [_change(text) for text in texts]
        self._foreign += found.count(None)
        return [change for change in found if change is not None]


def _change(text: str) -> Change | None:
    """Return the change that a server wrote; None if this is none."""
    try:
        table, key, values = json.loads(text)
        texts = [column in {"state", "first"} for column in TABLES[table]]
        sound = [isinstance(value, str) for value in values] == texts
        sound = sound and all(isinstance(value, (str, int, float)) for value in values)
    except (ValueError, TypeError, KeyError):
        return None
    return Change(table, str(key), tuple(values)) if sound else None


def _client(url: str, timeout: float, password: Secret | None) -> Redis:
    try:
        import redis  # noqa: PLC0415 - an extra
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "store_url: Redis needs redis-py; install jupyter-session-user[redis]"
        ) from None
    try:
        return redis.Redis.from_url(
            url,  # what it says counts more than the arguments
            password=None if password is None else password.reveal(),
            decode_responses=True,
            socket_timeout=timeout,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # our two threads try again, and say so
            client_name="jupyter-session-user",
        )
    except (ValueError, TypeError):
        raise ConfigurationError(
            "store_url: this is no URL of a Redis server; write 'redis://HOST:6379/0', or "
            "'rediss://' for TLS"
        ) from None


@contextlib.contextmanager
def _as_journal_error() -> Iterator[None]:
    """Name an error without its text, which may hold parts of a reply.

    Raises:
        JournalError: The block fails.
    """
    import redis  # noqa: PLC0415 - an extra

    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise JournalError(type(error).__name__) from None


def _by_number(change: Change) -> Any:
    """Sort renewals by age."""
    return change.values[1] if change.table == "renewal" else 0
