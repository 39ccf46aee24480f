"""Code that a debugger evaluates has no user; stepping does not change the cell's user."""

from __future__ import annotations

import importlib.util
import itertools
from typing import Any

import pytest

CELL = "def probe():\n    first = who()\n    second = who()\n    return first, second\nprobe()"
WHO = """
import asyncio, threading
from jupyter_session_user import *
def who():
    try: return get_current_user().username
    except IdentityUnavailable as error: return error.reason
"""
LATE = """
import contextvars
late, loop, second = [], asyncio.get_running_loop(), asyncio.Event()
def note():
    late.append(who())
    if len(late) == 2: loop.call_soon_threadsafe(second.set)
def start_copied():
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(note,)).start()
"""
SPY = """
heard = []
class Spy:
    def __repr__(self):
        heard.append(who())
        return "spy"
spy = Spy()
"""


class Debugger:
    """A client of the kernel's debugger.

    Args:
        person: The user at the debugger.
    """

    def __init__(self, person: Any) -> None:
        self._person = person
        self._numbers = itertools.count(1)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Return the body of the answer."""
        content = {"type": "request", "command": command, "seq": next(self._numbers)}
        asked = self._person.send("debug_request", {**content, "arguments": arguments}, "control")
        answer = self._person.reply(asked, "control")
        body: dict[str, Any] = answer.get("body") or answer
        return body

    def attach(self, **breakpoint_: Any) -> None:
        """Attach, and set a breakpoint in the second line of :data:`CELL`."""
        self.ask("initialize", clientID="test", adapterID="", linesStartAt1=True)
        self.ask("attach")
        path = self.ask("dumpCell", code=CELL)["sourcePath"]
        self.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": 2, **breakpoint_}])
        self.ask("configurationDone")

    def stopped(self) -> tuple[int, int]:
        """Wait until the cell stops at the breakpoint; return its thread and its frame."""
        while True:
            message = self._person.client.get_iopub_msg(timeout=30)
            if message["content"].get("event") == "stopped":
                break
        thread = message["content"]["body"]["threadId"]
        return thread, self.ask("stackTrace", threadId=thread)["stackFrames"][0]["id"]

    def evaluate(self, expression: str, frame: int, context: str = "repl") -> str:
        """Return the text of an expression's value."""
        answer = self.ask("evaluate", expression=expression, frameId=frame, context=context)
        return str(answer.get("result", answer))

    def leave(self) -> None:
        """Detach."""
        self.ask("disconnect", restart=False, terminateDebuggee=False)


@pytest.fixture
def two(need, new_kernel):
    """Return alice and bob on a kernel of their own; a debugger leaves traces in it."""
    need(importlib.util.find_spec("debugpy"), "debugpy is missing")
    kernel = new_kernel()
    alice, bob = kernel.person("alice"), kernel.person("bob")
    alice.run(WHO)
    return alice, bob


def test_evaluation_in_a_stopped_frame(two):
    """An expression that Bob evaluates in Alice's frame has no user; her cell still has Alice."""
    alice, bob = two
    alice.run(SPY)
    alice.run(LATE)
    debugger = Debugger(bob)
    debugger.attach()
    cell = alice.start(CELL)
    thread, frame = debugger.stopped()
    for context in ("repl", "hover", "watch"):
        assert debugger.evaluate("who()", frame, context) == "'debugger'"
    debugger.evaluate("exec('heard.append(who())')", frame)
    debugger.ask("richInspectVariables", variableName="spy", frameId=frame)
    # Work that an evaluation starts runs without the frame's user.
    for later in ("loop.call_soon_threadsafe(note)", "start_copied()"):
        debugger.evaluate(f"exec({later!r})", frame)
    # An open binding does not change that.
    bound = "exec('with bind_current_user(session=get_session(None) or 1): pass')"
    assert "alice" not in debugger.evaluate(bound, frame)
    debugger.ask("next", threadId=thread)
    debugger.stopped()
    debugger.ask("continue", threadId=thread)
    assert alice.result(cell).value == ("alice", "alice")
    assert set(alice.run("heard").value) == {"debugger"}
    late = set(alice.run("await asyncio.wait_for(second.wait(), 20); late").value)
    assert late == {"no_context"}
    debugger.leave()
    assert (alice.run("who()").value, bob.run("who()").value) == ("alice", "bob")


@pytest.mark.parametrize(
    "breakpoint_",
    [{"condition": "heard.append(who())"}, {"logMessage": "{heard.append(who())}"}],
    ids=["condition", "logpoint"],
)
def test_breakpoints_that_evaluate(two, breakpoint_):
    """A condition and a log message run in Alice's thread, but not as Alice."""
    alice, bob = two
    alice.run(SPY)
    debugger = Debugger(bob)
    debugger.attach(**breakpoint_)
    assert alice.run(CELL).value == ("alice", "alice")
    assert set(alice.run("heard").value) == {"debugger"}
    debugger.leave()


def test_threads_and_tasks_under_a_debugger(two):
    """Code that runs while a debugger is attached gets the same user as without one."""
    alice, bob = two
    debugger = Debugger(bob)
    debugger.attach()
    code = """
seen = [who(), await asyncio.to_thread(who)]
thread = threading.Thread(target=bind_current_user(lambda: seen.append(who())))
thread.start(); thread.join()
bare = threading.Thread(target=lambda: seen.append(who())); bare.start(); bare.join()
seen
"""
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run(code).value == [name, name, name, "no_context"]
    debugger.leave()


def test_imported_by_the_debugger(need, new_kernel):
    """If an evaluation imports the package, the stopped cell is not taken for the importing one."""
    need(importlib.util.find_spec("debugpy"), "debugpy is missing")
    kernel = new_kernel()
    alice, bob = kernel.person("alice"), kernel.person("bob")
    alice.run("who = int")
    debugger = Debugger(bob)
    debugger.attach()
    cell = alice.start(CELL)
    thread, frame = debugger.stopped()
    assert "alice" not in debugger.evaluate(
        "__import__('jupyter_session_user').get_current_user('unknown')", frame
    )
    debugger.ask("continue", threadId=thread)
    alice.result(cell)
