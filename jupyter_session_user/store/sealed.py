"""Encrypted values by name, in a SQLite file or in memory. What is in them is not known here."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from jupyter_session_user.errors import ConfigurationError

__all__ = ["SealedRows"]

_BUSY_S = 2.0
_FILE_MODE = 0o600
_TABLE = """
CREATE TABLE IF NOT EXISTS sealed (id TEXT PRIMARY KEY, value BLOB NOT NULL, until REAL NOT NULL)
WITHOUT ROWID
"""


class SealedRows:
    """Values that are encrypted already; calls may come from any thread.

    Args:
        path: The file; None for memory alone.

    Raises:
        ConfigurationError: The file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, _FILE_MODE))
                path.chmod(_FILE_MODE)
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                # Overwrites what is removed: https://www.sqlite.org/pragma.html#pragma_secure_delete
                self._connection.execute("PRAGMA secure_delete = ON")
                self._connection.execute(_TABLE)
            except sqlite3.Error:
                self._connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"login_token_key_file: {path} holds the encrypted tokens of logins, and cannot be "
                f"used ({type(error).__name__}); remove it, and users log in again"
            ) from None

    def get(self, name: str, now: float) -> bytes | None:
        """Return a value; None if there is none, or if its time has passed.

        Args:
            name: Its name.
            now: The time, in seconds since the epoch.
        """
        query = "SELECT value FROM sealed WHERE id = ? AND until > ?"
        with self._lock:
            row = self._connection.execute(query, (name, now)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, name: str, value: bytes, until: float) -> None:
        """Add a value, or replace the one of this name.

        Args:
            name: Its name.
            value: The encrypted value.
            until: When it is removed, in seconds since the epoch.
        """
        with self._lock:
            self._connection.execute(
                "INSERT OR REPLACE INTO sealed VALUES (?, ?, ?)", (name, value, until)
            )

    def remove(self, name: str) -> None:
        """Remove a value; harmless if there is none."""
        with self._lock:
            self._connection.execute("DELETE FROM sealed WHERE id = ?", (name,))

    def forget(self, now: float) -> None:
        """Remove the values whose time has passed, in seconds since the epoch."""
        with self._lock:
            self._connection.execute("DELETE FROM sealed WHERE until <= ?", (now,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
