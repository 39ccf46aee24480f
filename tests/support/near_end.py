"""A ``session_resolver`` for the tests: alice's logins end soon, other logins never."""

from __future__ import annotations

import time
from typing import Any

_END = time.time() + 280


def soon(handler: Any, user: Any) -> float | None:
    """Return when the login ends, in seconds since the epoch."""
    return _END if user.username == "alice" else None
