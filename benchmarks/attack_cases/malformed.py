"""Item 13: messages of bob's cell on our topic cost alice the link to the server."""

from __future__ import annotations

from collections.abc import AsyncIterator

from people import KernelSocket

from attack_cases.stage import BrokenAttackError, Row, Shared, Stage, run, shared

#: Bob's cell: ``message`` is as ours would be, ``change`` spoils it, and it is signed well.
_SEND = """
from jupyter_session_user.core.protocol import COMM_ID_PREFIX, REQUEST_TYPE, Request
session = get_ipython().kernel.session
comm_id = COMM_ID_PREFIX + "0" * 32
data = Request("0" * 32, "refresh", get_session().id).to_wire()
message = session.msg(REQUEST_TYPE, {{"comm_id": comm_id, "data": data}})
raw = None
{change}
topic = f"comm-{{comm_id}}".encode()
stream = get_ipython().kernel.iopub_socket
if raw is None:
    session.send(stream, message, ident=topic)
else:
    stream.send_multipart([topic, b"<IDS|MSG>", session.sign(raw[:4]), *raw])
"""
_DEEP = "b'[' * 100_000 + b']' * 100_000"
#: How each message is spoilt.
CHANGES = {
    "header.version = {}": 'message["header"]["version"] = {}',
    "header.version = null": 'message["header"]["version"] = None',
    "header.version = 5.3 (a number)": 'message["header"]["version"] = 5.3',
    "header.version = '4.1' (an old one)": 'message["header"]["version"] = "4.1"',
    "header.version = '9' * 5000": 'message["header"]["version"] = "9" * 5000',
    "header is a list": 'raw = [b"[]", b"{}", b"{}", b"{}"]',
    "header.msg_type = {}": 'message["header"]["msg_type"] = {}',
    "header.date = []": 'message["header"]["date"] = []',
    "header.date = far away": 'message["header"]["date"] = "9" * 4000 + "-01-01T00:00:00Z"',
    "parent_header is a number": (
        'raw = [session.pack(message["header"]), b"7", b"{}", session.pack(message["content"])]'
    ),
    "content is a list": 'raw = [session.pack(message["header"]), b"{}", b"{}", b"[]"]',
    "content is null": 'raw = [session.pack(message["header"]), b"{}", b"{}", b"null"]',
    "content nests 100,000 deep": (
        f'raw = [session.pack(message["header"]), b"{{}}", b"{{}}", {_DEEP}]'
    ),
    "a part is no UTF-8": 'raw = [session.pack(message["header"]), b"{}", b"{}", b"\\xff\\xfe"]',
    "too few parts": 'raw = [session.pack(message["header"]), b"{}"]',
    "data.session_id = {}": 'data["session_id"] = {}',
    "data.operation = []": 'data["operation"] = []',
    "data.max_age_days = NaN": 'data["max_age_days"] = float("nan")',
    "a lone surrogate as id": (
        'data["id"] = "\\ud800"\n'
        'raw = [session.pack(message["header"]), b"{}", b"{}", '
        'json.dumps(message["content"]).encode()]'
    ),
    "comm_id is an object": 'message["content"]["comm_id"] = {}',
    "no comm_id": 'del message["content"]["comm_id"]',
}
_ASK = "print(get_cookies().get('theme'))"


async def messages(stage: Stage) -> AsyncIterator[Row]:
    """Alice asks for her cookies after each message of bob's."""
    left = dict(CHANGES)
    while left:
        async with shared(stage) as both:
            alice = stage.person("alice", theme="dark")
            socket = await alice.connect(both.kernel)
            for name, change in list(left.items()):
                del left[name]
                row = await _row(both, name, change, socket)
                yield row
                if not row.held:
                    break  # a link that is gone says nothing of the next message
            await socket.close()


async def _row(both: Shared, name: str, change: str, socket: KernelSocket) -> Row:
    await run(both.his, _SEND.format(change=change))
    result = await socket.execute(_ASK)
    if result.text.strip() == "dark":
        return Row(13, name, True, "the kernel's next question is answered")
    if result.errors and "RequestTimeout" in result.errors[0]:
        return Row(13, name, False, "the kernel gets no answer any more")
    raise BrokenAttackError(result.text or str(result.errors))
