"""Frames that are odd, but no attack: they are handled as Jupyter Server itself does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from local_server import LocalServer
from people import (
    LEGACY,
    V1,
    KernelSocket,
    Person,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)
from servers import DEMO, log_after, opened, own_server, people_on, username

from jupyter_session_user.core.stamp import KEY

MISSING = object()
HALF = "\ud800"
CODE = {"code": "print(6*7)", "silent": False, "store_history": False, "allow_stdin": False}

#: Odd fields in a client's message that runs code.
ODD: dict[str, dict[str, object]] = {
    "nothing odd": {},
    "parent_header is null": {"parent_header": None},
    "parent_header is a list": {"parent_header": []},
    "parent_header is a text": {"parent_header": "x"},
    "parent_header is missing": {"parent_header": MISSING},
    "metadata is null": {"metadata": None},
    "metadata is a list": {"metadata": []},
    "metadata is a text": {"metadata": "x"},
    "metadata is zero": {"metadata": 0},
    "metadata with NaN": {"metadata": {"a": float("nan")}},
    "metadata with half a character": {"metadata": {"a": HALF}},
    "content is null": {"content": None},
    "content is a list": {"content": []},
    "content is a text": {"content": "x"},
    "content is missing": {"content": MISSING},
    "content with half a character": {"content": {**CODE, "more": HALF}},
    "channel is null": {"channel": None},
    "channel is missing": {"channel": MISSING},
    "channel is unknown": {"channel": "nope"},
    "channel is empty": {"channel": ""},
    "channel is iopub": {"channel": "iopub"},
    "channel is a number": {"channel": 1},
    "channel is false": {"channel": False},
    "channel is half a character": {"channel": HALF},
    "channel is a list": {"channel": ["shell"]},
    "channel is an object": {"channel": {}},
    "header is null": {"header": None},
    "header is a list": {"header": []},
    "header is empty": {"header": {}},
    "header is missing": {"header": MISSING},
    "buffers are texts": {"buffers": ["x"]},
    "buffers are null": {"buffers": None},
    "one more field": {"more": {KEY: 1}},
}
PARTS = ("header", "parent_header", "metadata", "content")


@pytest.fixture(scope="module")
def stock() -> Iterator[LocalServer]:
    """Run a server without the extension."""
    with own_server(*DEMO, extensions=("probe_extension",)) as running:
        yield running


def text_frame(message: dict) -> str:
    """Return a legacy text frame."""
    return json.dumps(message)


def binary_frame(message: dict) -> bytes:
    """Return a legacy binary frame."""
    return serialize_binary_message({**message, "buffers": []})


def v1_frame(message: dict) -> bytes | None:
    """Return a v1 frame; None if the format cannot express it."""
    channel = message.get("channel")
    if not isinstance(channel, str) or channel == HALF or not message.keys() >= set(PARTS):
        return None
    return serialize_msg_to_ws_v1([json.dumps(message[part]).encode() for part in PARTS], channel)


FORMATS = {"text": (LEGACY, text_frame), "binary": (LEGACY, binary_frame), "v1": (V1, v1_frame)}


async def outcomes(person: Person, kernel: str) -> dict[str, str]:
    """Return the outcome of each malformed frame in each format."""
    return {
        f"{name} ({form})": await outcome(person, kernel, changes, form)
        for name, changes in ODD.items()
        for form in FORMATS
    }


async def outcome(person: Person, kernel: str, changes: dict[str, object], form: str) -> str:
    """Send one frame, and return its outcome."""
    protocol, write = FORMATS[form]
    socket = await person.connect(kernel, protocol=protocol)
    message = socket.message("execute_request", CODE)
    msg_id = message["header"]["msg_id"]
    message |= changes
    del message["buffers"]
    if "buffers" in changes:
        message["buffers"] = changes["buffers"]
    frame = write({key: value for key, value in message.items() if value is not MISSING})
    if frame is None:
        await socket.close()
        return "cannot be said"
    await socket.execute("pass")  # a socket that is still being opened may miss output
    await socket.send_frame(frame)
    went_on = await _goes_on(socket)
    await socket.close()
    if not went_on:
        return "closes the socket"
    replies = [m for m in socket.everything if m["header"]["msg_type"] == "execute_reply"]
    parents = [m["parent_header"].get("msg_id") for m in replies if m["content"]["status"] == "ok"]
    return "runs" if msg_id in parents else "is ignored"


async def _goes_on(socket: KernelSocket) -> bool:
    """Tell whether a cell still runs over this socket: then the frame has been handled."""
    after = asyncio.create_task(socket.execute("print('after')"))
    closed = asyncio.create_task(socket.closed.wait())
    await asyncio.wait((after, closed), return_when=asyncio.FIRST_COMPLETED)
    went_on = not socket.closed.is_set()
    for task in (after, closed):
        task.cancel()
    await asyncio.gather(after, closed, return_exceptions=True)
    return went_on


async def test_odd_frames_fare_as_they_do_without_us(stock, server, bob, alice, kernel):
    """A frame runs, is ignored or closes its socket, as on a stock server; no other socket."""
    someone, _ = await people_on(stock)
    without = await outcomes(someone, await someone.start_kernel())
    async with opened(alice, kernel) as hers:
        with_us = await outcomes(bob, kernel)
        assert await username(hers) == "alice"
    assert set(without.values()) == {
        "runs",
        "is ignored",
        "closes the socket",
        "cannot be said",
    }
    assert with_us == without


@pytest.mark.parametrize("changes", [{"channel": None}, {"channel": MISSING}], ids=["null", "none"])
async def test_no_stamp_is_logged(server, alice, bob, kernel, changes):
    """Jupyter Server logs the whole message if it names no channel."""
    for person in (alice, bob):
        session = (await person.json("api/session-user/me"))["id"]
        with log_after(server) as log:
            assert await outcome(person, kernel, changes, "text") == "runs"
            assert await outcome(person, kernel, changes, "binary") == "runs"
        assert KEY not in log[0] and session not in log[0]


@pytest.mark.parametrize("form", FORMATS)
async def test_what_is_ignored_is_logged_without_its_content(server, alice, bob, kernel, form):
    """The log has one line with the reason."""
    for person in (alice, bob):
        changes = {"channel": "nope", "content": {"code": "canary"}}
        with log_after(server) as log:
            assert await outcome(person, kernel, changes, form) == "is ignored"
        assert f"Dropping a message to kernel {kernel}: message: not a channel" in log[0]
        assert "canary" not in log[0]
