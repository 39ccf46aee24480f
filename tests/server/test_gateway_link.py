"""Requests of a kernel behind a gateway: answered once, over a connection that is open."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from jupyter_session_user.core.protocol import (
    COMM_ID_PREFIX,
    REPLY_TYPE,
    REQUEST_TYPE,
    UPDATE_TYPE,
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
    sent = [message["header"]["msg_type"] for message in (*one.sent, *other.sent)]
    assert sent == [UPDATE_TYPE]
    link.close()
    link.send_update(update)
    assert len([*one.sent, *other.sent]) == 1
