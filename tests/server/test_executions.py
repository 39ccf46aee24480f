"""Which execution ends with which reply, when messages are read only after they have left."""

from __future__ import annotations

import json
import threading

import pytest
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from jupyter_session_user.core.executions import Asked
from jupyter_session_user.core.last_runs import LastRuns
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.server.messages.executions import Client, Executions

SESSIONS = {
    name: Session(f"of {name}", User(name), "test", verified=True) for name in ("alice", "bob")
}


def frame(msg_id, code, msg_type="execute_request"):
    """Return a client's message in the format v1."""
    parts = ({"msg_id": msg_id, "msg_type": msg_type}, {}, {"cellId": "c"}, {"code": code})
    return serialize_msg_to_ws_v1([json.dumps(part).encode() for part in parts], "shell")


@pytest.fixture
def later():
    """Return the list of what the event loop calls when it is free."""
    return []


@pytest.fixture
def records():
    """Return the written records."""
    return []


@pytest.fixture
def executions(records, later):
    """Return executions that are recorded, and that people see."""
    return Executions(records.append, runs=LastRuns(), later=later.append)


def send(executions, name, msg_id, message=None, at=1.0):
    """Send a message as one of two people, each with a socket."""
    message = frame(msg_id, name) if message is None else message
    executions.sent(Client("k", f"socket of {name}", v1=True), message, SESSIONS[name], at)


def said(records):
    """Return who ran what, and how it ended."""
    return [(r["username"], r["message_id"], r["start"], r["status"]) for r in records]


def test_a_reply_before_the_loop_is_free(executions, records, later):
    """The reply ends the execution of its own client, although both chose the same id."""
    send(executions, "alice", "same", at=1.0)
    send(executions, "bob", "same", at=2.0)
    assert len(later) == 1 and records == []  # one look for all
    executions.end("k", "socket of bob", "same", "error")
    executions.end("k", "socket of alice", "same", "ok")
    assert said(records) == [("bob", "same", 2.0, "error"), ("alice", "same", 1.0, "ok")]
    for call in later:
        call()
    executions.gone()
    assert len(records) == 2


def test_the_latest_run_is_that_of_the_latest_message(executions, later):
    """The look keeps the order in which the messages came."""
    for name in ("alice", "bob"):
        send(executions, name, name)
    later.pop()()
    (run,) = executions.runs.of("k")[1]
    assert run.to_wire()["who"]["username"] == "bob"
    send(executions, "alice", "next")
    later.pop()()  # a later message is looked at, too
    (run,) = executions.runs.of("k")[1]
    assert run.to_wire()["who"]["username"] == "alice"


def test_a_stop_loses_nothing(executions, records):
    """What was sent and not looked at yet is recorded."""
    send(executions, "alice", "a")
    executions.gone()
    assert said(records) == [("alice", "a", 1.0, "unseen")]


@pytest.mark.parametrize("message", [frame("x", "1", "comm_msg"), frame("x", "1", "kernel_info")])
def test_other_messages_are_no_executions(executions, records, message):
    """Only an execute_request is one."""
    send(executions, "alice", "x", message)
    executions.gone()
    assert records == []


def test_replies_in_other_threads(executions, records, later):
    """Server-side clients read replies in threads: no execution is lost, and none ends twice."""
    rounds = 200

    def replies(name):
        for number in range(rounds):
            executions.begin("k", name, Asked(str(number), None, "1"), SESSIONS[name], "unknown")
            executions.end("k", name, str(number), "ok")

    threads = [threading.Thread(target=replies, args=(name,)) for name in SESSIONS]
    for thread in threads:
        thread.start()
    for number in range(rounds):
        send(executions, "alice", f"socket {number}")
        while later:
            later.pop()()
        executions.end("k", "socket of alice", f"socket {number}", "ok")
    for thread in threads:
        thread.join()
    executions.gone()
    assert [r["status"] for r in records] == ["ok"] * 3 * rounds
    assert len({(r["username"], r["message_id"], r["via"]) for r in records}) == 3 * rounds


def test_nobody_loses_the_end_of_anothers(executions, records):
    """Alice queues more than the server follows: her own oldest ones are recorded as unseen."""
    send(executions, "bob", "his")
    for number in range(1_005):
        send(executions, "alice", str(number))
    executions.end("k", "socket of bob", "his", "error")
    assert [r for r in said(records) if r[0] == "bob"] == [("bob", "his", 1.0, "error")]
    unseen = [r for r in said(records) if r[0] == "alice"]
    assert unseen == [("alice", str(n), 1.0, "unseen") for n in range(5)]
    executions.end("k", "socket of alice", "1004", "ok")
    executions.gone()
    assert len(records) == 1_006 and executions._count == 0


def test_a_message_that_cannot_be_read_costs_no_other_one(executions, records, later, caplog):
    """Alice's message is damaged past the stamping's checks; Bob's is recorded."""
    send(executions, "alice", "a", message=b"too short")
    send(executions, "bob", "b")
    for call in later:
        call()
    executions.end("k", "socket of bob", "b", "ok")
    assert [r["username"] for r in records] == ["bob"]
    assert executions.counts.stamps == 2
    assert "kernel k was not recorded" in caplog.text
