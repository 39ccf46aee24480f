"""The kernel requests updates without waiting, with pauses, until the server answers."""

from __future__ import annotations

import json

import pytest
from logins import login_of

from jupyter_session_user.core.protocol import Reply, Request, Update
from jupyter_session_user.core.stamp import KEY, SERVER_STAMP
from jupyter_session_user.kernel import comm
from jupyter_session_user.kernel.comm import CommClient, UpdateReceiver
from jupyter_session_user.kernel.status import SessionStatuses

BY_SERVER = {KEY: json.loads(SERVER_STAMP)}


class Wire:
    """The kernel's end of the comm, a clock that the test sets, and the published messages."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[tuple[str, Request]] = []
        self.broken = False
        self.comm = CommClient(self._publish)
        self.desk = UpdateReceiver(self.comm)
        self.told: list[Update] = []
        self.desk.on_update = self.told.append

    def monotonic(self) -> float:
        """Replaces the module ``time``."""
        return self.now

    def _publish(self, content, topic) -> None:
        if self.broken:
            raise OSError("closed")
        self.sent.append((content["comm_id"], Request.from_wire(content["data"])))

    def answer(self, *sessions, error: str = "") -> None:
        """Answer the last question."""
        comm_id, request = self.sent[-1]
        result = {} if error else {"sessions": [session.to_wire() for session in sessions]}
        reply = Reply(request.id, result, error=error)
        content = {"comm_id": comm_id, "data": reply.to_wire()}
        self.comm.deliver({"metadata": BY_SERVER, "content": content})

    def update(self, event, session, stamp=BY_SERVER) -> None:
        """Deliver an update."""
        self.desk.deliver({"metadata": stamp, "content": Update(event, session).to_wire()})


@pytest.fixture
def wire(monkeypatch) -> Wire:
    """Connect a ``Desk`` to the test."""
    joined = Wire()
    joined.known = SessionStatuses()
    monkeypatch.setattr(comm, "time", joined)
    monkeypatch.setattr(comm, "statuses", joined.known)
    return joined


def test_asked_until_answered(wire):
    """The pauses grow: behind a gateway no answer comes, and each request is a message."""
    for _ in range(3000):
        wire.desk.saw(login_of("alice").id)
        wire.now += 0.1
    assert 8 <= len(wire.sent) <= 15
    assert {request.operation for _, request in wire.sent} == {"watch"}
    assert len({request.id for _, request in wire.sent}) == 1
    wire.answer()
    count = len(wire.sent)
    for _ in range(100):
        wire.desk.saw(login_of("alice").id)
        wire.now += 100
    assert len(wire.sent) == count


def test_a_new_session_makes_it_ask_again(wire):
    """A restarted server does not know this kernel, and its sessions are new."""
    wire.desk.saw(login_of("alice").id)
    wire.answer()
    wire.desk.saw(login_of("bob").id)
    wire.desk.saw(login_of("bob").id)
    assert len(wire.sent) == 2


def test_the_answer_is_learnt(wire):
    """Alice's session was revoked before any request; Bob's was not."""
    for name in ("alice", "bob"):
        wire.desk.saw(login_of(name).id)
    wire.answer(login_of("alice", state="revoked", revision=1))
    assert wire.known.of(login_of("alice")).state == "revoked"
    assert wire.known.of(login_of("bob")).state == "active"


@pytest.mark.parametrize("error", ["no_session", "other"])
def test_an_error_is_no_answer(wire, error):
    """A server that refuses, or is too old, is asked again later."""
    wire.desk.saw(login_of("alice").id)
    wire.answer(error=error)
    wire.now += 1
    wire.desk.saw(login_of("alice").id)
    assert len(wire.sent) == 2


def test_a_closed_socket_costs_nothing(wire):
    """``get_current_user`` returns the name, although nothing can be published."""
    wire.broken = True
    wire.desk.saw(login_of("alice").id)
    wire.broken = False
    wire.now += 1
    wire.desk.saw(login_of("alice").id)
    assert len(wire.sent) == 1


def test_updates_are_passed_on(wire):
    """An update reaches the session states and the listeners; an older or forged one does not."""
    wire.update("revoked", login_of("alice", state="revoked", revision=2))
    wire.update("renewed", login_of("alice", revision=1))
    wire.update("revoked", login_of("bob", state="revoked", revision=2), stamp={})
    wire.update(
        "revoked", login_of("bob", state="revoked", revision=2), stamp={KEY: {"version": 1}}
    )
    assert [told.session.user.username for told in wire.told] == ["alice"]
    assert wire.known.of(login_of("alice")).state == "revoked"
    assert wire.known.of(login_of("bob")).state == "active"


@pytest.mark.parametrize("content", [{}, {"version": 1}, {"version": 1, "event": "revoked"}, []])
def test_malformed_updates(wire, content, caplog):
    """An unreadable update is logged, and nothing else happens."""
    wire.desk.deliver({"metadata": BY_SERVER, "content": content})
    assert wire.told == []
    assert "cannot be read" in caplog.text
