"""The audit: its cost on the event loop, what stops lose, and whether changes are found.

    python benchmarks/audit.py [--quick]

Prints JSON. ``loop`` runs 10^5 executions through the websocket's mixin, while the thread writes;
``killed`` is a real server with a real kernel; ``verify`` changes a file at random.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from overhead import Mixed, record
from support import person, report, server

from jupyter_session_user.core.audit_chain import Finding, findings
from jupyter_session_user.server.settings import Settings
from jupyter_session_user.server.web.audit import Audit
from jupyter_session_user.store.audit_file import parts_of, read_lines
from jupyter_session_user.store.memory import MemoryStore

#: Executions that begin before the first of them ends, as when all cells of a notebook are run.
_AT_ONCE = 10
CODE = "x = 1\n" * 20


def messages(number: int) -> tuple[bytes, list[bytes]]:
    """Return an execute_request in v1, and its reply."""
    header = {
        "msg_id": f"{number:036}",
        "session": "0" * 36,
        "username": "",
        "msg_type": "execute_request",
        "version": "5.3",
        "date": "2026-01-01T00:00:00Z",
    }
    content = {"code": CODE, "silent": False, "store_history": True}
    metadata = {"deletedCells": [], "recordTiming": False, "cellId": f"{number:036}"}
    parts = [json.dumps(part).encode() for part in (header, {}, metadata, content)]
    answer = json.dumps({**header, "msg_type": "execute_reply"}).encode()
    status = json.dumps({"status": "ok", "execution_count": 1, "user_expressions": {}}).encode()
    reply = [b"<IDS|MSG>", b"0" * 64, answer, parts[0], b"{}", status]
    return serialize_msg_to_ws_v1(parts, "shell"), reply


def connection(audit: Audit | None) -> Mixed:
    """Return a connection as after a handshake, with or without an audit."""
    store, mine = MemoryStore(10), record(1, "k")
    store.put(mine)
    return Mixed(store, mine, None if audit is None else audit.executions)


class _Shell:
    """The stream that a reply comes from."""

    channel = "shell"


Frames = list[tuple[bytes, list[bytes]]]


def executions(mixed: Mixed, frames: Frames, pause: float = 0.0) -> dict[str, float]:
    """Run executions through a connection.

    Args:
        mixed: The connection.
        frames: Their requests and replies.
        pause: Seconds between ten executions; 0 lets nothing else have a turn.

    Returns:
        Microseconds for each message: ``cpu`` of the loop's thread; ``wall``, the median of ten
        executions each; and ``wall_mean``, with all waits for the other thread and other programs.
    """
    shell, walls, cpu = _Shell(), [], 0.0
    for first in range(0, len(frames), _AT_ONCE):
        some = frames[first : first + _AT_ONCE]
        begin, begin_cpu = time.perf_counter(), time.thread_time()
        for frame, _ in some:
            mixed.handle_incoming_message(frame)
        for _, reply in some:
            mixed.handle_outgoing_message(shell, reply)
        cpu += time.thread_time() - begin_cpu
        walls.append((time.perf_counter() - begin) / (2 * len(some)))
        if pause:
            time.sleep(pause)
    found = {"cpu": cpu / (2 * len(frames))}
    found |= {"wall": statistics.median(walls), "wall_mean": statistics.fmean(walls)}
    return {name: seconds * 1e6 for name, seconds in found.items()}


def an_audit(path: Path, **options: Any) -> Audit:
    """Return the audit of a server with this file."""
    settings = Settings(audit_file=str(path), **options)
    return Audit(settings, None, logging.getLogger(__name__))


def on_the_loop(folder: Path, count: int) -> dict[str, Any]:
    """Measure the cost of a message, and count the lines after an orderly stop."""
    frames = [messages(number) for number in range(count)]
    few = frames[: count // 10]
    saturated_audit = an_audit(folder / "saturated.jsonl")
    paced_audit = an_audit(folder / "paced.jsonl")
    # Without first: it is the same code, and the first run warms the caches.
    plain, paced_plain = (executions(connection(None), f, p) for f, p in ((frames, 0), (few, 5e-3)))
    paced = executions(connection(paced_audit), few, 5e-3)
    saturated = executions(connection(saturated_audit), frames)
    begin = time.perf_counter()
    saturated_audit.close()
    waited = time.perf_counter() - begin
    paced_audit.close()
    lines = list(read_lines(parts_of(folder / "saturated.jsonl")))
    kept = sum(1 for line in lines if b'"kind":"execution"' in line)
    return {
        "executions": count,
        "lines_lost_at_an_orderly_stop": count - kept,
        "goal_lines_lost": 0,
        "chain_is_whole": not any(isinstance(found, Finding) for found in findings(lines)),
        "us_per_message": more(paced, paced_plain),
        "us_per_message_if_the_loop_never_pauses": more(saturated, plain),
        "goal_us_per_message": 20,
        "us_per_message_of_the_mixin_without_audit": round(paced_plain["cpu"], 2),
        "stop_took_s": round(waited, 2),
    }


def more(with_audit: dict[str, float], without: dict[str, float]) -> dict[str, float]:
    """Return the differences of two measurements."""
    return {name: round(with_audit[name] - without[name], 2) for name in without}


async def killed(folder: Path, count: int) -> dict[str, Any]:
    """Kill a real server after its last reply; count the executions that the file lacks."""
    path = folder / "killed.jsonl"
    option = f"--JupyterSessionUser.audit_file={path}"
    with server(option, ours=True, nodelay=True) as running:
        alice = person(running, "alice")
        kernel = await alice.start_kernel()
        socket = await alice.connect(kernel)
        for _ in range(count):
            await socket.execute("pass")
        content = {"code": "import time; time.sleep(60)", "silent": False}
        await socket.send(socket.message("execute_request", content))
        await asyncio.sleep(0.5)
        running.process.kill()
        running.process.wait()
        await socket.close()
    lines = list(read_lines(parts_of(path)))
    kept = sum(1 for line in lines if b'"kind":"execution"' in line)
    return {
        "executions_that_had_ended": count,
        "of_them_lost": count - kept,
        "executions_that_ran": 1,
        "of_them_recorded": max(0, kept - count),
        "chain_is_whole": not any(isinstance(found, Finding) for found in findings(lines)),
    }


def verify(folder: Path, count: int) -> dict[str, Any]:
    """Change a file at random; return how many changes were found."""
    audit = an_audit(folder / "verify.jsonl")
    executions(connection(audit), [messages(number) for number in range(300)])
    audit.close()
    lines = list(read_lines(parts_of(folder / "verify.jsonl")))
    chance = random.Random(0)  # noqa: S311 - the same changes in each run
    ways = {"byte": byte, "removed": removed, "moved": moved, "repeated": repeated, "cut": cut}
    found = dict.fromkeys(ways, 0)
    for name, change in ways.items():
        for _ in range(count // len(ways)):
            changed = change(chance, list(lines))
            found[name] += any(isinstance(one, Finding) for one in findings(changed))
    made = count // len(ways) * len(ways)
    return {"changes": made, "found": sum(found.values()), "found_by_kind": found}


def byte(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Change one byte."""
    at = chance.randrange(len(lines))
    line = bytearray(lines[at])
    line[chance.randrange(len(line))] ^= chance.randrange(1, 256)
    return [*lines[:at], bytes(line), *lines[at + 1 :]]


def removed(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Remove one line, but not the last."""
    del lines[chance.randrange(len(lines) - 1)]
    return lines


def moved(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Exchange two lines."""
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def repeated(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Write one line twice."""
    at = chance.randrange(len(lines))
    return [*lines[: at + 1], *lines[at:]]


def cut(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    """Cut one line."""
    at = chance.randrange(len(lines))
    lines[at] = lines[at][: chance.randrange(len(lines[at]))]
    return lines


async def in_a_loop(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Return a measurement that is made while an event loop runs, as in a server."""
    return measure(*arguments)


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    part = 10 if parser.parse_args().quick else 1
    with tempfile.TemporaryDirectory(prefix="audit-") as name:
        folder = Path(name)
        report(
            {
                "loop": asyncio.run(in_a_loop(on_the_loop, folder, 100_000 // part)),
                "killed": asyncio.run(killed(folder, 1_000 // part)),
                "verify": asyncio.run(in_a_loop(verify, folder, 5_000 // part)),
            }
        )


if __name__ == "__main__":
    main()
