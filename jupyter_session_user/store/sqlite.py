"""A journal of ended logins in a SQLite file, for the servers of one machine.

The changes survive a restart and a killed server: WAL (https://www.sqlite.org/wal.html) with
``synchronous = FULL`` keeps committed changes even if the machine loses power. The salt of the
hashes is in the same file. Cookies that a server has signed are stored as SHA-256 hashes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.store.journal import TABLES, Change, JournalError

__all__ = ["SqliteJournal"]

#: ``PRAGMA application_id``: "jsu1" in ASCII. https://www.sqlite.org/pragma.html
_APPLICATION_ID = 0x6A737531
_SCHEMA_VERSION = 3
_SCHEMA = f"""
CREATE TABLE salt (value BLOB NOT NULL);
CREATE TABLE counter (value INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE ended (id TEXT PRIMARY KEY, state TEXT NOT NULL, since REAL NOT NULL,
                    until REAL NOT NULL, change INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE not_before (id TEXT PRIMARY KEY, seconds INTEGER NOT NULL,
                         until REAL NOT NULL, change INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE renewal (id TEXT PRIMARY KEY, first TEXT NOT NULL, number INTEGER NOT NULL,
                      until REAL NOT NULL, change INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX ended_change ON ended (change);
CREATE INDEX not_before_change ON not_before (change);
CREATE INDEX renewal_change ON renewal (change);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_SCHEMA_VERSION};
"""  # noqa: S608 - the names are ours, here and below
_PUT = {
    table: f"INSERT OR REPLACE INTO {table} VALUES (?, {'?, ' * len(columns)}?)"  # noqa: S608
    for table, columns in TABLES.items()
}
# A server that has not read a revocation yet may find that the login has expired, or accept it.
_PUT["ended"] = """
INSERT INTO ended VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
SET state = excluded.state, since = excluded.since, until = excluded.until, change = excluded.change
WHERE NOT (state = 'revoked' AND excluded.state <> 'revoked' AND until > excluded.since)
"""
_SINCE = {
    table: f"SELECT id, {', '.join(columns)} FROM {table} WHERE change > ?"  # noqa: S608
    for table, columns in TABLES.items()
}
_SINCE["renewal"] += " ORDER BY number"
_FORGET = [f"DELETE FROM {table} WHERE until <= ?" for table in TABLES]  # noqa: S608

_BUSY_S = 5.0  # another server of this user may be writing
_POLL_S = 0.25
_SALT_BYTES = 16
_FILE_MODE = 0o600


class SqliteJournal:
    """Implements ``Journal`` with a file.

    Args:
        path: The file. It is created if it is missing; its folder is not.

    Raises:
        ConfigurationError: The file is damaged, from a later release, or not writable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _with_advice(path):
            _make(path)
            self._connection = _connect(path)
            try:
                (self.salt,) = self._connection.execute("SELECT value FROM salt").fetchone()
                self._rows, self._seen = _changes(self._connection, 0)
            except BaseException:  # also on Ctrl-C: another server may wait for the file
                self._connection.close()
                raise

    def load(self) -> list[Change]:
        """Return all rows."""
        rows, self._rows = self._rows, []
        return rows

    def commit(self, changes: Collection[Change], forget: float | None) -> None:
        """Save changes in one transaction.

        Raises:
            JournalError: They cannot be saved now.
        """
        execute = self._connection.execute
        try:
            with self._connection:
                execute("BEGIN IMMEDIATE")
                execute("UPDATE counter SET value = value + 1")
                (number,) = execute("SELECT value FROM counter").fetchone()
                for table, key, values in changes:
                    execute(_PUT[table], (key, *values, number))
                for statement in _FORGET if forget is not None else ():
                    execute(statement, (forget,))
        except sqlite3.Error as error:
            raise JournalError(type(error).__name__) from None

    def follow(
        self,
        received: Callable[[Collection[Change]], None],
        resync: Callable[[Collection[Change]], None],  # noqa: ARG002 - a file loses nothing
        stop: threading.Event,
    ) -> None:
        """Pass on changes; https://www.sqlite.org/pragma.html#pragma_data_version tells of them."""
        uri = f"{self._path.absolute().as_uri()}?mode=rw"  # never makes an empty file
        with contextlib.closing(sqlite3.connect(uri, timeout=_BUSY_S, uri=True)) as connection:
            version = None
            while not stop.wait(_POLL_S):
                # A file that is locked or damaged is the writing thread's to report.
                with contextlib.suppress(sqlite3.Error):
                    (now,) = connection.execute("PRAGMA data_version").fetchone()
                    if now != version:
                        changes, self._seen = _changes(connection, self._seen)
                        version = now
                        if changes:
                            received(changes)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _changes(connection: sqlite3.Connection, after: int) -> tuple[list[Change], int]:
    """Return the rows that changed after a change's number, and the last one's number."""
    rows = []
    connection.execute("BEGIN")
    try:
        for table, statement in _SINCE.items():
            for key, *values in connection.execute(statement, (after,)):
                rows.append(Change(table, key, tuple(values)))
        (number,) = connection.execute("SELECT value FROM counter").fetchone()
    finally:
        connection.execute("COMMIT")
    return rows, number


@contextlib.contextmanager
def _with_advice(path: Path) -> Iterator[None]:
    """Turn a failure into an error that says how to fix it.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"store_url: {path} holds the list of ended logins, and cannot be used ({why}). "
            "Restore it, or make it writable. To forget the ended logins, move it "
            "away with the files that begin with its name; or set store_url to 'memory:', "
            "which forgets at each restart"
        ) from None


def _make(path: Path) -> None:
    """Create the file if it is missing.

    It is created atomically, so an empty file means damage.
    """
    if not path.exists():
        if path.with_name(f"{path.name}-wal").exists():
            raise ValueError("it is missing, and a part of it is there")
        draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.new")
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))
        try:
            with contextlib.closing(sqlite3.connect(draft)) as connection:
                connection.executescript(_SCHEMA)
                salt = secrets.token_bytes(_SALT_BYTES)
                connection.execute("INSERT INTO salt VALUES (?)", (salt,))
                connection.commit()
            with contextlib.suppress(FileExistsError):  # another server was faster
                os.link(draft, path)
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        path.chmod(_FILE_MODE)
    if path.stat().st_size == 0:
        raise ValueError("it is empty")


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file, check that it is valid and writable, and remove out-of-date entries."""
    # The writing thread takes over the connection.
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        _check(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _FORGET:
                connection.execute(statement, (time.time(),))
    except BaseException:  # also on Ctrl-C: another server may wait for the file
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID:
        raise ValueError("it is not a file of jupyter-session-user")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != _SCHEMA_VERSION:
        raise ValueError(f"it has version {version}, and this release reads {_SCHEMA_VERSION}")
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise ValueError("it is damaged")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ValueError(f"its disk allows no WAL, only {mode}; choose a local disk")
