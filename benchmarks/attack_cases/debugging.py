"""Item 4: bob's debugger evaluates in alice's frame."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from people import KernelSocket

from attack_cases.stage import BrokenAttackError, Row, Shared, Stage, run, shared, until

CELL = "def probe():\n    seen = 1\n    return seen\nprobe()"
_LINE = 2


class Debugger:
    """A client of the kernel's debugger, over a websocket.

    Args:
        socket: The websocket that sends the requests.
    """

    def __init__(self, socket: KernelSocket) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Return the body of the answer; of a refusal, its ``message``."""
        content = {"type": "request", "command": command, "seq": next(self._numbers)}
        message = self._socket.message("debug_request", {**content, "arguments": arguments})
        sent = await self._socket.send(message, "control")
        while (answer := await self._socket.receive(sent))["channel"] != "control":
            pass
        body: dict[str, Any] = answer["content"].get("body") or answer["content"]
        return body

    async def attach(self, code: str, **breakpoint_: Any) -> None:
        """Attach, and set a breakpoint in a cell that will be run."""
        await self.ask("initialize", clientID="attack", adapterID="", linesStartAt1=True)
        await self.ask("attach")
        path = (await self.ask("dumpCell", code=code)).get("sourcePath")
        if path is None:
            raise BrokenAttackError("the kernel has no debugger")
        line = {"line": _LINE, **breakpoint_}
        await self.ask("setBreakpoints", source={"path": path}, breakpoints=[line])
        await self.ask("configurationDone")

    async def stopped(self) -> tuple[int, int]:
        """Return the ids of the thread and of the frame at which alice's cell stands."""
        event = await until(lambda: self._event("stopped"))
        if event is None:
            raise BrokenAttackError("her cell did not stop")
        thread = event["body"]["threadId"]
        frames = (await self.ask("stackTrace", threadId=thread))["stackFrames"]
        return thread, frames[0]["id"]

    def _event(self, name: str) -> Any:
        for message in self._socket.everything:
            if message["content"].get("event") == name:
                return message["content"]
        return None


async def _evaluate(debugger: Debugger, frame: int) -> str:
    return str(await debugger.ask("evaluate", expression=NOTE, frameId=frame, context="repl"))


async def _hover(debugger: Debugger, frame: int) -> str:
    return str(await debugger.ask("evaluate", expression=NOTE, frameId=frame, context="hover"))


async def _statement(debugger: Debugger, frame: int) -> str:
    statement = f"exec({NOTE!r})"
    return str(await debugger.ask("evaluate", expression=statement, frameId=frame, context="repl"))


async def _assign(debugger: Debugger, frame: int) -> str:
    scope = (await debugger.ask("scopes", frameId=frame))["scopes"][0]["variablesReference"]
    answer = await debugger.ask(
        "setVariable", variablesReference=scope, name="seen", value=NOTE, frameId=frame
    )
    return str(answer)


async def _inspect(debugger: Debugger, frame: int) -> str:
    return str(await debugger.ask("richInspectVariables", variableName="spy", frameId=frame))


NOTE = "proof.append(who())"
_SPY = f"""
class Spy:
    def __repr__(self):
        {NOTE}
        return "spy"
builtins.spy = spy = Spy()
"""
#: Bob's actions while alice's cell is stopped at his breakpoint.
IN_FRAME: dict[str, Callable[[Debugger, int], Awaitable[str]]] = {
    "evaluate (repl)": _evaluate,
    "evaluate (hover)": _hover,
    "evaluate, a statement": _statement,
    "setVariable": _assign,
    "richInspectVariables, a __repr__ of bob's": _inspect,
}
#: Code that runs when alice's cell reaches it.
ON_ITS_WAY = {
    "conditional breakpoint": {"condition": f"{NOTE} or False"},
    "logpoint": {"logMessage": f"{{{NOTE}}}"},
}


async def debugger(stage: Stage) -> AsyncIterator[Row]:
    """Bob attaches to alice's kernel, and has his code run in her frame."""
    async with shared(stage) as both:
        await run(both.his, _SPY)
        bobs = Debugger(both.his)
        await bobs.attach(CELL)
        cell = await _begin(both)
        thread, frame = await bobs.stopped()
        for name, attack in IN_FRAME.items():
            before = await _noted(bobs, frame)
            answer = await attack(bobs, frame)
            yield _row(name, (await _noted(bobs, frame))[len(before) :], answer)
        await bobs.ask("continue", threadId=thread)
        await both.hers.finish(cell)
        await bobs.ask("disconnect", restart=False, terminateDebuggee=False)
    for name, options in ON_ITS_WAY.items():
        async with shared(stage) as both:
            bobs = Debugger(both.his)
            await bobs.attach(CELL, **options)
            await both.hers.finish(await _begin(both))
            await bobs.ask("disconnect", restart=False, terminateDebuggee=False)
            noted = await run(both.hers, "print(*proof, sep=',')")
            yield _row(name, [one for one in noted.split(",") if one], "nothing was noted")


async def _begin(both: Shared) -> str:
    content = {"code": CELL, "silent": False, "allow_stdin": False}
    return await both.hers.send(both.hers.message("execute_request", content))


async def _noted(debugger_: Debugger, frame: int) -> list[str]:
    """Return the results of ``who()`` so far: evaluating this calls nothing of ours."""
    answer = await debugger_.ask("evaluate", expression="','.join(proof)", frameId=frame)
    return [one for one in str(answer.get("result", "")).strip("'").split(",") if one]


def _row(attack: str, noted: list[str], answer: str) -> Row:
    names = ", ".join(noted)
    detail = f"who() gave: {names}" if noted else f"refused: {answer[:120]}"
    return Row(4, attack, "alice" not in noted, detail)
