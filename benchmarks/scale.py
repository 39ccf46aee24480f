"""What many logins cost a server that knows them.

    python benchmarks/scale.py

With 10, 10,000 and 100,000 known logins: a look for timeouts (``tick``) with nobody due, a new
login, the check of each message to a kernel, and the memory of one login with a session. Nothing
is connected. Times are the minimum of several rounds, in µs; ``ratio`` compares with 10 logins of
the same run. Prints JSON.
"""

from __future__ import annotations

import argparse
import logging
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from support import report

from jupyter_session_user.core.lifecycle import Limits, Moment
from jupyter_session_user.core.login import Login
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.server.auth.ended_logins import EndedLogins
from jupyter_session_user.server.auth.known_login import new_session_id
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.memory import MemoryStore

SIZES = (10, 10_000, 100_000)
ROUNDS = 7


def now() -> Moment:
    """Return the time."""
    return Moment(time.time(), time.monotonic())


def login(number: int) -> Login:
    """Return one user's login."""
    name = f"user-{number}"
    return Login(f"{number:064x}", f"user:{name}", User(username=name), True, credential="cookie")


def remember(store: MemoryStore, shown: Login) -> None:
    """Put a session of a login into the store, as its first message to a kernel does."""
    session = Session(
        id=new_session_id(),
        user=shown.user,
        verified=True,
        source="jupyter_server",
        kernel_id=f"kernel-{shown.principal}",
        authenticated_at=datetime.now(timezone.utc),
    )
    store.put(Record(session, shown.key, shown.principal, session_stamp(session)))


def best(function: Callable[[], Any], calls: int) -> float:
    """Return the µs of one call: the minimum of several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return min(rounds)


def measure(size: int) -> dict[str, float]:
    """Return the costs with that many known logins."""
    limits = Limits(idle=3_600.0, absolute=86_400.0)
    ended = EndedLogins(MemoryEnded(), now)
    store = MemoryStore(10**6)
    tracemalloc.start()
    logins = Logins(store, ended, now, limits, logging.getLogger("scale"), limit=size)
    for number in range(size):
        shown = login(number)
        logins.saw(shown)
        remember(store, shown)
    memory = tracemalloc.get_traced_memory()[0] / size
    tracemalloc.stop()
    numbers = iter(range(size, 10**9))
    key = login(size - 1).key
    over = best(lambda: logins.over(key), 2_000)
    tick = best(logins.tick, 200)
    return {
        "tick_us": tick,
        "message_us": over,
        "new_login_us": best(lambda: logins.saw(login(next(numbers))), 300),
        "bytes_per_login": memory,
    }


def main() -> None:
    """Measure, and print the result."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    results = {str(size): measure(size) for size in SIZES}
    few = results[str(SIZES[0])]
    ratios = {
        size: {name: round(value / few[name], 2) for name, value in result.items()}
        for size, result in results.items()
    }
    report({"logins": results, "ratio": ratios})


if __name__ == "__main__":
    main()
