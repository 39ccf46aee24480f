"""The kernel's end of the comm: each request gets its own answer from the server, or an error.

The server is a function; a fake wire joins it to the client, and delivers its answers in a
thread of its own, as the kernel's control thread does.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jupyter_session_user.core.protocol import COMM_ID_PREFIX, LinkState, Reply, Request
from jupyter_session_user.core.stamp import KEY, SERVER_STAMP
from jupyter_session_user.errors import LocalProtocolError, RequestTimeout
from jupyter_session_user.kernel.comm import CommClient

BY_SERVER = json.loads(SERVER_STAMP)
BY_BOB = {"version": 1, "session_id": "s", "source": "x", "user": {"username": "bob"}}
SOON_S = 0.25  # a deadline that is meant to pass


class Wire:
    """Joins a client to a server function, which gets each request and answers by ``send``."""

    def __init__(self, server) -> None:
        self.sent = []
        self.server = server
        self.control = ThreadPoolExecutor(1)
        thread = self.control.submit(threading.current_thread).result()
        self.client = CommClient(self._publish, control_thread=thread)

    def _publish(self, content, topic) -> None:
        json.dumps(content)  # a gateway transports only JSON
        self.sent.append((content, topic))
        request = Request.from_wire(content["data"])
        self.control.submit(self.server, self, content["comm_id"], request)

    def tell_link(self, connected, serial, stamp=BY_SERVER) -> None:
        """Deliver the server's statement about the kernel's clients."""
        content = LinkState(connected, serial).to_wire()
        self.client.deliver_link({"metadata": {KEY: stamp}, "content": content})

    def send(self, comm_id, data, stamp=BY_SERVER) -> None:
        """Deliver a control message, as the kernel's handler would."""
        metadata = {} if stamp is None else {KEY: stamp}
        self.client.deliver({"metadata": metadata, "content": {"comm_id": comm_id, "data": data}})


@pytest.fixture
def joined():
    """Join a client to a server function."""
    wires = []

    def join(server) -> Wire:
        wires.append(Wire(server))
        return wires[-1]

    yield join
    for wire in wires:
        wire.control.shutdown()


def answer(wire, comm_id, request) -> None:
    """Answer as the server should: the requested data."""
    wire.send(
        comm_id, Reply(request.id, {"for": request.session_id, "name": request.name}).to_wire()
    )


def test_answer(joined):
    """A request gets its own reply, with its details."""
    wire = joined(answer)
    assert wire.client.ask("signed", "alice", name="a").result == {"for": "alice", "name": "a"}
    assert wire.client.ask("refresh", "bob").result == {"for": "bob", "name": ""}


def test_wire_format(joined):
    """All requests have the same recognisable comm id and topic."""
    wire = joined(answer)
    wire.client.ask("refresh", "alice")
    wire.client.ask("refresh", "bob")
    (comm_id,) = {content["comm_id"] for content, _ in wire.sent}
    assert comm_id.startswith(COMM_ID_PREFIX)
    assert [topic for _, topic in wire.sent] == [f"comm-{comm_id}".encode()] * 2


def test_error_reply(joined):
    """The caller gets the server's error as it is."""
    refusal = Reply("", error="no_session", message="no such session")
    wire = joined(
        lambda wire, comm, request: wire.send(comm, {**refusal.to_wire(), "id": request.id})
    )
    reply = wire.client.ask("refresh", "alice")
    assert (reply.error, reply.message, reply.result) == ("no_session", "no such session", {})


def test_timeout(joined):
    """If the server does not answer, the deadline passes, and the error names possible causes."""
    wire = joined(lambda *_: None)
    with pytest.raises(RequestTimeout, match=r"within 0\.25 s.*comm_rate.*gateway") as caught:
        wire.client.ask("cookies", "alice", timeout=SOON_S)
    assert isinstance(caught.value, TimeoutError)


def test_nothing_is_left_after_a_timeout(joined):
    """A late answer is dropped, and never reaches the next request."""
    late = []
    wire = joined(lambda *question: late.append(question))
    with pytest.raises(RequestTimeout):
        wire.client.ask("refresh", "alice", timeout=SOON_S)
    answer(*late[0])
    wire.server = answer
    assert wire.client.ask("refresh", "bob").result["for"] == "bob"


def test_retry(joined):
    """The first message may be lost, so it is sent again with the same id."""
    ids = []

    def deaf_at_first(wire, comm_id, request) -> None:
        ids.append(request.id)
        if len(ids) > 1:
            answer(wire, comm_id, request)

    assert joined(deaf_at_first).client.ask("refresh", "alice").result["for"] == "alice"
    assert ids == [ids[0]] * 2


def test_answered_twice(joined):
    """A second answer to a repeated question does no harm."""

    def twice(wire, comm_id, request) -> None:
        answer(wire, comm_id, request)
        answer(wire, comm_id, request)

    wire = joined(twice)
    for name in ("alice", "bob", "alice"):
        assert wire.client.ask("refresh", name).result["for"] == name


@pytest.mark.parametrize("stamp", [None, BY_BOB, {}, "server", {"server": 1}, {"unknown": "x"}])
def test_forged(joined, stamp):
    """An answer without the server's stamp is ignored; the server's own answer counts."""

    def forged_first(wire, comm_id, request) -> None:
        wire.send(comm_id, Reply(request.id, {"for": "mallory"}).to_wire(), stamp)
        answer(wire, comm_id, request)

    assert joined(forged_first).client.ask("refresh", "alice").result["for"] == "alice"


def test_only_forged(joined):
    """If only forged answers arrive, the request times out."""
    wire = joined(
        lambda wire, comm, request: wire.send(
            comm, Reply(request.id, {"for": "mallory"}).to_wire(), BY_BOB
        )
    )
    with pytest.raises(RequestTimeout):
        wire.client.ask("refresh", "alice", timeout=SOON_S)


def test_another_comm(joined):
    """An answer on another comm is ignored, even with the right id."""
    wire = joined(lambda wire, comm, request: answer(wire, comm + "x", request))
    with pytest.raises(RequestTimeout):
        wire.client.ask("refresh", "alice", timeout=SOON_S)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        {},
        {"version": 2},
        {"version": 1, "id": 3},
        {"version": 1, "id": "?", "result": []},
        {"version": 1, "id": "?", "error": 5},
    ],
)
def test_malformed(joined, data):
    """An unreadable answer makes the caller time out; the control thread gets no error."""

    def broken(wire, comm_id, request) -> None:
        known = isinstance(data, dict) and data.get("id") == "?"
        wire.send(comm_id, {**data, "id": request.id} if known else data)

    with pytest.raises(RequestTimeout):
        joined(broken).client.ask("refresh", "alice", timeout=SOON_S)


def test_answer_to_another_question(joined):
    """An answer with an unknown id has no effect."""
    wire = joined(lambda wire, comm, request: wire.send(comm, Reply("other", {}).to_wire()))
    with pytest.raises(RequestTimeout):
        wire.client.ask("refresh", "alice", timeout=SOON_S)


def test_control_thread_cannot_wait(joined):
    """The thread that delivers answers would block itself: it gets an error, and sends nothing."""
    wire = joined(answer)
    with pytest.raises(LocalProtocolError, match="control thread"):
        wire.control.submit(wire.client.ask, "refresh", "alice").result(10)
    assert wire.sent == []


def test_unknown_operation(joined):
    """An operation that the protocol does not define is not sent."""
    wire = joined(answer)
    with pytest.raises(LocalProtocolError, match="no such operation"):
        wire.client.ask("become_root", "alice")
    assert wire.sent == []


def test_concurrent_askers(joined):
    """Each of many simultaneous requests gets its own answer, in any order of the answers."""
    names = [f"user{number}" for number in range(8)]
    asked = {}

    def all_at_last(wire, comm_id, request) -> None:
        asked[request.session_id] = request
        if len(asked) == len(names):
            for question in reversed(list(asked.values())):
                answer(wire, comm_id, question)

    wire = joined(all_at_last)
    with ThreadPoolExecutor(len(names)) as pool:
        replies = list(pool.map(lambda name: wire.client.ask("refresh", name), names))
    assert [reply.result["for"] for reply in replies] == names


NO_CLIENT = r"the last client had disconnected.*Open the notebook"


def test_a_request_without_a_client_fails_at_once(joined):
    """The server has said that the last client left, so the error comes within 0.1 s."""
    wire = joined(lambda *_: None)
    wire.tell_link(connected=False, serial=1)
    times = []
    for name in ("alice", "bob", "alice", "bob"):
        begun = time.monotonic()
        with pytest.raises(RequestTimeout, match=NO_CLIENT):
            wire.client.ask("cookies", name)
        times.append(time.monotonic() - begun)
    assert min(times) < 0.1  # the machine may be busy


def test_a_request_that_waits_when_the_last_client_leaves_fails_then(joined):
    """The answer cannot come any more; the request does not wait for five seconds."""
    wire = joined(lambda wire, *_: wire.tell_link(connected=False, serial=1))
    begun = time.monotonic()
    with pytest.raises(RequestTimeout, match=NO_CLIENT):
        wire.client.ask("cookies", "alice")
    assert time.monotonic() - begun < 1


def test_a_client_that_came_meanwhile_answers(joined):
    """What the server said may be out of date: an answer counts, and takes it back."""
    wire = joined(answer)
    wire.tell_link(connected=False, serial=1)
    assert wire.client.ask("refresh", "alice").result["for"] == "alice"
    wire.server = lambda *_: None
    with pytest.raises(RequestTimeout, match="did not answer"):
        wire.client.ask("refresh", "bob", timeout=SOON_S)


@pytest.mark.parametrize(
    "statements",
    [
        [(False, 1, BY_SERVER), (True, 2, BY_SERVER)],
        [(True, 2, BY_SERVER), (False, 1, BY_SERVER)],  # overtaken in the gateway
        [(False, 1, BY_BOB), (False, 1, None), (False, 1, {})],  # a client's
    ],
)
def test_no_false_reason(joined, statements):
    """Only the server's latest statement counts; otherwise the error does not say "no client"."""
    wire = joined(lambda *_: None)
    for connected, serial, stamp in statements:
        wire.tell_link(connected=connected, serial=serial, stamp=stamp)
    with pytest.raises(RequestTimeout, match="did not answer"):
        wire.client.ask("refresh", "alice", timeout=SOON_S)


@pytest.mark.parametrize(
    "content", [None, [], {"version": 1}, {"version": 1, "connected": 0, "serial": "1"}]
)
def test_a_malformed_statement_is_ignored(joined, content):
    """The control thread gets no error, and the next request its answer."""
    wire = joined(answer)
    wire.client.deliver_link({"metadata": {KEY: BY_SERVER}, "content": content})
    assert wire.client.ask("refresh", "alice").result["for"] == "alice"
