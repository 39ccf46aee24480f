"""Item 3: bob answers a prompt that is meant for alice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from people import LEGACY, V1, KernelSocket

from attack_cases.stage import ARRIVED_S, BrokenAttackError, Row, Shared, Stage, run, shared

#: Bob's line: it records the user that it runs as.
LINE = "proof.append(who())"
_FAILS = "def fails():\n    return 1 / 0\nfails()"
#: Alice's code with a prompt, and her answer.
PROMPTS = {
    "input()": ("proof.append(exec(input('? ')) or 'ran')", "None"),
    "pdb": ("import pdb; pdb.set_trace()\nx = 1", "c"),
    "%debug": ("%debug", "q"),
}


async def prompts(stage: Stage) -> AsyncIterator[Row]:
    """Bob sends an ``input_reply`` while alice is asked."""
    for prompt in PROMPTS:
        for name, protocol in (("v1", V1), ("legacy", LEGACY)):
            async with shared(stage, protocol) as both:
                seen = await _answered(both, prompt, "input_reply")
                yield _row(f"input_reply of another user, {prompt}, {name}", seen)
    async with shared(stage) as both:
        seen = await _answered(both, "input()", "execute_request")
        yield _row("another message type on the stdin channel", seen)
    async with shared(stage) as both:
        seen = await _answered(both, "input()", "input_reply", await _interrupted(both))
        yield _row("late input_reply to his own interrupted input()", seen)
    async with shared(stage) as both:
        seen = await _answered_with_her_session(both)
        yield _row("input_reply with her session id and msg_id in the header", seen)
    async with shared(stage) as both:
        yield _row("input_reply by nbmodel's POST input", await _answered_by_http(both))


def _row(attack: str, seen: list[str]) -> Row:
    told = ", ".join(seen) or "nothing of bob's ran"
    return Row(3, attack, not seen, f"bob's line ran as: {told}" if seen else told)


def reply(socket: KernelSocket, value: str, parent: Any = None, kind: str = "input_reply") -> Any:
    """Return a message for the stdin channel."""
    message = socket.message(kind, {"value": value, "status": "ok"})
    return {**message, "parent_header": parent or {}}


async def ask(socket: KernelSocket, code: str) -> tuple[str, Any]:
    """Run a cell that asks; return its request's id and the question."""
    content = {"code": code, "silent": False, "allow_stdin": True, "stop_on_error": False}
    cell = await socket.send(socket.message("execute_request", content))
    return cell, await asked(socket, cell)


async def asked(socket: KernelSocket, cell: str) -> Any:
    """Return the next question of a cell.

    Raises:
        BrokenAttackError: It ended without one.
    """
    while (message := await socket.receive(cell))["header"]["msg_type"] != "input_request":
        if message["header"]["msg_type"] == "execute_reply":
            raise BrokenAttackError("the cell asked nothing")
    return message


async def _answered(both: Shared, prompt: str, kind: str, parent: Any = None) -> list[str]:
    """Let bob answer alice's prompt, then alice; return the user that bob's line ran as."""
    code, own = PROMPTS[prompt]
    if prompt == "%debug":
        await both.hers.execute(_FAILS)
    cell, question = await ask(both.hers, code)
    await both.his.send(reply(both.his, LINE, parent, kind), "stdin")
    await _ended(both.hers, cell, question, own)
    return await _proof(both)


async def _ended(hers: KernelSocket, cell: str, question: Any, own: str) -> None:
    """Wait whether bob's answer counts; then let alice answer until her cell ends."""
    waiting = asyncio.create_task(_next(hers, cell))
    await asyncio.wait({waiting}, timeout=ARRIVED_S)
    if not waiting.done():
        await hers.send(reply(hers, own, question["header"]), "stdin")
    while (message := await waiting)["header"]["msg_type"] != "execute_reply":
        await hers.send(reply(hers, own, message["header"]), "stdin")
        waiting = asyncio.create_task(_next(hers, cell))


async def _next(socket: KernelSocket, cell: str) -> Any:
    kinds = {"input_request", "execute_reply"}
    while (message := await socket.receive(cell))["header"]["msg_type"] not in kinds:
        pass
    return message


async def _proof(both: Shared) -> list[str]:
    """Return the user that bob's line ran as, for each time that it ran."""
    noted = await run(both.hers, "print(' '.join(name for name in proof if name != 'ran'))")
    return noted.split()


async def _interrupted(both: Shared) -> Any:
    """Let bob be asked, interrupt it, and return the header of the question."""
    cell, question = await ask(both.his, "input('? ')")
    await both.bob.fetch(f"api/kernels/{both.kernel}/interrupt", method="POST", body={})
    while (await both.his.receive(cell))["header"]["msg_type"] != "execute_reply":
        pass
    return question["header"]


async def _answered_with_her_session(both: Shared) -> list[str]:
    """Let bob write alice's ids into his header: the kernel publishes them, and he reads iopub."""
    cell, question = await ask(both.hers, PROMPTS["input()"][0])
    forged = reply(both.his, LINE, question["header"])
    forged["header"] = {**forged["header"], "session": both.hers.session, "username": "alice"}
    await both.his.send(forged, "stdin")
    await _ended(both.hers, cell, question, "None")
    return await _proof(both)


async def _answered_by_http(both: Shared) -> list[str]:
    """Let alice's cell be queued by HTTP; bob posts the answer."""
    path, body = f"api/kernels/{both.kernel}/", {"code": PROMPTS["input()"][0]}
    queued = await both.alice.json(path + "execute", method="POST", body=body)
    where = queued["request_url"].lstrip("/")
    await _pending(both, where)
    await both.bob.fetch(path + "input", method="POST", body={"input": LINE})
    if not await _is_over(both, where):
        await both.alice.fetch(path + "input", method="POST", body={"input": "None"})
        if not await _is_over(both, where):
            raise BrokenAttackError("alice's own answer does not end her cell")
    return await _proof(both)


async def _pending(both: Shared, where: str) -> None:
    for _ in range(200):
        if b"prompt" in (await both.alice.fetch(where)).body:
            return
        await asyncio.sleep(0.05)
    raise BrokenAttackError("nbmodel tells nothing of the question")


async def _is_over(both: Shared, where: str) -> bool:
    for _ in range(int(ARRIVED_S / 0.05)):
        if (await both.alice.fetch(where)).code not in {202, 300}:
            return True
        await asyncio.sleep(0.05)
    return False
