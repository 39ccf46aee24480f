"""The link to a kernel, over real ZMQ sockets: a malformed message affects no other message.

``LINK_MESSAGES`` says how many of them; the gate sends fewer than a thorough run would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import zmq
import zmq.asyncio
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session
from servers import eventually

from jupyter_session_user.core.protocol import (
    COMM_ID_PREFIX,
    MAX_REQUEST_BYTES,
    REPLY_TYPE,
    REQUEST_TYPE,
    Reply,
    Request,
)
from jupyter_session_user.server.messages.link import ZmqLink

MESSAGES = int(os.environ.get("LINK_MESSAGES", "20000"))
BATCH = 200

COMM_ID = f"{COMM_ID_PREFIX}{'0' * 32}"
TOPIC = f"comm-{COMM_ID}".encode()
DELIMITER = b"<IDS|MSG>"


class Kernel:
    """A kernel's two sockets, and the key that signs its messages."""

    def __init__(self, context: zmq.asyncio.Context) -> None:
        self.manager = KernelManager(kernel_id="k", transport="tcp", ip="127.0.0.1")
        self.session = Session(key=self.manager.session.key)
        self.iopub = context.socket(zmq.XPUB)
        self.iopub.set(zmq.SNDHWM, 10 * BATCH)
        self.control = context.socket(zmq.ROUTER)
        for name, socket in (("iopub", self.iopub), ("control", self.control)):
            setattr(self.manager, f"{name}_port", socket.bind_to_random_port("tcp://127.0.0.1"))

    def signed(self, *parts: bytes) -> list[bytes]:
        """Return the frames of a message of these parts."""
        return [TOPIC, DELIMITER, self.session.sign(list(parts[:4])), *parts]

    def parts(self, request_id: str, session_id: str = "") -> list[bytes]:
        """Return the parts of a valid request."""
        header = {"msg_id": os.urandom(8).hex(), "msg_type": REQUEST_TYPE, "version": "5.4"}
        data = Request(request_id, "refresh", session_id).to_wire()
        content = {"comm_id": COMM_ID, "data": data}
        return [json.dumps(part).encode() for part in (header, header, {}, content)]

    async def answer_to(self, request_id: str) -> dict[str, Any]:
        """Send a valid request, and return its answer; answers to earlier requests are dropped."""
        await self.iopub.send_multipart(self.signed(*self.parts(request_id)))
        while True:
            _, parts = self.session.feed_identities(await self.control.recv_multipart())
            message = self.session.deserialize(parts)
            if message["content"]["data"]["id"] == request_id:
                return message

    def close(self) -> None:
        """Close the sockets."""
        self.iopub.close(linger=0)
        self.control.close(linger=0)


@asynccontextmanager
async def linked(
    answer: Callable[[str, Request], Reply], log: logging.Logger | None = None
) -> AsyncIterator[Kernel]:
    """Link a kernel for the block."""
    with zmq.asyncio.Context() as context:
        kernel = Kernel(context)
        link = ZmqLink(kernel.manager, lambda: True, answer, log or logging.getLogger(__name__))
        try:
            while await kernel.iopub.recv() != b"\1comm-" + COMM_ID_PREFIX.encode():
                pass
            yield kernel
        finally:
            link.close()
            kernel.close()
            kernel.manager.context.destroy(linger=0)


def told(kernel_id: str, request: Request) -> Reply:
    """Answer a request; some session ids raise errors, others come back unchanged."""
    assert kernel_id == "k"
    if request.session_id == "raise":
        raise LookupError(request.session_id)
    return Reply(request.id, {"session": request.session_id, "name": request.name})


# --------------------------------------------------------------------------- sending

VALUES: tuple[object, ...] = (
    None, True, 0, -1, 10**400, float("nan"), float("inf"), "", "x", "\0", "\ud800", "\u202e",
    REQUEST_TYPE, COMM_ID, "raise", "x" * 5000, [], [[]], {}, {"version": {}}, [1] * 50,
)  # fmt: skip
RAW = (
    b"", b"{", b"null", b"[]", b"\xff\xfe", b"\0" * 9, b"1" * 5000, b"NaN", b'"\\ud800"',
    b"[" * 9_999, b'{"a":' * 9_999, '{"msg_type": 1}'.encode("utf-16"), b"\xed\xa0\x80",
)  # fmt: skip


class Garbage:
    """Makes mutations of valid messages."""

    def __init__(self, kernel: Kernel, seed: int) -> None:
        self._kernel = kernel
        self._chance = random.Random(seed)
        self._sent: list[list[bytes]] = []
        often = (self.structured,) * 10
        twice = (self.raw, self.flipped, self.frames, self.again) * 2
        self._kinds = (*often, *twice, self.signature)

    def make(self) -> list[bytes]:
        """Return the frames of one."""
        chance = self._chance
        kind = self.large if chance.random() < 0.01 else chance.choice(self._kinds)
        request_id, session_id = chance.choice(("a", "b", "\ud800")), chance.choice(("", "raise"))
        message = kind(self._kernel.parts(request_id, session_id))
        self._sent[:] = [*self._sent[-50:], message]
        return message

    def changed(self, value: Any, depth: int = 0) -> Any:
        """Replace or remove a value at a random place."""
        chance = self._chance
        if not isinstance(value, dict) or not value or depth > 3 or chance.random() < 0.2:
            return chance.choice(VALUES)
        key = chance.choice([*value, "version", "date", "comm_id", "data", "msg_type", "content"])
        if chance.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: self.changed(value.get(key), depth + 1)}

    def structured(self, parts: list[bytes]) -> list[bytes]:
        """Change a value."""
        at = self._chance.randrange(4)
        parts[at] = json.dumps(self.changed(json.loads(parts[at]))).encode()
        return self._kernel.signed(*parts)

    def raw(self, parts: list[bytes]) -> list[bytes]:
        """Replace a part by bytes that need not be JSON."""
        parts[self._chance.randrange(4)] = self._chance.choice(RAW)
        return self._kernel.signed(*parts)

    def flipped(self, parts: list[bytes]) -> list[bytes]:
        """Change one byte of a part, and perhaps swap two parts."""
        part = bytearray(parts[self._chance.randrange(4)] or b"x")
        part[self._chance.randrange(len(part))] = self._chance.randrange(256)
        parts[self._chance.randrange(4)] = bytes(part)
        return self._kernel.signed(*parts)

    def frames(self, parts: list[bytes]) -> list[bytes]:
        """Insert or remove frames."""
        message = self._kernel.signed(*parts)
        for _ in range(self._chance.randrange(1, 4)):
            at = self._chance.randrange(1, len(message) + 1)
            if self._chance.random() < 0.5:
                message.insert(at, self._chance.choice((b"", DELIMITER, *RAW)))
            elif len(message) > 1:
                del message[min(at, len(message) - 1)]
        return message

    def signature(self, parts: list[bytes]) -> list[bytes]:
        """Sign with a wrong key."""
        message = self._kernel.signed(*parts)
        good = message[2]
        message[2] = self._chance.choice((b"", b"0" * 64, b"\xff", good[:-1], good.upper()))
        return message

    def again(self, parts: list[bytes]) -> list[bytes]:
        """Send an earlier message again."""
        return self._chance.choice(self._sent or [self._kernel.signed(*parts)])

    def large(self, parts: list[bytes]) -> list[bytes]:
        """Add a buffer."""
        size = self._chance.choice((1, MAX_REQUEST_BYTES, 10**6))
        return [*self._kernel.signed(*parts), b"x" * size]


async def test_whatever_a_kernel_sends_costs_that_message_alone(caplog):
    """After each batch of malformed messages, a valid request over the same sockets is answered."""
    caplog.set_level(logging.WARNING)
    async with linked(told) as kernel:
        garbage = Garbage(kernel, seed=1)
        for batch in range(MESSAGES // BATCH):
            for _ in range(BATCH):
                await kernel.iopub.send_multipart(garbage.make())
            answer = await asyncio.wait_for(kernel.answer_to(f"good {batch}"), 60)
            assert answer["msg_type"] == REPLY_TYPE
            assert answer["content"]["comm_id"] == COMM_ID
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


async def test_a_flood_does_not_flood_the_log(caplog):
    """The log has some lines and then a count; no line quotes a message."""
    caplog.set_level(logging.WARNING)
    async with linked(told) as kernel:
        for _ in range(500):
            await kernel.iopub.send_multipart(kernel.signed(b"canary", b"{}", b"{}", b"{}"))
        await kernel.answer_to("good")
    assert 1 <= len(caplog.records) <= 10
    assert "canary" not in caplog.text


@pytest.mark.parametrize("extra", [b"x" * MAX_REQUEST_BYTES, b""])
async def test_what_is_too_large_is_dropped_before_it_is_read(extra):
    """A request with too many bytes or frames gets no answer."""
    asked: list[str] = []

    def answer(kernel_id: str, request: Request) -> Reply:
        asked.append(request.id)
        return told(kernel_id, request)

    async with linked(answer) as kernel:
        await kernel.iopub.send_multipart([*kernel.signed(*kernel.parts("large")), extra])
        await kernel.answer_to("good")
    assert asked == ["good"]


async def test_a_message_counts_once_and_only_with_the_kernels_signature():
    """A repeated message, a foreign key and a missing signature get no answer."""
    asked: list[str] = []

    def answer(kernel_id: str, request: Request) -> Reply:
        asked.append(request.id)
        return told(kernel_id, request)

    async with linked(answer) as kernel:
        once = kernel.signed(*kernel.parts("once"))
        foreign = kernel.signed(*kernel.parts("foreign"))
        foreign[2] = Session(key=b"another").sign(foreign[3:7])
        unsigned = kernel.signed(*kernel.parts("unsigned"))
        unsigned[2] = b""
        for message in (once, once, foreign, unsigned):
            await kernel.iopub.send_multipart(message)
        await kernel.answer_to("good")
    assert asked == ["once", "good"]


async def test_answers_that_a_kernel_does_not_read_are_not_kept():
    """If a kernel reads no answers, the server keeps a hundred of them at most.

    Its control socket is gone, so that not even the network holds any.
    """
    count = 0

    def answer(_: str, request: Request) -> Reply:
        nonlocal count
        count += 1
        return Reply(request.id, {"text": "x" * 10_000})

    async with linked(answer) as kernel:
        address = kernel.control.last_endpoint
        kernel.control.close(linger=0)
        for n in range(1000):
            await kernel.iopub.send_multipart(kernel.signed(*kernel.parts(str(n))))
        await eventually(lambda: count == 1000)
        kernel.control = kernel.iopub.context.socket(zmq.ROUTER)
        await eventually(lambda: _bound(kernel.control, address))
        kept = 0
        while await kernel.control.poll(1000):
            await kernel.control.recv_multipart()
            kept += 1
    assert 0 < kept <= 200  # as many again may have been on their way


async def test_a_flood_waits_in_the_kernel_not_in_the_server():
    """While the server is busy, fewer than 300 messages of 60 kB wait outside of the kernel."""
    async with linked(told) as kernel:
        kernel.iopub.set(zmq.SNDHWM, 1)
        kernel.iopub.set(zmq.XPUB_NODROP, 1)  # a kernel drops messages when full; this one fails
        publisher = zmq.Socket.shadow(kernel.iopub)
        flood = kernel.signed(*kernel.parts("flood"), b"x" * 60_000)
        kernel.iopub.set(zmq.SNDTIMEO, 1000)  # ms; ZMQ's own threads work on meanwhile
        taken = 0
        with contextlib.suppress(zmq.Again):
            while taken < 1000:
                publisher.send_multipart(flood)
                taken += 1
        assert 0 < taken < 300
        kernel.iopub.set(zmq.XPUB_NODROP, 0)
        kernel.iopub.set(zmq.SNDTIMEO, -1)
        await asyncio.wait_for(_until_answered(kernel), 60)


async def _until_answered(kernel: Kernel) -> None:
    """Ask until there is an answer: during the flood, requests are dropped, too."""
    while True:
        try:
            await asyncio.wait_for(kernel.answer_to("good"), 1)
        except asyncio.TimeoutError:
            continue
        return


def _bound(socket: Any, address: bytes) -> bool:
    try:
        socket.bind(address)
    except zmq.ZMQError:
        return False
    return True
