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
from tornado.httputil import HTTPHeaders

from jupyter_session_user.core.lifecycle import Limits, Moment
from jupyter_session_user.core.login import Login
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.server.auth.ended_logins import EndedLogins
from jupyter_session_user.server.auth.known_login import new_session_id
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.server.auth.request_snapshot import RequestSnapshot
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.memory import MemoryStore

#: The headers of a request besides its cookies.
HEADERS = {
    "Host": "127.0.0.1:8888",
    "Connection": "keep-alive",
    "User-Agent": f"Mozilla/5.0 {'x' * 100}",
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9",
    "Referer": "http://127.0.0.1:8888/lab/tree/notebook.ipynb",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}
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


def snapshot(number: int) -> RequestSnapshot:
    """Return the latest request of a login, as Chromium sends one to JupyterLab."""
    headers = HTTPHeaders({name: f"{value}" for name, value in HEADERS.items()})
    headers["Cookie"] = f'_xsrf=2|{number:08x}|{"0" * 48}; username-host="2|{"0" * 180}"'
    return RequestSnapshot(f"/api/kernels?{number}", headers, "127.0.0.1", "http", "HTTP/1.1", None)


def measure(size: int, *, snapshots: bool = False) -> dict[str, float]:
    """Return the costs with that many known logins."""
    limits = Limits(idle=3_600.0, absolute=86_400.0)
    ended = EndedLogins(MemoryEnded(), now)
    store = MemoryStore(10**6)
    tracemalloc.start()
    logins = Logins(store, ended, now, limits, logging.getLogger("scale"), limit=size)
    for number in range(size):
        shown = login(number)
        logins.saw(shown, snapshot(number) if snapshots else None)
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
    with_snapshots = measure(SIZES[1], snapshots=True)["bytes_per_login"]
    ratios = {
        size: {name: round(value / few[name], 2) for name, value in result.items()}
        for size, result in results.items()
    }
    memory = {"bytes_per_login_with_request": with_snapshots, "goal_without": 2_048}
    report({"logins": results, "ratio": ratios, **memory})


if __name__ == "__main__":
    main()
