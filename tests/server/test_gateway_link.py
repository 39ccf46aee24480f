"""Requests of a kernel behind a gateway: answered once, over a connection that is open."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from jupyter_session_user.core.protocol import (
    COMM_ID_PREFIX,
    LINK_TYPE,
    REPLY_TYPE,
    REQUEST_TYPE,
    UPDATE_TYPE,
    LinkState,
    Reply,
    Request,
    Update,
)
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import KEY, is_server_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.server.messages.gateway_link import GatewayLink

COMM_ID = COMM_ID_PREFIX + "0" * 32


class Connection:
    """The server's end of one client's websocket to the gateway."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.is_open = is_open
        self.sent: list[dict] = []

    def send_to_gateway(self, text: str) -> bool:
        """Keep the message, if open."""
        if self.is_open:
            self.sent.append(json.loads(text))
        return self.is_open

    def is_open_to_gateway(self) -> bool:
        """Tell it."""
        return self.is_open

    def kinds(self) -> list[str]:
        """Return the types of the messages."""
        return [message["header"]["msg_type"] for message in self.sent]


def published(request: Request, msg_id: str = "m1", **changes: object) -> str:
    """Return a kernel's request, as a gateway passes it on."""
    return json.dumps(
        {
            "header": {"msg_id": msg_id, "msg_type": REQUEST_TYPE},
            "parent_header": {"msg_type": REQUEST_TYPE},
            "content": {"comm_id": COMM_ID, "data": request.to_wire()},
            "channel": "iopub",
            **changes,
        }
    )


@pytest.fixture
def asked():
    """The requests that the link has handed on."""
    return []


@pytest.fixture
def link(asked):
    """A link to kernel ``k``."""

    def answer(kernel_id: str, request: Request) -> Reply:
        asked.append((kernel_id, request.operation))
        return Reply(request.id, {"value": "v"})

    manager = SimpleNamespace(kernel_id="k")
    return GatewayLink(manager, lambda: True, answer, logging.getLogger("test"))


def test_a_request_that_two_connections_bring_is_answered_once(link, asked):
    """Alice's and bob's websockets bring the same request; the first gets the reply."""
    alice, bob = Connection(), Connection()
    for connection in (alice, bob):
        link.join(connection)
        link.hear(published(Request("r1", "refresh", "s1")), connection)
    assert asked == [("k", "refresh")]
    (reply,), nothing = alice.sent, bob.sent
    assert nothing == []
    assert (reply["header"]["msg_type"], reply["channel"]) == (REPLY_TYPE, "control")
    assert reply["content"]["comm_id"] == COMM_ID
    assert is_server_stamp(reply["metadata"][KEY])
    assert Reply.from_wire(reply["content"]["data"]).id == "r1"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        b"\xff",
        published(Request("r", "refresh", "s"), channel="shell"),
        published(Request("r", "refresh", "s"), content={"comm_id": "theirs", "data": {}}),
        published(Request("r", "refresh", "s"), content={"comm_id": COMM_ID, "data": {"id": 1}}),
        published(Request("r", "refresh", "s"), header={"msg_type": REQUEST_TYPE, "msg_id": []}),
        published(Request("r", "refresh", "s"), padding="x" * 1_000_000),
    ],
)
def test_a_malformed_message_costs_that_message_alone(link, asked, text):
    """It gets no answer, and the next request does."""
    connection = Connection()
    link.hear(text, connection)
    assert (asked, connection.sent) == ([], [])
    link.hear(published(Request("r2", "refresh", "s2"), "m2"), connection)
    assert len(connection.sent) == 1


def test_an_update_goes_over_one_open_connection(link):
    """Not before the kernel has subscribed, and not over a closed connection."""
    closed, one, other = Connection(is_open=False), Connection(), Connection()
    update = Update("expired", Session("s1", User("alice"), "test", verified=True))
    for connection in (closed, one, other):
        link.join(connection)
    link.send_update(update)
    link.hear(published(Request("r1", "watch", "")), closed)
    link.send_update(update)
    assert one.kinds() + other.kinds() == [UPDATE_TYPE]
    link.close()
    link.send_update(update)
    assert len([*one.sent, *other.sent]) == 1


def states(connection: Connection) -> list[LinkState]:
    """Return what the connection told the kernel about its clients."""
    told = [m for m in connection.sent if m["header"]["msg_type"] == LINK_TYPE]
    assert all(is_server_stamp(message["metadata"][KEY]) for message in told)
    return [LinkState.from_wire(message["content"]) for message in told]


def test_the_last_client_tells_the_kernel_that_it_leaves(link):
    """Not the first of two; and the next client takes it back, with a later serial."""
    alice, bob, carol = Connection(), Connection(), Connection()
    for connection in (alice, bob):
        link.join(connection)
    link.hear(published(Request("r1", "watch", "")), alice)
    link.leave(alice)
    assert states(alice) == []
    link.leave(bob)
    (gone,) = states(bob)
    assert not gone.connected
    link.join(carol)
    link.opened(carol)
    (back,) = states(carol)
    assert back.connected and back.serial > gone.serial
    link.opened(carol)  # as after a lost connection to the gateway
    assert len(states(carol)) == 1


def test_a_client_that_is_still_connecting_is_no_client_yet(link):
    """It cannot carry a request; once it is open, the kernel learns it."""
    alice, bob = Connection(), Connection(is_open=False)
    for connection in (alice, bob):
        link.join(connection)
    link.hear(published(Request("r1", "watch", "")), alice)
    link.leave(alice)
    assert [state.connected for state in states(alice)] == [False]
    bob.is_open = True
    link.opened(bob)
    assert [state.connected for state in states(bob)] == [True]


def test_a_kernel_without_the_package_gets_no_message(link):
    """It would log an error about each unknown type."""
    alice, bob = Connection(), Connection()
    link.join(alice)
    link.leave(alice)
    link.join(bob)
    link.opened(bob)
    link.send_update(Update("expired", Session("s1", User("alice"), "test", verified=True)))
    assert alice.sent + bob.sent == []


def test_updates_wait_for_the_next_client(link):
    """The kernel gets the latest of each session, once: alice's end, and bob's."""
    alice, bob, carol = Connection(), Connection(), Connection()
    link.join(alice)
    link.hear(published(Request("r1", "watch", "")), alice)
    link.leave(alice)
    sessions = {name: Session(name, User(name), "test", verified=True) for name in ("a", "b")}
    for event, name in (("expiring", "a"), ("revoked", "b"), ("signed_out", "a")):
        link.send_update(Update(event, sessions[name]))
    link.join(bob)
    link.opened(bob)
    updates = [m["content"] for m in bob.sent if m["header"]["msg_type"] == UPDATE_TYPE]
    found = {Update.from_wire(update).session.id: update["event"] for update in updates}
    assert len(updates) == 2
    assert found == {"b": "revoked", "a": "signed_out"}
    link.join(carol)
    link.opened(carol)
    assert carol.sent == []
