"""Kernels behind a Jupyter Kernel Gateway: stamped by the same mixin, over another class."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Iterator

import pytest
from local_server import LocalServer
from servers import (
    DEMO,
    EXTENSION,
    eventually,
    json_lines,
    kernel_of,
    opened,
    own_server,
    people_on,
    username,
)

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
            "--JupyterSessionUser.share_cookies=locale",
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


COOKIES = """
import time
from jupyter_session_user import *
begun = time.perf_counter()
cookies = get_cookies()
print(sorted(cookies), get_session().refresh().user.username)
"""
FOLLOWS = """
import threading, time
from jupyter_session_user import *
states = []
def follow():
    session = get_session()
    for _ in range(400):
        if session.state not in states: states.append(session.state)
        time.sleep(.05)
cancel = on_session_change(lambda session: states.append(f"told {session.state}"))
thread = threading.Thread(target=bind_current_user(follow)); thread.start()
"""


async def test_cookies_cross_a_gateway(gateway_server):
    """The owner of a kernel has all cookies there, until bob joins: then the shared ones."""
    alice, bob = await people_on(gateway_server)
    alice.cookies["flavour"], bob.cookies["flavour"] = "vanilla", "lemon"
    alice.cookies["locale"], bob.cookies["locale"] = "de", "fr"
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        answer = (await hers.execute(COOKIES)).text
        assert "'flavour'" in answer and answer.strip().endswith("alice")
        async with opened(bob, kernel_id) as his:
            answer = (await his.execute(COOKIES)).text.strip()
            assert answer == "['locale'] bob"
            forget = "from jupyter_session_user.kernel import live_session as s; s._cookies.clear()"
            await hers.execute(forget)
            assert (await hers.execute(COOKIES)).text.strip() == "['locale'] alice"


async def test_the_end_of_a_login_crosses_a_gateway(gateway_server):
    """A thread that alice's cell left learns of her end; bob's session goes on."""
    alice, bob = await people_on(gateway_server)
    async with (
        kernel_of(bob) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert not (await hers.execute(FOLLOWS)).errors
        assert await username(his) == "bob"
        await alice.fetch("logout")

        async def ended():
            seen = (await his.execute("print(states)")).text
            return "'signed_out'" in seen and "told signed_out" in seen

        await eventually(ended)
        check = "from jupyter_session_user import *; print(get_session().state)"
        assert (await his.execute(check)).text.strip() == "active"


async def test_the_gateway_learns_who_starts_a_kernel(gateway_server):
    """``KERNEL_USERNAME`` is the starter's name, also in bob's cell on alice's kernel."""
    code = "import os; from jupyter_session_user import *; "
    code += "print(os.environ.get('KERNEL_USERNAME'), get_current_user().username)"
    alice, bob = await people_on(gateway_server)
    for starter, name in ((alice, "alice"), (bob, "bob")):
        async with (
            kernel_of(starter) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            for socket, sender in ((hers, "alice"), (his, "bob")):
                assert (await socket.execute(code)).text.strip() == f"{name} {sender}"


ASKS_ALONE = """
import threading, time
from jupyter_session_user import *
from jupyter_session_user.kernel.ipykernel import helper
asked = []
def ask(operation):
    session = get_session()
    time.sleep(1.5)
    begun = time.perf_counter()
    try: helper().comm.ask(operation, session.id)
    except RequestTimeout as error: asked.append((time.perf_counter() - begun, str(error)))
for operation in ("cookies", "refresh"):
    threading.Thread(target=bind_current_user(ask), args=(operation,)).start()
"""


async def test_without_a_client_a_request_fails_at_once_and_names_the_fix(gateway_server):
    """A thread of alice asks after her tab is closed; bob opens his, and is answered."""
    alice, bob = await people_on(gateway_server)
    bob.cookies["locale"] = "fr"
    async with kernel_of(alice) as kernel_id:
        async with opened(alice, kernel_id) as hers:
            assert not (await hers.execute(ASKS_ALONE)).errors
        await asyncio.sleep(3)
        async with opened(bob, kernel_id) as his:
            (_, said), (_, too) = times = await json_lines(
                his, "import json\nfor one in asked: print(json.dumps(one))"
            )
            assert "the last client has disconnected" in said and said == too
            assert said.endswith("Open the notebook of this kernel, then call again.")
            assert min(seconds for seconds, _ in times) < 0.1
            assert (await his.execute(COOKIES)).text.strip() == "['locale'] bob"


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
