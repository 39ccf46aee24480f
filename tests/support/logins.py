"""Sessions as a server would send them to a kernel, and clocks for their ends."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


def login_of(username: str, **fields: Any) -> Session:
    """Return the session of a user with these fields."""
    given = {"id": f"session-of-{username}", "source": "test", "verified": True, **fields}
    given.setdefault("principal", f"person-{username}")
    return Session(user=User(username), **given)


def ending(
    username: str = "alice", seconds: float = 60, source: str = "jwt", **fields: Any
) -> Session:
    """Return a session that ends some seconds after ``EPOCH``."""
    expires_at = EPOCH + timedelta(seconds=seconds)
    return login_of(username, expires_at=expires_at, expiry_source=source, **fields)


class Clocks:
    """Two clocks that replace the module ``time``, stopped at ``EPOCH``."""

    def __init__(self) -> None:
        self.wall = EPOCH.timestamp()
        self.mono = 1000.0

    def time(self) -> float:
        """Return the time of the wall clock."""
        return self.wall

    def monotonic(self) -> float:
        """Return the time of the monotonic clock."""
        return self.mono

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.mono += seconds
