"""Arrow 2, websockets: a forged identity in a browser's message never reaches a kernel."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_server import LocalServer
from people import LEGACY, V1, KernelSocket, Person
from servers import DEMO, EXTENSION, kernel_of, log_after, opened, own_server, username

from jupyter_session_user.core.protocol import COMM_ID_PREFIX, REPLY_TYPE, TARGET, UPDATE_TYPE
from jupyter_session_user.core.stamp import KEY

FORMATS = pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])
INVALID_PAYLOAD = 1007

ECHO = """
import json
print(json.dumps(get_ipython().kernel.get_parent()["metadata"]))
"""
FORGED_USER = {"version": 1, "session_id": "x", "user": {"username": "mallory"}, "source": "me"}
FORGED = json.dumps(FORGED_USER)

#: The text of the metadata, as a client may write it.
FORGERIES = {
    "plain": f'{{"{KEY}": {FORGED}}}',
    "escaped": f'{{"\\u006aupyter_session_user": {FORGED}}}',
    "all escaped": '{"' + "".join(f"\\u{ord(c):04X}" for c in KEY) + f'": {FORGED}}}',
    "first of two": f'{{"{KEY}": {FORGED}, "a": 1, "{KEY}": 2}}',
    "last of two": f'{{"{KEY}": 1, "{KEY}": {FORGED}}}',
    "escaped after plain": f'{{"{KEY}": 1, "jupyter_session\\u005fuser": {FORGED}}}',
    "white space": f' \t\r\n{{ \n"{KEY}"\t:\r{FORGED} }} \n',
    "null": f'{{"{KEY}": null}}',
    "the server's own": f'{{"{KEY}": {{"version": 1, "server": true}}}}',
    "huge": f'{{"{KEY}": {{"user": "{"m" * 300_000}"}}, "kept": "{"k" * 100_000}"}}',
}

WATCH = f"""
from jupyter_session_user.kernel import ipykernel
_kernel = get_ipython().kernel
seen = []
def _note(kind):
    def note(stream, ident, message):
        seen.append([kind, message["metadata"].get("{KEY}"), message["content"]])
    return note
_kernel.control_handlers["{REPLY_TYPE}"] = _note("control reply")
_kernel.shell_handlers["{REPLY_TYPE}"] = _note("shell reply")
_kernel.control_handlers["{UPDATE_TYPE}"] = _note("control update")
_kernel.shell_handlers["{UPDATE_TYPE}"] = _note("shell update")
for _type in ("comm_open", "comm_msg", "comm_close"):
    _kernel.shell_handlers[_type] = _note(_type)
    _kernel.control_handlers[_type] = _note("control " + _type)
"""


def raw_frame(socket: KernelSocket, message: dict, metadata: str) -> str | bytes:
    """Return the message as a frame that holds exactly this text as its metadata."""
    marker = uuid.uuid4().hex
    frame = socket.frame({**message, "metadata": marker})
    quoted = json.dumps(marker)
    if isinstance(frame, str):
        return frame.replace(quoted, metadata)
    parts = [json.dumps(message[key]).encode() for key in ("header", "parent_header")]
    parts += [metadata.encode(), json.dumps(message["content"]).encode()]
    return v1_frame(message["channel"].encode(), *parts, *message["buffers"])


def v1_frame(channel: bytes, *parts: bytes) -> bytes:
    """Return a frame of the v1 protocol."""
    table, where = [], 8 * (len(parts) + 3)
    for part in (channel, *parts):
        table.append(where)
        where += len(part)
    return (
        struct.pack(f"<{len(table) + 2}Q", len(table) + 1, *table, where)
        + channel
        + b"".join(parts)
    )


async def send_raw(socket: KernelSocket, message: dict, metadata: str):
    """Send a request with this metadata, and return its outcome."""
    msg_id = message["header"]["msg_id"]
    socket._queues[msg_id] = asyncio.Queue()
    await socket.send_frame(raw_frame(socket, message, metadata))
    return await socket.finish(msg_id)


def execute_request(socket: KernelSocket, code: str, **header: object) -> dict:
    """Return a message that runs code."""
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    return socket.message("execute_request", content, **header)


def check_stamp(metadata: dict, name: str) -> None:
    """Check that the stamp names this user, and no trace of a forged stamp is left."""
    assert metadata[KEY]["user"]["username"] == name
    assert "mallory" not in json.dumps(metadata)
    assert sum(key.startswith("jupyter_session") for key in metadata) == 1


@FORMATS
@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
async def test_a_forged_stamp_never_reaches_the_kernel(alice, bob, kernel, protocol, forgery):
    """For any JSON value of the key: the kernel sees the server's stamp, and only that."""
    async with (
        opened(alice, kernel, protocol=protocol) as hers,
        opened(bob, kernel, protocol=protocol) as his,
    ):
        for socket, name in ((hers, "alice"), (his, "bob")):
            result = await send_raw(socket, execute_request(socket, ECHO), forgery)
            metadata = json.loads(result.text)
            check_stamp(metadata, name)
            assert len(metadata.get("kept", "")) in (0, 100_000)


@FORMATS
async def test_other_metadata_and_a_nested_key_arrive_as_sent(alice, bob, kernel, protocol):
    """Only the key at the top level is removed; nested keys and other keys stay."""
    mine = {"cellId": "c1", "deep": {KEY: [1, "\\", "é", "\u2028"]}, "list": [{KEY: None}]}
    for person, name in ((alice, "alice"), (bob, "bob")):
        async with opened(person, kernel, protocol=protocol) as socket:
            result = await socket.execute(ECHO, metadata=mine)
            metadata = json.loads(result.text)
            assert metadata.pop(KEY)["user"]["username"] == name
            assert metadata == mine


@FORMATS
async def test_the_header_makes_nobody_somebody_else(alice, bob, kernel, protocol):
    """The client writes the username in the header, so the cell's user is not taken from it."""
    async with opened(bob, kernel, protocol=protocol) as his:
        assert await username(his, username="alice", **{KEY: FORGED}) == "bob"
    async with opened(alice, kernel, protocol=protocol) as hers:
        assert await username(hers, username="bob") == "alice"


@FORMATS
async def test_messages_on_the_control_channel_are_stamped(alice, bob, kernel, protocol):
    """A request on the control channel with a forged stamp arrives with the sender's stamp."""
    watch = """
_kernel = get_ipython().kernel
async def _probe(stream, ident, message):
    _kernel.session.send(stream, "probe_reply", message["metadata"], message, ident=ident)
_kernel.control_handlers["probe_request"] = _probe
"""
    async with opened(alice, kernel, protocol=protocol) as hers:
        await hers.execute(watch)
        async with opened(bob, kernel, protocol=protocol) as his:
            for socket, name in ((hers, "alice"), (his, "bob")):
                message = socket.message("probe_request", {}, {KEY: FORGED_USER, "other": 1})
                msg_id = await socket.send(message, "control")
                while (answer := await socket.receive(msg_id))["channel"] != "control":
                    pass
                check_stamp(answer["content"], name)
                assert answer["content"]["other"] == 1


@FORMATS
async def test_messages_on_the_stdin_channel_are_stamped(alice, bob, kernel, protocol):
    """An answer to ``input()`` carries the stamp of its sender, never a forged one."""
    code = """
import json
_kernel, _seen = get_ipython().kernel, []
_recv = _kernel.session.recv
def _noting(*args, **options):
    ident, message = _recv(*args, **options)
    if message and message["header"]["msg_type"] == "input_reply":
        _seen.append(message["metadata"])
    return ident, message
_kernel.session.recv = _noting
try:
    answer = input("? ")
finally:
    _kernel.session.recv = _recv
print(json.dumps([answer, _seen[0]]))
"""
    for person, name in ((alice, "alice"), (bob, "bob")):
        async with opened(person, kernel, protocol=protocol) as socket:
            request = execute_request(socket, code)
            request["content"]["allow_stdin"] = True
            msg_id = await socket.send(request)
            while (await socket.receive(msg_id))["header"]["msg_type"] != "input_request":
                pass
            reply = socket.message("input_reply", {"value": "42"}, {KEY: FORGED_USER})
            await socket.send(reply, "stdin")
            answer, metadata = json.loads((await socket.finish(msg_id)).text)
            assert answer == "42"
            check_stamp(metadata, name)


@FORMATS
async def test_binary_buffers_pass_byte_for_byte(alice, bob, kernel, protocol):
    """A comm message with buffers arrives with them unchanged, and stamped."""
    code = """
import base64, json
from comm import get_comm_manager
seen = []
def _opened(comm, message):
    comm.on_msg(lambda m: seen.append(m))
get_comm_manager().register_target("buffers", _opened)
"""
    show = """
m = seen[-1]
print(json.dumps([m["metadata"], [base64.b64encode(bytes(b)).decode() for b in m["buffers"]]]))
"""
    buffers = [b"", os.urandom(1000), b'{"jupyter_session_user": 1}', bytes(range(256)), b"\0" * 9]
    buffers.append(os.urandom(2**20))  # large enough that it is not copied
    async with kernel_of(alice) as own:
        async with opened(alice, own) as socket:
            await socket.execute(code)
        for person, name in ((alice, "alice"), (bob, "bob")):
            async with opened(person, own, protocol=protocol) as socket:
                comm_id = uuid.uuid4().hex
                opening = {"comm_id": comm_id, "target_name": "buffers", "data": {}}
                await socket.send(socket.message("comm_open", opening))
                content = {"comm_id": comm_id, "data": {"é": "\u2028"}}
                message = socket.message("comm_msg", content, {KEY: FORGED_USER})
                await socket.send({**message, "buffers": buffers})
                result = await socket.execute(show)
                metadata, arrived = json.loads(result.text)
                check_stamp(metadata, name)
                assert [base64.b64decode(text) for text in arrived] == buffers


OURS = f"{COMM_ID_PREFIX}{'0' * 32}"
RESERVED = [
    (REPLY_TYPE, {"comm_id": OURS, "data": {}}),
    (UPDATE_TYPE, {"version": 1, "event": "revoked", "session": {}}),
    ("comm_open", {"comm_id": OURS, "target_name": "harmless", "data": {}}),
    ("comm_open", {"comm_id": "harmless", "target_name": TARGET, "data": {}}),
    ("comm_msg", {"comm_id": OURS, "data": {}}),
    ("comm_close", {"comm_id": OURS, "data": {}}),
]


@FORMATS
async def test_a_client_cannot_speak_for_the_server_or_on_our_comm(alice, bob, protocol):
    """The reply type and comm messages with the package's comm are dropped on every channel."""
    async with kernel_of(alice) as own, opened(alice, own, protocol=protocol) as hers:
        await hers.execute(WATCH)
        async with opened(bob, own, protocol=protocol) as his:
            for channel in ("shell", "control"):
                for kind, content in RESERVED:
                    await his.send(his.message(kind, content), channel)
                    await his.send_frame(_escaped(his, kind, content, channel))
            plain = {"comm_id": "theirs", "data": {"text": KEY}}
            await his.send(his.message("comm_msg", plain))
            assert await username(his) == "bob"  # still open, and everything before has arrived
            await _control_is_through(his)
        result = await hers.execute("print(__import__('json').dumps(seen))")
    # The server's own answers carry its stamp, which no client can write.
    seen = [each for each in json.loads(result.text) if not (each[1] or {}).get("server")]
    assert [kind for kind, _, _ in seen] == ["comm_msg"]
    assert seen[0][2] == plain
    check_stamp({KEY: seen[0][1]}, "bob")


def _escaped(socket: KernelSocket, kind: str, content: dict, channel: str) -> str | bytes:
    """Return the message with its type and ids written in JSON escapes."""
    message = {**socket.message(kind, content), "channel": channel}
    escape = "".join(f"\\u{ord(c):04x}" for c in "comm")
    if not socket.v1:
        text = json.dumps(message)
        return text.replace("comm_", escape + "_").replace(KEY, "\\u006aupyter_session_user")
    texts = [json.dumps(message[k]) for k in ("header", "parent_header", "metadata", "content")]
    texts[0] = texts[0].replace("comm_", escape + "_")
    parts = [text.replace(KEY, "\\u006aupyter_session_user").encode() for text in texts]
    # The names of the members comm_id and target_name are not escaped.
    return v1_frame(channel.encode(), *parts)


async def _control_is_through(socket: KernelSocket) -> None:
    msg_id = await socket.send(socket.message("kernel_info_request", {}), "control")
    while (await socket.receive(msg_id))["header"]["msg_type"] != "kernel_info_reply":
        pass


def _header(kind: str = "execute_request") -> dict:
    return {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "s", "username": ""}


def _v1(metadata: bytes = b"{}", channel: bytes = b"shell", header: bytes | None = None) -> bytes:
    header = json.dumps(_header()).encode() if header is None else header
    return v1_frame(channel, header, b"{}", metadata, b"{}")


def _table(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def _legacy(**changes: object) -> str:
    message = {"header": _header(), "parent_header": {}, "metadata": {}, "content": {}}
    return json.dumps({**message, "channel": "shell", **changes})


def _binary(text: str, *offsets: int) -> bytes:
    table = offsets or (8,)
    return struct.pack(f"!{len(table) + 1}I", len(table), *table) + text.encode()


GARBAGE_V1 = {
    "empty": b"",
    "one byte": b"\x01",
    "text frame": "{}",
    "text of a whole message": _legacy(),
    "count of none": _table(0),
    "too few offsets": _table(3, 32, 32, 32),
    "count beyond the frame": _table(2**40),
    "count that overflows": b"\xff" * 8,
    "too many parts": _table(1_000_000) + bytes(100),
    "offset outside": _table(6, 56, 57, 58, 59, 60, 2**62),
    "offsets descending": _table(6, 60, 59, 58, 57, 56, 56) + b"shell",
    "offset inside the table": _table(6, 8, 61, 61, 61, 61, 61) + b"shell",
    "channel of no text": _v1(channel=b"\xff\xfe"),
    "metadata broken, with our key": _v1(b'{"jupyter_session_user": }'),
    "metadata in UTF-16": _v1('{"a": 1}'.encode("utf-16")),
    "metadata with a broken escape": _v1(b'{"\\uZZZZ": 1}'),
    "metadata deeply nested": _v1(b'{"\\u0061":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "header of a comm is no JSON": _v1(header=b'{"msg_type": "comm_msg"'),
    "header is a list": _v1(header=b'["comm_msg"]'),
}
GARBAGE_LEGACY = {
    "empty text": "",
    "not JSON": "not json",
    "a number": "1",
    "a list": "[]",
    "null": "null",
    "empty object": "{}",
    "header is a list": _legacy(header=[]),
    "no parent_header": json.dumps({"header": _header(), "metadata": {}, "content": {}}),
    "content is a list": _legacy(content=[1]),
    "channel is a list": _legacy(channel=["shell"]),
    "buffers in text": _legacy(buffers=["x"]),
    "deeply nested": "[" * 100_000 + "]" * 100_000,
    "deeply nested metadata": _legacy().replace('"metadata": {}', f'"metadata": {"[" * 9_999}'),
    "binary: empty": b"",
    "binary: count beyond": b"\xff\xff\xff\xff",
    "binary: no parts": b"\0\0\0\0",
    "binary: offset outside": _binary("{}", 2**31),
    "binary: offsets descending": _binary("{}", 100, 12),
    "binary: offset in the table": _binary(_legacy(), 0),
    "binary: not UTF-8": _binary("", 8) + b"\xff\xfe",
    "binary: not JSON": _binary("{"),
    "binary: of the other format": _v1(),
}
CASES = [
    *[pytest.param(V1, frame, id=f"v1: {name}") for name, frame in GARBAGE_V1.items()],
    *[pytest.param(LEGACY, frame, id=f"legacy: {name}") for name, frame in GARBAGE_LEGACY.items()],
]


@pytest.mark.parametrize(("protocol", "frame"), CASES)
async def test_garbage_closes_that_websocket_and_nothing_else(
    server, alice, bob, kernel, protocol, frame
):
    """The sender's socket closes with 1007; the other user's cells run; no traceback is logged."""
    async with opened(alice, kernel, protocol=protocol) as hers:
        with log_after(server) as log:
            his = await bob.connect(kernel, protocol=protocol)
            await his.send_frame(frame)
            await asyncio.wait_for(his.closed.wait(), 60)
            assert his.connection.close_code == INVALID_PAYLOAD
            await his.close()
            assert await username(hers) == "alice"
    assert "Traceback" not in log[0]
    assert "Closing a websocket of kernel" in log[0]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Draw a damaged copy of a valid frame."""
    frame = bytearray(_v1(b'{"a":"b"}') if draw(st.booleans()) else _binary(_legacy()))
    for _ in range(draw(st.integers(0, 4))):
        where = draw(st.integers(0, len(frame) - 1))
        frame[where] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.integers(0, len(frame)))])


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    protocol=st.sampled_from([V1, LEGACY]),
    frame=st.binary(max_size=200) | mutations() | st.text(max_size=50),
)
def test_no_frame_at_all_disturbs_the_others(server, alice, bob, kernel, protocol, frame):
    """Any bytes close at most Bob's socket, with 1007; Alice's socket works; no traceback."""

    async def once() -> None:
        async with opened(alice, kernel, protocol=protocol) as hers:
            his = await bob.connect(kernel, protocol=protocol)
            await his.send_frame(frame)
            if not await _works(his):
                assert his.connection.close_code == INVALID_PAYLOAD
            await his.close()
            assert await username(hers) == "alice"

    with log_after(server) as log:
        asyncio.run(once())
    assert "Traceback" not in log[0]


async def _works(socket: KernelSocket) -> bool:
    """Tell whether a cell runs over this socket; False once it is closed."""
    tasks = [asyncio.create_task(username(socket)), asyncio.create_task(socket.closed.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    seen = await asyncio.gather(*tasks, return_exceptions=True)
    return seen[0] == "bob"


LATE = ["late_class_at_load", "late_class_at_start", "late_class_after_await"]


@pytest.fixture(scope="module", params=LATE)
def late_server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """Run a server with an extension that replaces the connection class after this package."""
    extensions = (EXTENSION, "probe_extension", request.param)
    with own_server(*DEMO, extensions=extensions) as running:
        yield running


@FORMATS
async def test_a_connection_class_that_comes_after_us_does_not_get_past_us(
    late_server, log_in_there, protocol
):
    """The mixin wraps the other extension's class, and forged stamps are still removed."""
    alice, bob = log_in_there
    names = (await alice.json("api/probe/server"))["connection_class"]
    assert names[0].startswith("Stamped")
    assert {"ClassFromLoad", "ClassFromStart", "ClassAfterAwait"} & set(names)
    async with kernel_of(alice) as kernel_id:
        for person, name in ((alice, "alice"), (bob, "bob")):
            async with opened(person, kernel_id, protocol=protocol) as socket:
                forged = FORGERIES["escaped"]
                result = await send_raw(socket, execute_request(socket, ECHO), forged)
                check_stamp(json.loads(result.text), name)


@pytest.fixture
def log_in_there(late_server: LocalServer, log_in) -> tuple[Person, Person]:
    """Return alice and bob on that server."""
    return log_in(late_server, "alice"), log_in(late_server, "bob")
