"""Sessions as a server would tell them to a kernel."""

from __future__ import annotations

from typing import Any

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User


def login_of(username: str, **fields: Any) -> Session:
    """Return the session of a person; ``fields`` are those that matter."""
    given = {"id": f"session-of-{username}", "source": "test", "verified": True, **fields}
    return Session(user=User(username), **given)
