"""How long it takes until a user with an ended login is refused.

    python benchmarks/revocation.py [--quick] [--json FILE]

A user keeps sending cells over an open websocket, while one of that user's cells runs, and a second
user watches the kernel. Times are in ms, from the moment when the server can know (its answer to a
logout or revocation, the time that a ticket names, the removal at the provider) to the first
refusal. Prints JSON; ends with status 1 if any later request reached the kernel.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from jupyter_server.auth.identity import User
from local_server import LocalServer, local_server
from people import LEGACY, V1, KernelSocket, Person
from support import HERE, HeaderIdentity, report
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClosedError

from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

PASSWORDS = {"alice": "alice's password", "bob": "bob's password"}
_ONLY_US = "--ServerApp.jpserver_extensions={'jupyter_session_user': True}"
PASSWORD_SERVER = (
    _ONLY_US,
    f"--ServerApp.identity_provider_class={DemoIdentityProvider.__module__}.DemoIdentityProvider",
    "--DemoIdentityProvider.demo=True",
    f"--DemoIdentityProvider.passwords={PASSWORDS!r}",
    "--JupyterSessionUser.jwt_cookie=ticket",
    "--JupyterSessionUser.revalidate_interval=1",
)
HEADER_SERVER = (
    _ONLY_US,
    "--ServerApp.identity_provider_class=revocation.RemovableIdentity",
    "--ServerApp.disable_check_xsrf=True",
    "--JupyterSessionUser.jwt_header=X-Ticket",
    "--JupyterSessionUser.revalidate_interval=1",
)
#: Only the proxy knows of its logout, and lets no new connection through.
PROXY_SERVER = (*HEADER_SERVER, "--JupyterSessionUser.max_connection_age=2")

REVALIDATE_S, MAX_AGE_S = 1.0, 2.0
PAUSE_S = 0.005  # between two cells of the user that is refused
CERTAIN_S = 0.15  # how long cells are sent after the first refusal
PATIENCE_S = 15.0

SETUP = "arrived = set()"
#: A cell that runs until a file is there. It must end well, or the kernel drops all that wait.
RUNNING = "import os, time\nwhile not os.path.exists({!r}): time.sleep(.005)"


class RemovableIdentity(HeaderIdentity):
    """Believes the header, unless the file ``removed`` in the server's home names the person."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user that the header names."""
        user = super().get_user(handler)
        removed = Path.home() / "removed"
        if user is not None and removed.exists() and removed.read_text() == user.username:
            return None
        return user


@dataclass
class Course:
    """The outcome of the cells of one user.

    Attributes:
        sent: When each was sent, on the wall clock, by its number.
        refused: When each was refused.
        closed: When the websocket was closed.
    """

    sent: dict[int, float] = field(default_factory=dict)
    refused: dict[int, float] = field(default_factory=dict)
    closed: float | None = None

    @property
    def first(self) -> float | None:
        """Return when the first refusal came."""
        times = [*self.refused.values(), *([self.closed] if self.closed else [])]
        return min(times, default=None)


@dataclass
class Case:
    """One way in which a login gets over.

    Attributes:
        running: The server.
        enter: Makes a person in a browser of its own.
        throw_out: Ends the login of the first person, perhaps from the person's other browser;
            returns the moment from which it is over, on the wall clock.
        goal_ms: The limit for the 99th percentile.
        at_once: Whether the server can know at that very moment.
    """

    running: LocalServer
    enter: Callable[[LocalServer, str], Awaitable[Person]]
    throw_out: Callable[[Case, Person, Person], Awaitable[float]]
    goal_ms: float = 1_000
    at_once: bool = True

    @property
    def removed(self) -> Path:
        """The file that names the users removed at the provider."""
        return self.running.home / "removed"


@dataclass
class Scene:
    """All parties besides the user that is refused, to observe the effect.

    Attributes:
        bob: Another user, the owner of the kernel.
        kernel: The kernel.
        elsewhere: The person in another browser.
    """

    bob: Person
    kernel: str
    elsewhere: Person

    async def run(self, code: str) -> str:
        """Run a cell as the other user, and return its output."""
        socket = await self.bob.connect(self.kernel)  # a fresh one: some servers close old ones
        text = (await socket.execute(code)).text
        await socket.close()
        return text


# ---------------------------------------------------------------------------------- people


async def by_password(running: LocalServer, name: str) -> Person:
    """Return a user that has logged in with the form, with a cookie of that moment."""
    await asyncio.sleep(1.01 - time.time() % 1.0)  # signed cookies hold the second alone
    person = Person(running.url)
    await person.log_in(PASSWORDS[name], name)
    return person


async def by_header(running: LocalServer, name: str) -> Person:
    """Return a user that a proxy names, with a ticket for this login."""
    login = uuid.uuid4().hex
    return Person(running.url, {"X-User": name, "X-Ticket": ticket(login), "X-Login": login})


async def by_header_alone(running: LocalServer, name: str) -> Person:
    """Return a user that a proxy names, and nothing else."""
    return Person(running.url, {"X-User": name})


def ticket(login: str, end: float | None = None) -> str:
    """Return an unsigned JWT that names a login, and perhaps its end."""
    claims = {**({"sid": login} if login else {}), **({"exp": end} if end else {})}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


# ------------------------------------------------------------------------ how a login ends


async def log_out(_case: Case, person: Person, _: Person) -> float:
    """Go to the logout page; a program that kept the old cookie is no better off."""
    kept = dict(person.cookies)
    await person.fetch("logout")
    known = time.time()
    person.cookies = kept
    return known


async def revoke(_case: Case, person: Person, elsewhere: Person) -> float:
    """Revoke it in another browser of the same person."""
    mine = (await person.json("api/session-user/me"))["id"]
    answer = await elsewhere.fetch(f"api/session-user/sessions/{mine}", method="DELETE")
    if answer.code != HTTPStatus.NO_CONTENT:
        raise RuntimeError(f"not revoked: {answer.code}")
    return time.time()


async def run_out(_case: Case, person: Person, _: Person) -> float:
    """Have the ticket say an end soon, and wait for it."""
    end = time.time() + 0.3
    if "X-Login" in person.headers:
        person.headers["X-Ticket"] = ticket(person.headers["X-Login"], end)
    else:
        person.cookies["ticket"] = ticket("", end)
    await person.json("api/session-user/me")
    await asyncio.sleep(end - time.time())
    return end


async def remove(case: Case, person: Person, _: Person) -> float:
    """Remove the user at the provider."""
    case.removed.write_text(person.headers["X-User"])
    return time.time()


async def leave_proxy(_case: Case, person: Person, _: Person) -> float:
    """Log out at the proxy: it names the person no more, and the server hears nothing of it."""
    del person.headers["X-User"]
    return time.time()


# ------------------------------------------------------------------------------ measuring


async def send_cells(socket: KernelSocket, course: Course, stop: asyncio.Event) -> None:
    """Send a cell at intervals, without waiting for its result."""
    number = 0
    while not stop.is_set() and not socket.closed.is_set():
        number += 1
        content = {"code": f"arrived.add({number})", "silent": False, "store_history": False}
        message = socket.message("execute_request", content)
        message["header"]["msg_id"] = f"cell-{number}-{uuid.uuid4().hex}"
        course.sent[number] = time.time()
        try:
            await socket.send_frame(socket.frame(message))
        except WebSocketClosedError:
            return
        await asyncio.sleep(PAUSE_S)


async def watch(socket: KernelSocket, course: Course, stop: asyncio.Event) -> None:
    """Note when refusals come."""
    seen = 0
    while not stop.is_set():
        for message in socket.everything[seen:]:
            seen += 1
            if message["header"]["msg_type"] != "execute_reply":
                continue
            kind, _, rest = str(message["parent_header"].get("msg_id")).partition("-")
            if kind == "cell" and message["content"].get("ename", "").startswith("Session"):
                course.refused[int(rest.partition("-")[0])] = time.time()
        if socket.closed.is_set() and course.closed is None:
            course.closed = time.time()
        await asyncio.sleep(0.0005)


@asynccontextmanager
async def scene(case: Case) -> AsyncIterator[Scene]:
    """Start all parties for the block."""
    bob = await case.enter(case.running, "bob")
    kernel = await bob.start_kernel()
    yield Scene(bob, kernel, await case.enter(case.running, "alice"))
    await bob.fetch(f"api/kernels/{kernel}", method="DELETE")


async def one_round(case: Case, stage: Scene, protocol: str | None) -> tuple[float, int]:
    """End a user's login once; return ms to the refusal, and how much passed too late."""
    alice = await case.enter(case.running, "alice")
    await stage.run(SETUP)
    hers = await alice.connect(stage.kernel, protocol=protocol)
    flag = case.running.home / uuid.uuid4().hex
    content = {"code": RUNNING.format(str(flag)), "silent": False, "store_history": False}
    await hers.send(hers.message("execute_request", content))
    course, stop = Course(), asyncio.Event()
    tasks = [asyncio.create_task(f(hers, course, stop)) for f in (send_cells, watch)]
    await asyncio.sleep(0.2)
    over = await case.throw_out(case, alice, stage.elsewhere)
    await until_refused(course)
    stop.set()
    await asyncio.gather(*tasks)
    late = await comes_back(alice, stage.kernel)
    flag.touch()
    late += await too_late(course, over if case.at_once else course.first or over, stage)
    await hers.close()
    case.removed.unlink(missing_ok=True)
    return (math.inf if course.first is None else (course.first - over) * 1e3), late


async def until_refused(course: Course) -> None:
    """Wait for the first refusal, and a little longer."""
    deadline = time.monotonic() + PATIENCE_S
    while course.first is None and time.monotonic() < deadline:  # noqa: ASYNC110 - two causes
        await asyncio.sleep(0.001)
    await asyncio.sleep(CERTAIN_S)


async def comes_back(person: Person, kernel: str) -> bool:
    """Tell whether a new websocket opens with the present cookies and headers of that browser."""
    try:
        await (await person.connect(kernel)).close()
    except HTTPClientError:
        return False
    return True


async def too_late(course: Course, known: float, stage: Scene) -> int:
    """Return how many cells reached the kernel that were sent when the server knew."""
    arrived = {int(number) for number in (await stage.run("print(*arrived)")).split()}
    if not arrived:
        raise RuntimeError("no cell at all reached the kernel: this measures nothing")
    return sum(1 for number, at in course.sent.items() if at > known and number in arrived)


def percentiles(values: list[float]) -> dict[str, float]:
    """Return percentiles, in ms."""
    ordered = sorted(values)
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * rank))], 2)
        for name, rank in ranks.items()
    }


async def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Run one case in both formats."""
    result: dict[str, Any] = {}
    for name, protocol in (("v1", V1), ("legacy", LEGACY)):
        times, late = [], 0
        async with scene(case) as stage:
            for _ in range(rounds):
                took, missed = await one_round(case, stage, protocol)
                times.append(took)
                late += missed
        result[name] = {
            "ms": percentiles(times),
            "goal_p99_ms": case.goal_ms,
            "goal_met": percentiles(times)["p99"] <= case.goal_ms,
            "rounds": rounds,
            "reached_kernel_too_late": late,
        }
    return result


def cases(plain: LocalServer, header: LocalServer, proxy: LocalServer) -> dict[str, Case]:
    """Return all ways in which a login gets over."""
    known_in, aged_in = (REVALIDATE_S + 1) * 1e3, MAX_AGE_S * 1e3
    return {
        "password: logout": Case(plain, by_password, log_out),
        "password: revoked": Case(plain, by_password, revoke),
        "password: expiry": Case(plain, by_password, run_out),
        "header: logout": Case(header, by_header, log_out),
        "header: revoked": Case(header, by_header, revoke),
        "header: expiry": Case(header, by_header, run_out),
        "header: removed at the provider": Case(header, by_header, remove, known_in, False),
        "proxy: logout there": Case(proxy, by_header_alone, leave_proxy, aged_in, False),
    }


async def measure_all(ways: dict[str, Case], rounds: int) -> dict[str, Any]:
    """Run all cases, one after the other."""
    return {name: await measure(case, rounds) for name, case in ways.items()}


def verdict(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with its verdict."""
    parts = [part for case in result.values() for part in case.values()]
    return {
        "goals_met": all(part["goal_met"] for part in parts),
        "reached_kernel_too_late": sum(part["reached_kernel_too_late"] for part in parts),
        "cases": result,
    }


def main() -> None:
    """Measure everything, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    env = {"PYTHONPATH": f"{HERE}:{HERE.parent}"}
    with ExitStack() as stack:
        kinds = (PASSWORD_SERVER, HEADER_SERVER, PROXY_SERVER)
        servers = [stack.enter_context(local_server(*kind, env=env)) for kind in kinds]
        ways = cases(*servers)
        result = verdict(asyncio.run(measure_all(ways, 3 if options.quick else 20)))
    report(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    sys.exit(1 if result["reached_kernel_too_late"] else 0)


if __name__ == "__main__":
    main()
