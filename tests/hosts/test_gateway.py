"""Kernels behind a Jupyter Kernel Gateway: stamped by the same mixin, over another class."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator

import pytest
from local_server import LocalServer
from servers import DEMO, EXTENSION, kernel_of, opened, own_server, people_on, username

from jupyter_session_user.core.protocol import COMM_ID_PREFIX, REPLY_TYPE, REQUEST_TYPE
from jupyter_session_user.core.stamp import KEY

FORGED = {"version": 1, "session_id": "x", "user": {"username": "mallory"}, "source": "me"}
ECHO = "import json; print(json.dumps(get_ipython().kernel.get_parent()['metadata']))"


@pytest.fixture(scope="module")
def gateway_server(need) -> Iterator[LocalServer]:
    """Run a gateway, and a server that uses its kernels."""
    need(importlib.util.find_spec("kernel_gateway"), "jupyter_kernel_gateway is not installed")
    command = (sys.executable, "-m", "slow_gateway")
    with (
        own_server(command=command, extensions=()) as gateway,
        own_server(
            *DEMO,
            f"--GatewayClient.url={gateway.url}",
            extensions=(EXTENSION, "probe_extension"),
        ) as running,
    ):
        yield running


async def test_the_mixin_stands_over_the_gateway_class(gateway_server):
    """The class in use is the gateway's, with our mixin over it."""
    alice, _ = await people_on(gateway_server)
    names = (await alice.json("api/probe/server"))["connection_class"]
    assert names[0] == "StampedGatewayWebSocketConnection"
    assert "GatewayWebSocketConnection" in names


async def test_messages_through_a_gateway_are_stamped_and_forged_keys_stripped(gateway_server):
    """Two users on one remote kernel: each cell has its sender's stamp, and no other stamp."""
    alice, bob = await people_on(gateway_server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        for _ in range(2):
            for socket, name in ((hers, "alice"), (his, "bob")):
                metadata = {KEY: FORGED, "mine": 1}
                result = await socket.execute(ECHO, metadata=metadata)
                arrived = json.loads(result.text)
                assert arrived[KEY]["user"]["username"] == name
                assert "mallory" not in result.text
                assert arrived["mine"] == 1
                assert await username(socket) == name


async def test_what_is_sent_while_the_gateway_is_still_connecting_is_stamped_too(gateway_server):
    """Jupyter sends such a message through itself again, so the server stamps it twice."""
    alice, bob = await people_on(gateway_server)
    async with kernel_of(alice) as kernel_id:
        for person, name in ((alice, "alice"), (bob, "bob")):
            async with opened(person, kernel_id) as socket:  # not connected for half a second
                content = {"code": ECHO, "silent": False, "store_history": False}
                sent = []
                for _ in range(3):
                    message = socket.message("execute_request", content, {KEY: FORGED})
                    sent.append(await socket.send(message))
                for msg_id in sent:
                    result = await socket.finish(msg_id)
                    arrived = json.loads(result.text)
                    assert arrived[KEY]["user"]["username"] == name
                    assert "mallory" not in result.text


async def test_a_stolen_id_closes_nobodys_socket_behind_a_gateway(gateway_server):
    """The gateway gets the derived id: the second user's connection is a separate one."""
    alice, bob = await people_on(gateway_server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert await username(hers) == "alice"
        async with opened(bob, kernel_id, session_id=hers.session) as his:
            assert await username(his) == "bob"
            assert await username(hers) == "alice"
            assert not hers.closed.is_set()


async def test_reserved_messages_are_dropped_on_their_way_to_a_gateway(gateway_server):
    """The server's reply type, and messages on our comm, reach no remote kernel either."""
    watch = f"""
seen = []
def _note(stream, ident, message): seen.append(message["header"]["msg_type"])
_kernel = get_ipython().kernel
for _type in ("comm_msg", "{REPLY_TYPE}"):
    _kernel.shell_handlers[_type] = _kernel.control_handlers[_type] = _note
"""
    alice, bob = await people_on(gateway_server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        await hers.execute(watch)
        for channel in ("shell", "control"):
            await his.send(his.message(REPLY_TYPE, {"comm_id": "x", "data": {}}), channel)
            content = {"comm_id": COMM_ID_PREFIX + "0", "data": {}}
            await his.send(his.message("comm_msg", content), channel)
        await his.send(his.message("comm_msg", {"comm_id": "theirs", "data": {}}))
        assert await username(his) == "bob"
        result = await hers.execute("print(seen)")
    assert result.text.strip() == "['comm_msg']"


async def test_cookies_do_not_cross_a_gateway_and_the_error_says_so(gateway_server):
    """``get_current_user()`` works there; the comm does not, and the error names the cause."""
    code = """
from jupyter_session_user import RequestTimeout, get_session
from jupyter_session_user.kernel.ipykernel import helper
try:
    helper().comm.ask("cookies", get_session().id, timeout=.1)
except RequestTimeout as error:
    print(error)
"""
    alice, bob = await people_on(gateway_server)
    async with kernel_of(alice) as kernel_id, opened(bob, kernel_id) as his:
        result = await his.execute(code)
        assert "behind a gateway" in result.text
        assert await username(his) == "bob"


async def test_browsers_do_not_see_our_comm_through_a_gateway(gateway_server):
    """The kernel's requests on iopub do not reach browsers, also behind a gateway."""
    code = """
from jupyter_session_user import get_session
from jupyter_session_user.core.protocol import Request
from jupyter_session_user.kernel.ipykernel import helper
comm, request = helper().comm, Request("r", "refresh", get_session().id).to_wire()
comm._publish({"comm_id": comm._comm_id, "data": request}, comm._topic)
"""
    alice, bob = await people_on(gateway_server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert not (await hers.execute(code)).errors
        assert await username(his) == "bob"
    kinds = {m["header"]["msg_type"] for m in his.everything}
    assert not kinds & {"comm_open", "comm_msg", REQUEST_TYPE}
