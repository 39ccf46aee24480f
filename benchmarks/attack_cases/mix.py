"""Actions of many users on shared kernels at once: the kinds of ``shared_kernel.py``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from people import KernelSocket

#: The first user's cell on each kernel. Her pool and her server are shared by all users.
SETUP = """
import asyncio, concurrent.futures, json, multiprocessing, os, time
from jupyter_session_user import IdentityUnavailable, get_current_user

seen = {}
def look(*_):
    try:
        return get_current_user().username
    except IdentityUnavailable as error:
        return f"unavailable: {error.reason}"
def note(key):
    seen[key] = look()
async def later(key, pause):
    await asyncio.sleep(pause)
    note(key)
def answered(key):
    seen[key] = look() if input("? ") == key else "another user's answer"
def own_fork():
    # debugpy replaces os.fork, and its replacement hung here in a kernel that is debugged.
    fork = getattr(os, "original_fork", os.fork)
    read, write = os.pipe()
    if not (child := fork()):
        try:
            os.write(write, look().encode())
        finally:
            os._exit(0)
    os.close(write)
    name = os.read(read, 999).decode()
    os.close(read)
    os.waitpid(child, 0)
    return name
def on_open(comm, message):
    comm.on_msg(lambda message: note(message["content"]["data"]["key"]))
get_ipython().kernel.comm_manager.register_target("bench", on_open)
tasks = []
pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
pool.submit(os.getpid).result()
async def serve(reader, writer):
    while line := await reader.readline():
        note(line.decode().strip())
        writer.write(b"noted\\n")
server = await asyncio.start_server(serve, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
"""

CELLS = {
    "sync": "note({key!r})",
    "sleep": "time.sleep({pause}); note({key!r})",
    "async": "await asyncio.sleep({pause}); note({key!r})",
    "task": "tasks.append(asyncio.create_task(later({key!r}, {pause})))",
    "fork pool": "seen[{key!r}] = pool.submit(look).result()",
    "own fork": "seen[{key!r}] = own_fork()",
}
#: The cell that is stopped while another user's debugger evaluates, and the line.
STOPS = "def stops():\n    standing = 1\n    return standing\nstops()"
_STOPS_AT = 2
COMM_ID = "bench-comm"


@dataclass
class Kernel:
    """One shared kernel.

    Attributes:
        sockets: The websocket of each user, in the order of the users.
        port: Of the server on its loop.
        debugged: A lock for the user that debugs, for there is one debugger.
    """

    sockets: list[KernelSocket]
    port: int = 0
    debugged: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Turn:
    """One execution.

    Attributes:
        kernel: Where.
        me: The number of the person.
        other: The number of another person.
        key: The kernel's record of the user it saw has this key.
        pause: Seconds that the code may wait.
    """

    kernel: Kernel
    me: int
    other: int
    key: str
    pause: float

    @property
    def mine(self) -> KernelSocket:
        """The person's websocket."""
        return self.kernel.sockets[self.me]

    @property
    def others(self) -> KernelSocket:
        """The other person's."""
        return self.kernel.sockets[self.other]


async def run_cell(socket: KernelSocket, code: str, **expressions: str) -> dict[str, Any]:
    """Run code, and return its reply; ZMQ drops iopub messages for a slow reader."""
    cell = await begin(socket, code, user_expressions=expressions)
    return await reply_of(socket, cell)


async def begin(socket: KernelSocket, code: str, **options: Any) -> str:
    """Send a cell."""
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    return await socket.send(socket.message("execute_request", {**content, **options}))


async def reply_of(socket: KernelSocket, cell: str) -> dict[str, Any]:
    """Wait for a cell's reply, and forget the rest."""
    while (message := await socket.receive(cell))["channel"] != "shell":
        pass
    socket.forget(cell)
    reply: dict[str, Any] = message["content"]
    return reply


async def click(turn: Turn) -> None:
    """Send a message on a comm that the first user made.

    ipykernel 7 announces no "idle" for a callback that runs while a cell awaits, so there is
    nothing to wait for here; the collector waits for the remaining messages.
    """
    message = turn.mine.message("comm_msg", {"comm_id": COMM_ID, "data": {"key": turn.key}})
    turn.mine.forget(await turn.mine.send(message))


async def visit(turn: Turn) -> None:
    """Send a line to the server that the first user's cell started, as any client could."""
    reader, writer = await asyncio.open_connection("127.0.0.1", turn.kernel.port)
    writer.write(f"{turn.key}\n".encode())
    await reader.readline()
    writer.close()


async def answer(turn: Turn) -> None:
    """Be asked by one's own cell; the other person answers first."""
    cell = await begin(turn.mine, f"answered({turn.key!r})", allow_stdin=True)
    while (message := await turn.mine.receive(cell))["channel"] != "stdin":
        if message["channel"] == "shell":
            raise RuntimeError(f"the cell asked nothing: {message['content']}")
    for socket, text in ((turn.others, "not yours"), (turn.mine, turn.key)):
        reply = socket.message("input_reply", {"value": text, "status": "ok"})
        socket.forget(await socket.send({**reply, "parent_header": message["header"]}, "stdin"))
        await asyncio.sleep(turn.pause)
    await reply_of(turn.mine, cell)


async def debug(turn: Turn) -> None:
    """Evaluate in the frame in which the other person's cell stands."""
    async with turn.kernel.debugged:
        cell = await begin(turn.others, STOPS)
        thread = await _stopped(turn.mine)
        frames = await ask_debugger(turn.mine, "stackTrace", threadId=thread)
        where = {"frameId": frames["stackFrames"][0]["id"], "context": "repl"}
        await ask_debugger(turn.mine, "evaluate", expression=f"note({turn.key!r})", **where)
        await ask_debugger(turn.mine, "continue", threadId=thread)
        await reply_of(turn.others, cell)


async def _stopped(socket: KernelSocket) -> int:
    """Return the thread that stands; asked for, since an event can get lost on iopub."""
    while True:
        stopped = (await ask_debugger(socket, "debugInfo")).get("stoppedThreads")
        if stopped:
            return int(min(stopped))
        await asyncio.sleep(0.01)


async def attach_debugger(socket: KernelSocket) -> None:
    """Attach the kernel's debugger, with a breakpoint in :data:`STOPS`."""
    await ask_debugger(socket, "initialize", clientID="bench", adapterID="", linesStartAt1=True)
    await ask_debugger(socket, "attach", subProcess=False)
    path = (await ask_debugger(socket, "dumpCell", code=STOPS))["sourcePath"]
    lines = [{"line": _STOPS_AT}]
    await ask_debugger(socket, "setBreakpoints", source={"path": path}, breakpoints=lines)
    await ask_debugger(socket, "configurationDone")


_numbers = itertools.count(1)


async def ask_debugger(socket: KernelSocket, command: str, **arguments: Any) -> dict[str, Any]:
    """Return the body of the answer."""
    content = {"type": "request", "command": command, "seq": next(_numbers)}
    message = socket.message("debug_request", {**content, "arguments": arguments})
    sent = await socket.send(message, "control")
    while (reply := await socket.receive(sent))["channel"] != "control":
        pass
    socket.forget(sent)
    body: dict[str, Any] = reply["content"].get("body") or {}
    return body


def _cell(kind: str) -> Callable[[Turn], Awaitable[object]]:
    async def run(turn: Turn) -> object:
        return await run_cell(turn.mine, CELLS[kind].format(key=turn.key, pause=turn.pause))

    return run


@dataclass(frozen=True)
class Kind:
    """One kind of action of a user.

    Attributes:
        act: Does it.
        weight: How often, in comparison.
        known: Whether the person has to be known; else "unavailable" is right, too.
        named: Whether a name can be right at all.
    """

    act: Callable[[Turn], Awaitable[object]]
    weight: int = 10
    known: bool = True
    named: bool = True


KINDS: dict[str, Kind] = {
    **{kind: Kind(_cell(kind)) for kind in ("sync", "sleep", "async", "task")},
    "callback": Kind(click),
    "input": Kind(answer, 3),
    "fork pool": Kind(_cell("fork pool"), 3, known=False),
    "own fork": Kind(_cell("own fork"), 1, known=False),
    "server": Kind(visit, 3, known=False, named=False),
    "debugger": Kind(debug, 1, known=False),
}
