"""Each message of a client with an ended login gets a reply that front ends understand."""

from __future__ import annotations

import json

import pytest

from jupyter_session_user.core.frames import ClientMessage
from jupyter_session_user.core.refusal import Answer, close_reason, error_name, refuse, sentence
from jupyter_session_user.core.session import OVER
from jupyter_session_user.errors import SessionExpired, SessionRevoked

BUSY = Answer("iopub", "status", {"execution_state": "busy"})
IDLE = Answer("iopub", "status", {"execution_state": "idle"})
INFO = {"status": "ok", "protocol_version": "5.3", "implementation": "ipython"}

#: The requests of the messaging specification, and an unknown one.
REQUESTS = [
    "comm_info_request",
    "complete_request",
    "create_subshell_request",
    "debug_request",
    "execute_request",
    "history_request",
    "inspect_request",
    "interrupt_request",
    "is_complete_request",
    "kernel_info_request",
    "shutdown_request",
    "surprise_request",
]

every_state = pytest.mark.parametrize("state", sorted(OVER))


def asked(msg_type: str, channel: str = "shell", *, silent: bool = False) -> ClientMessage:
    """Return a client's message."""
    return ClientMessage(channel, {"msg_id": "m1", "msg_type": msg_type}, silent)


@every_state
def test_a_cell_is_answered_as_by_a_kernel_whose_code_raised(state):
    """The order is busy, the visible error, the reply with the same error, and idle."""
    busy, shown, reply, idle = refuse(asked("execute_request"), state, INFO)
    assert (busy, idle) == (BUSY, IDLE)
    assert (shown.channel, shown.msg_type) == ("iopub", "error")
    assert shown.content.keys() == {"ename", "evalue", "traceback"}
    assert (reply.channel, reply.msg_type) == ("shell", "execute_reply")
    assert reply.content["status"] == "error"
    assert reply.content["execution_count"] is None
    assert shown.content.items() <= reply.content.items()


@every_state
def test_the_error_is_the_one_that_the_kernel_would_raise(state):
    """Name and class agree, so that one search finds both."""
    error = SessionExpired if state == "expired" else SessionRevoked
    (_, shown, _, _) = refuse(asked("execute_request"), state)
    assert shown.content["ename"] == error_name(state) == error.__name__


@every_state
def test_the_person_is_told_what_happened_and_what_to_do(state):
    """A front end that shows only the traceback shows the whole sentence."""
    (_, shown, _, _) = refuse(asked("execute_request"), state)
    assert shown.content["evalue"] == sentence(state)
    assert "Log in again" in sentence(state)
    assert any(sentence(state) in line for line in shown.content["traceback"])
    assert all("\n" not in line for line in shown.content["traceback"])


def test_each_state_has_a_sentence_of_its_own():
    """A user with a revoked login does not get the text about a timeout."""
    assert len({sentence(state) for state in OVER}) == len(OVER)


@every_state
def test_the_reason_of_a_closed_websocket_fits(state):
    """RFC 6455 allows 123 bytes."""
    assert len(close_reason(state).encode()) <= 120


def test_silent_code_shows_nothing():
    """Code that a front end runs by itself shows no error; the front end gets the reply."""
    answers = refuse(asked("execute_request", silent=True), "expired")
    assert [answer.msg_type for answer in answers] == ["status", "execute_reply", "status"]
    assert answers[1].content["status"] == "error"


@every_state
@pytest.mark.parametrize("channel", ["shell", "control"])
@pytest.mark.parametrize("msg_type", REQUESTS)
def test_every_request_gets_busy_a_reply_of_its_type_on_its_channel_and_idle(
    msg_type, channel, state
):
    """Each request gets a reply, so no promise in a browser waits; only cells show an error."""
    first, *middle, last = refuse(asked(msg_type, channel), state)
    assert (first, last) == (BUSY, IDLE)
    reply = middle.pop()
    assert (reply.channel, reply.msg_type) == (channel, msg_type.replace("_request", "_reply"))
    assert [answer.msg_type for answer in middle] == ["error"] * (msg_type == "execute_request")
    json.dumps(reply.content)


@pytest.mark.parametrize("msg_type", sorted(set(REQUESTS) - {"is_complete_request"}))
def test_a_reply_says_that_it_failed_and_why(msg_type):
    """An error reply has the specification's fields, without those of a success."""
    reply = refuse(asked(msg_type), "revoked")[-2].content
    assert reply["status"] == "error"
    assert (reply["ename"], reply["evalue"]) == ("SessionRevoked", sentence("revoked"))
    assert isinstance(reply["traceback"], list)


def test_replies_with_a_schema_of_their_own():
    """Completeness has a value for "unknown"; the debugger has its own protocol."""
    assert refuse(asked("is_complete_request"), "expired")[1].content == {"status": "unknown"}
    debug = refuse(asked("debug_request", "control"), "expired")[1].content
    assert (debug["type"], debug["success"]) == ("response", False)
    assert debug["message"] == sentence("expired")


@every_state
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_kernel_info_is_answered_truly(channel, state):
    """A front end without this reply takes the kernel for dead; the reply has no secret."""
    answers = refuse(asked("kernel_info_request", channel), state, INFO)
    assert answers == (BUSY, Answer(channel, "kernel_info_reply", INFO), IDLE)


@pytest.mark.parametrize("unknown", [None, {}])
def test_kernel_info_that_is_not_known_is_not_made_up(unknown):
    """Without the kernel's info, the reply is an error like the others."""
    reply = refuse(asked("kernel_info_request"), "signed_out", unknown)[1].content
    assert (reply["status"], reply["ename"]) == ("error", "SessionRevoked")


@pytest.mark.parametrize("msg_type", ["comm_open", "comm_msg", "comm_close", "surprise"])
def test_what_is_no_request_gets_busy_and_idle_alone(msg_type):
    """Widgets wait with their next message until they get idle for the last one."""
    assert refuse(asked(msg_type), "expired", INFO) == (BUSY, IDLE)


@pytest.mark.parametrize("msg_type", ["input_reply", "surprise_request"])
def test_nothing_on_stdin_is_answered(msg_type):
    """A reply to input() gets no answer, as with a kernel."""
    assert refuse(asked(msg_type, "stdin"), "signed_out", INFO) == ()
