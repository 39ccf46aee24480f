"""Arrow 5, with garbage from a kernel: each message affects nothing but itself."""

from __future__ import annotations

import pytest
from people import LEGACY, V1
from servers import kernel_of, log_after, opened, username

SEND = """
import json
from jupyter_session_user.core.protocol import REQUEST_TYPE
from jupyter_session_user.kernel.ipykernel import helper
_kernel = get_ipython().kernel
ID = helper().comm._comm_id
WATCH = {"version": 1, "id": "a", "operation": "watch", "session_id": ""}
def garbage(header=None, content=None, parent={}, metadata={}):
    header = {**_kernel.session.msg(REQUEST_TYPE)["header"], **(header or {})}
    raw(*(json.dumps(p, default=str).encode() for p in (header, parent, metadata, content)))
def raw(*parts):
    signature = _kernel.session.sign(list(parts))
    _kernel.iopub_socket.send_multipart([helper().comm._topic, b"<IDS|MSG>", signature, *parts])
"""

GARBAGE = {
    "version is an object": "garbage(header={'version': {}})",
    "version is a list": "garbage(header={'version': [5, 3]})",
    "version is null": "garbage(header={'version': None})",
    "date is a list": "garbage(header={'date': [1]})",
    "content is a list": "garbage(content=[1])",
    "content is a text": "garbage(content='x')",
    "data is missing": "garbage(content={'comm_id': 'x'})",
    "comm id is an object": "garbage(content={'comm_id': {}, 'data': WATCH})",
    "comm id is half a character": "garbage(content={'comm_id': chr(0xd800), 'data': WATCH})",
    "id is half a character": (
        "garbage(content={'comm_id': ID, 'data': {**WATCH, 'id': chr(0xd800)}})"
    ),
    "not UTF-8": "raw(b'{}', b'{}', b'{}', b'\\xff')",
    "one part": "raw(b'{}')",
    "deeply nested": "raw(b'[' * 9_999, b'{}', b'{}', b'{}')",
}


@pytest.mark.parametrize("send", GARBAGE.values(), ids=GARBAGE)
async def test_a_malformed_message_of_a_kernel_costs_that_message_alone(server, alice, bob, send):
    """On a kernel that two users share, both get answers afterwards, and no error is raised."""
    for person, flavour in ((alice, "chocolate"), (bob, "vanilla")):
        person.cookies["locale"] = flavour
    ask = "from jupyter_session_user import get_cookies; print(get_cookies()['locale'])"
    async with kernel_of(alice) as own, opened(alice, own) as hers, opened(bob, own) as his:
        with log_after(server) as log:
            assert (await hers.execute(ask)).text.strip() == "chocolate"
            assert not (await hers.execute(f"{SEND}{send}")).errors
            result = await his.execute(ask)
            assert (result.text.strip(), result.errors) == ("vanilla", [])
        assert await username(hers) == "alice"
    assert "jupyter_session_user/server" not in log[0]  # no traceback with this package


ODD_PARENTS = {
    "a list": "{'msg_type': ['jupyter_session_user_reply']}",
    "an object": "{'msg_type': {'jupyter_session_user_reply': 1}}",
    "missing": "{'jupyter_session_user_reply': 1}",
}

OTHERS = """
import json
def others(parent):
    parts = [{**_kernel.session.msg("status")["header"]}, parent, {}, {"execution_state": "busy"}]
    parts = [json.dumps(part, default=str).encode() for part in parts]
    _kernel.iopub_socket.send_multipart(
        [b"status", b"<IDS|MSG>", _kernel.session.sign(parts), *parts])
"""


@pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])
@pytest.mark.parametrize("parent", ODD_PARENTS.values(), ids=ODD_PARENTS)
async def test_a_message_with_an_odd_parent_ends_no_websocket(alice, bob, parent, protocol):
    """Messages that resemble those of this package do no harm: open sockets still receive."""
    options = {"protocol": protocol}
    async with (
        kernel_of(alice) as own,
        opened(alice, own, **options) as hers,
        opened(bob, own, **options) as his,
    ):
        assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
        assert not (await hers.execute(f"{SEND}{OTHERS}others({parent})")).errors
        assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
