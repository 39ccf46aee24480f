"""Kernels behind Kernel Gateway and Enterprise Gateway: is every user right, and how fast is it?

    python benchmarks/gateways.py [--people 16] [--rounds 20] [--gateway kernel_gateway]

All people share one kernel behind a real gateway, each with a login and a websocket of their own.
``identity`` counts cells, and callbacks on a comm; every third message has a forged stamp.
``first_get_cookies_ms`` is each user's first call. ``alone_ms`` is the time until a request fails
after the last client has left. ``sign_out_ms`` is the time from the start of a sign-out until a
thread of that user knows. Then the gateway is killed, and started again at the same address:
``killed`` counts what is answered meanwhile and afterwards, and ``recovered_ms`` is the time from
the gateway's new start to the first cell on a new kernel. Prints JSON; the status is 1 if one user
was another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from typing import Any
from urllib.parse import urlsplit

import _paths  # noqa: F401 - for what comes from the tests
from local_server import LocalServer
from people import KernelSocket, Person
from real_gateways import GATEWAYS, gateway, missing
from servers import EXTENSION, ROOT, opened, own_server
from support import HERE, percentiles, report

KEY = EXTENSION
FORGED = {KEY: {"version": 1, "session_id": "x", "user": {"username": "mallory"}, "source": "me"}}
WHO = "from jupyter_session_user import *; print(get_current_user().username)"
SETUP = """
import json, threading, time
from comm import get_comm_manager
from jupyter_session_user import *
from jupyter_session_user.kernel.ipykernel import helper
learned, failed = {}, []
def on_open(comm, message):
    @comm.on_msg
    def answer(message): comm.send({"user": get_current_user().username})
get_comm_manager().register_target("who", on_open)
def follow():
    session = get_session()
    while session.state == "active": time.sleep(.005)
    learned[session.user.username] = [session.state, time.time()]
def ask_alone():
    session = get_session()
    time.sleep(2)
    for _ in range(20):
        begun = time.perf_counter()
        try: helper().comm.ask("refresh", session.id)
        except RequestTimeout as error:
            failed.append([1000 * (time.perf_counter() - begun), "last client" in str(error)])
def thread(function): threading.Thread(target=bind_current_user(function), daemon=True).start()
"""
COOKIES = """
begun = time.perf_counter(); cookies = get_cookies()
print(json.dumps([1000 * (time.perf_counter() - begun), cookies.get("locale")]))
"""
DEAD_S = 3.0  # how long cells are tried while the gateway is dead
PATIENCE_S = 60.0

Users = dict[str, tuple[Person, KernelSocket]]


async def _cell(socket: KernelSocket, name: str, *, forged: bool, **options: Any) -> str:
    result = await socket.execute(WHO, FORGED if forged else None, **options)
    text = result.text.strip()
    return "right" if text == name else "wrong" if text else "unavailable"


async def _click(socket: KernelSocket, name: str, *, forged: bool) -> str:
    content = {"comm_id": "c1", "data": {}}
    click = socket.message("comm_msg", content, FORGED if forged else None)
    await socket.send(click)
    while True:
        answer = await socket.receive(click["header"]["msg_id"])
        if answer["header"]["msg_type"] == "comm_msg":
            return "right" if answer["content"]["data"] == {"user": name} else "wrong"
        if answer["content"].get("execution_state") == "idle":
            return "unavailable"


async def _identity(users: Users, rounds: int) -> dict[str, int]:
    """Return how many cells and callbacks of all users were right, or not."""
    seen: Counter[str] = Counter()

    async def run(number: int, name: str, socket: KernelSocket) -> None:
        for turn in range(rounds):
            forged = (number + turn) % 3 == 0
            seen["cells " + await _cell(socket, name, forged=forged)] += 1
            seen["callbacks " + await _click(socket, name, forged=forged)] += 1

    first = next(iter(users.values()))[1]
    await first.execute(SETUP)
    await first.send(first.message("comm_open", {"comm_id": "c1", "target_name": "who"}))
    await asyncio.gather(*(run(i, n, s) for i, (n, (_, s)) in enumerate(users.items())))
    kinds = [f"{what} {how}" for what in ("cells", "callbacks") for how in ("right", "wrong")]
    return dict.fromkeys(kinds, 0) | dict(seen)


async def _first_cookies(users: Users) -> list[float]:
    """Return the duration of each user's first ``get_cookies``."""
    times = []
    for name, (_, socket) in users.items():
        duration, locale = json.loads((await socket.execute(COOKIES)).text)
        if locale != name:
            raise SystemExit(f"{name} got the cookie of {locale}")
        times.append(duration)
    return times


async def _sign_outs(users: Users) -> list[float]:
    """Sign all users out but the last; return when their threads knew it."""
    *leaving, (_, watch) = users.values()
    times = []
    for name, (person, socket) in list(users.items())[: len(leaving)]:
        await socket.execute("thread(follow)")
        begun = time.time()
        await person.fetch("logout")
        while True:
            learned = json.loads((await watch.execute("print(json.dumps(learned))")).text)
            if name in learned:
                break
            if time.time() - begun > PATIENCE_S:
                raise TimeoutError
        state, moment = learned[name]
        if state != "signed_out" or len(learned) != len(times) + 1:
            raise SystemExit(f"{name} is {state}; known: {sorted(learned)}")
        times.append(1000 * (moment - begun))
    return times


async def _alone(person: Person, kernel_id: str) -> dict[str, object]:
    """Return how long requests take to fail without a client, and if the reason was right."""
    async with opened(person, kernel_id) as socket:
        await socket.execute("failed.clear(); thread(ask_alone)")
    await asyncio.sleep(2 + 20 * 0.1 + 1)
    async with opened(person, kernel_id) as socket:
        failed = json.loads((await socket.execute("print(json.dumps(failed))")).text)
    return {**percentiles([ms for ms, _ in failed]), "true": all(true for _, true in failed)}


async def _in_vain(person: Person, name: str, kernel_id: str) -> str:
    """Run a cell while there is no gateway."""
    try:
        async with opened(person, kernel_id) as socket:
            return await _cell(socket, name, forged=True, timeout=DEAD_S)
    except Exception as error:  # noqa: BLE001 - any error is right here
        return f"error ({type(error).__name__})"


async def _recovered(person: Person, name: str, forged: int) -> str:
    """Run a cell on a new kernel as soon as there is one."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            kernel_id = await person.start_kernel()
        except RuntimeError:  # 503
            await asyncio.sleep(0.05)
            continue
        async with opened(person, kernel_id) as socket:
            return await _cell(socket, name, forged=bool(forged))
    raise TimeoutError


async def _killed(
    kind: str, running: LocalServer, people: dict[str, Person], kernel_id: str
) -> Any:
    """Kill the gateway and start it again; return what the users saw."""
    port = urlsplit(running.url).port
    running.process.kill()
    running.process.wait()
    meanwhile = Counter(
        await asyncio.gather(*(_in_vain(person, n, kernel_id) for n, person in people.items()))
    )
    with gateway(kind, port=port):
        begun = time.perf_counter()
        first, *others = people.items()
        outcomes = [await _recovered(first[1], first[0], forged=1)]
        recovered = 1000 * (time.perf_counter() - begun)
        outcomes += [await _recovered(p, n, i % 2) for i, (n, p) in enumerate(others[:3])]
        found = {"meanwhile": dict(meanwhile), "afterwards": dict(Counter(outcomes))}
    return {**found, "recovered_ms": round(recovered)}


async def _log_in(server: LocalServer, number: int) -> dict[str, Person]:
    people = {f"person{each:02}": Person(server.url) for each in range(number)}
    for name, person in people.items():
        await person.log_in(name, name)
        person.cookies["locale"] = name
    return people


async def measure(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one gateway."""
    with ExitStack() as stack:
        running = stack.enter_context(gateway(kind))
        server = stack.enter_context(
            own_server(
                "--ServerApp.identity_provider_class=support.NamedLogin",
                "--NamedLogin.demo=True",
                f"--GatewayClient.url={running.url}",
                "--JupyterSessionUser.share_cookies=locale",
                env={"PYTHONPATH": f"{HERE}:{ROOT}"},
            )
        )
        people = await _log_in(server, options.people)
        last = list(people)[-1]
        kernel_id = await people[last].start_kernel()
        found: dict[str, Any] = {}
        async with AsyncExitStack() as sockets:
            users = {
                name: (person, await sockets.enter_async_context(opened(person, kernel_id)))
                for name, person in people.items()
            }
            found["identity"] = await _identity(users, options.rounds)
            found["first_get_cookies_ms"] = percentiles(await _first_cookies(users))
            found["sign_out_ms"] = percentiles(await _sign_outs(users))
        found["alone_ms"] = await _alone(people[last], kernel_id)
        people = await _log_in(server, options.people)
        found["killed"] = await _killed(kind, running, people, kernel_id)
    return found


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--gateway", choices=GATEWAYS, action="append")
    options = parser.parse_args()
    found: dict[str, Any] = {"people": options.people}
    for kind in options.gateway or GATEWAYS:
        reason = missing(kind)
        found[kind] = {"skipped": reason} if reason else asyncio.run(measure(kind, options))
    found["goals"] = {
        "wrong": 0,
        "first_get_cookies_ms": 50,
        "alone_ms": 100,
        "sign_out_ms": 1000,
    }
    report(found)
    raise SystemExit(int(any(_wrong(found.get(kind)) for kind in GATEWAYS)))


def _wrong(found: Any) -> int:
    """Return how often one user was another, anywhere in the figures."""
    if not isinstance(found, dict):
        return 0
    here = sum(count for name, count in found.items() if name.split()[-1] == "wrong")
    return int(here) + sum(_wrong(inner) for inner in found.values())


if __name__ == "__main__":
    main()
