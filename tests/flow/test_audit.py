"""The audit: who ran what, on a real server, in a file that shows any change."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import signal
import stat
from pathlib import Path

import pytest
from audits import Audit
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from people import LEGACY, V1, KernelSocket
from servers import PASSWORDS, eventually, kernel_of, opened, people_on

from jupyter_session_user.store.audit_file import parts_of


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """Return a file that is there after the server, too."""
    return Audit(tmp_path / "audit.jsonl")


def sha256(code: str) -> str:
    """Return the hash of code as another program computes it."""
    return hashlib.sha256(code.encode()).hexdigest()


def mode_of(path: Path) -> int:
    """Return who may read and write a file."""
    return stat.S_IMODE(path.stat().st_mode)


async def run(socket: KernelSocket, code: str, msg_id: str, cell: str | None = None) -> None:
    """Run a cell with this message id."""
    await socket.execute(code, None if cell is None else {"cellId": cell}, msg_id=msg_id)


@pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])
async def test_two_people_one_kernel(audit, protocol):
    """Each execution is one line with its person, cell, hash and status, and a valid chain."""
    with audit.server() as server:
        alice, bob = await people_on(server)
        async with (
            kernel_of(alice) as kernel,
            opened(alice, kernel, protocol=protocol) as hers,
            opened(bob, kernel, protocol=protocol) as his,
        ):
            await run(hers, "x = 1", "a1", "cell of alice")
            await run(his, "1 / 0", "b1", "cell of bob")
            await eventually(lambda: len(audit.records()) == 2)
            here = {
                name: next(
                    s["id"]
                    for s in await person.json("api/session-user/sessions")
                    if s["kernel_id"] == kernel and s["user"]["username"] == name
                )
                for name, person in (("alice", alice), ("bob", bob))
            }
            found = audit.records()
    fields = ("username", "session_id", "message_id", "cell_id", "code_sha256", "status")
    assert [tuple(r[f] for f in fields) for r in found] == [
        ("alice", here["alice"], "a1", "cell of alice", sha256("x = 1"), "ok"),
        ("bob", here["bob"], "b1", "cell of bob", sha256("1 / 0"), "error"),
    ]
    assert {(r["via"], r["kernel_id"], r["verified"], r["actor"]) for r in found} == {
        ("websocket", kernel, True, None)
    }
    assert all(r["start"] <= r["end"] <= r["time"] for r in found)
    assert "x = 1" not in audit.path.read_text()
    assert mode_of(audit.path) == 0o600
    assert audit.problems() == []


async def test_two_people_with_the_same_ids(audit):
    """Both choose the same session and message ids, and Bob's later cell ends before Alice's."""
    slow = "import time; time.sleep(2); raise ValueError"
    with audit.server() as server:
        alice, bob = await people_on(server)
        async with (
            kernel_of(alice) as kernel,
            opened(alice, kernel, session_id="same") as hers,
            opened(bob, kernel, session_id="same") as his,
        ):
            content = {"code": slow, "silent": False}
            await hers.send(hers.message("execute_request", content, msg_id="same"))
            await asyncio.sleep(0.5)
            content = {"code": "'quick'", "silent": False}  # the control channel does not wait
            message = his.message("execute_request", content, msg_id="same")
            await his.send(message, channel="control")
            await eventually(lambda: len(audit.records()) == 2)
    assert [(r["username"], r["code_sha256"], r["status"]) for r in audit.records()] == [
        ("bob", sha256("'quick'"), "ok"),
        ("alice", sha256(slow), "error"),
    ]


async def test_a_second_reply_ends_nothing_of_another_person(audit):
    """The same user may send one id twice, and each execution has its line; in their order."""
    with audit.server() as server:
        alice, bob = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            for code in ("1", "2"):
                await run(hers, code, "same")
            async with opened(bob, kernel, session_id=hers.session) as his:
                await run(his, "3", "same")
                await eventually(lambda: len(audit.records()) == 3)
        found = [(r["username"], r["code_sha256"]) for r in audit.records()]
    assert found == [("alice", sha256("1")), ("alice", sha256("2")), ("bob", sha256("3"))]


async def test_what_else_is_recorded(audit):
    """Bob joins Alice's kernel, forges a stamp, is revoked and refused; her kernel gets cookies."""
    with audit.server("--JupyterSessionUser.share_cookies=_xsrf") as server:
        alice, bob = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            await hers.execute("import jupyter_session_user as j; j.get_cookies()")
            async with opened(bob, kernel) as his:
                await his.execute("1", {"jupyter_session_user": {"user": {"username": "alice"}}})
                sessions = await bob.json("api/session-user/sessions")
                for one in sessions:
                    await bob.fetch(f"api/session-user/sessions/{one['id']}", method="DELETE")
                await run(his, "2", "refused")
                await eventually(lambda: audit.records("refusal"))
        everything = audit.records(None)
        text = audit.path.read_text()
    kinds = {
        kind: [
            (r["username"], r["kernel_id"] and "here", r["detail"])
            for r in everything
            if r["kind"] == kind
        ]
        for kind in ("join", "forged_stamp", "refusal", "cookies")
    }
    assert kinds["join"] == [("bob", "here", "kernel of alice")]
    assert kinds["forged_stamp"] == [("bob", "here", None)]
    assert kinds["refusal"] == [("bob", "here", "revoked")]
    ((who, where, names),) = kinds["cookies"]
    assert (who, where) == ("alice", "here")
    assert "_xsrf" in names
    revoked = {(r["username"], r["kernel_id"]) for r in everything if r["kind"] == "revocation"}
    assert revoked == {("bob", None), ("bob", kernel)}
    assert sha256("2") not in text  # it did not run
    for secret in (*alice.cookies.values(), *bob.cookies.values(), *PASSWORDS.values()):
        assert secret.strip('"') not in text


async def test_a_message_id_in_another_spelling(audit):
    """JSON can spell the type of a message in many ways; each execution is recorded."""
    with audit.server() as server:
        alice, _ = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            content = {"code": "4", "silent": False}
            message = hers.message("execute_request", content, msg_id="spelled")
            hers._queues["spelled"] = asyncio.Queue()
            parts = [json.dumps(part).encode() for part in (message["header"], {}, {}, content)]
            parts[0] = parts[0].replace(b"execute_request", rb"\u0065xecute_request")
            frame = serialize_msg_to_ws_v1(parts, "shell")
            assert b"execute_request" not in frame
            await hers.send_frame(frame)
            await hers.finish("spelled")
            await eventually(audit.records)
        (found,) = audit.records()
    assert (found["username"], found["code_sha256"]) == ("alice", sha256("4"))


async def test_a_reload_in_a_running_cell(audit):
    """The page is reloaded while a cell runs: one line, with the end that the next page sees."""
    with audit.server() as server:
        alice, _ = await people_on(server)
        async with kernel_of(alice) as kernel:
            async with opened(alice, kernel, session_id="tab") as hers:
                code = {"code": "import time; time.sleep(2)", "silent": False}
                await hers.send(hers.message("execute_request", code, msg_id="long"))
                await asyncio.sleep(0.5)
            assert audit.records() == []
            async with opened(alice, kernel, session_id="tab"):
                await eventually(audit.records)
        assert [(r["message_id"], r["status"]) for r in audit.records()] == [("long", "ok")]


async def test_a_kernel_that_stops(audit):
    """A cell that runs while its kernel is restarted or stopped has a line: unseen, no end."""
    with audit.server("--JupyterSessionUser.audit_starts=True") as server:
        alice, _ = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            code = {"code": "import time; time.sleep(60)", "silent": False}
            await hers.send(hers.message("execute_request", code, msg_id="long"))
            await eventually(audit.records)
            await alice.fetch(f"api/kernels/{kernel}/restart", method="POST")
            await eventually(lambda: len(audit.records()) == 2)
        found = [(r["message_id"], r["status"], r["end"]) for r in audit.records()]
        assert found == [("long", "started", None), ("long", "unseen", None)]


async def test_the_path_of_the_notebook(audit):
    """A record has the notebook's path at that time; renaming changes later records."""
    with audit.server() as server:
        alice, _ = await people_on(server)
        body = {"path": "a.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        session = await alice.json("api/sessions", method="POST", body=body)
        async with opened(alice, session["kernel"]["id"]) as hers:
            await run(hers, "1", "first")
            path = f"api/sessions/{session['id']}"
            await alice.json(path, method="PATCH", body={"path": "b.ipynb"})
            await run(hers, "2", "second")
            await eventually(lambda: len(audit.records()) == 2)
        await alice.fetch(path, method="DELETE")
        found = [(r["message_id"], r["path"]) for r in audit.records()]
    assert found == [("first", "a.ipynb"), ("second", "b.ipynb")]


async def test_a_restart_of_the_server_continues_the_chain(audit):
    """After an orderly stop every execution is there, and a second server goes on in the chain."""
    for stop in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        with audit.server("--JupyterSessionUser.audit_max_bytes=2000") as server:
            alice, bob = await people_on(server)
            async with (
                kernel_of(alice) as kernel,
                opened(alice, kernel) as hers,
                opened(bob, kernel) as his,
            ):
                for number in range(5):
                    await run(hers, f"a = {number}", f"a{number}")
                    await run(his, f"b = {number}", f"b{number}")
            if stop == signal.SIGKILL:
                await asyncio.sleep(1)  # the file is written within milliseconds
                server.process.kill()
                server.process.wait()
    assert len(parts_of(audit.path)) > 2
    assert audit.problems() == []
    assert [r["username"] for r in audit.records()] == ["alice", "bob"] * 15
    assert {mode_of(part) for part in parts_of(audit.path)} == {0o600}


def test_two_servers_and_one_file(audit):
    """A second server does not start with the file of the first, and says why."""
    why = r"another server writes .* give each server a file"
    with audit.server(), pytest.raises(RuntimeError, match=why), audit.server():
        pass


async def test_nbmodel_cells(audit, need):
    """A cell that the server runs for Alice is hers, by nbmodel, although Bob's worker runs it."""
    need(importlib.util.find_spec("jupyter_server_nbmodel"), "jupyter-server-nbmodel is missing")
    extensions = ("jupyter_session_user", "jupyter_server_nbmodel")
    with audit.server(extensions=extensions) as server:
        alice, bob = await people_on(server)
        async with kernel_of(alice) as kernel:
            for person, code in ((bob, "1"), (alice, "2")):
                path = f"api/kernels/{kernel}/execute"
                answer = await person.fetch(path, method="POST", body={"code": code})
                assert answer.code == 202, answer.body
            await eventually(lambda: len(audit.records()) == 2)
        found = [(r["username"], r["code_sha256"], r["via"], r["status"]) for r in audit.records()]
    assert found == [
        ("bob", sha256("1"), "nbmodel", "ok"),
        ("alice", sha256("2"), "nbmodel", "ok"),
    ]
