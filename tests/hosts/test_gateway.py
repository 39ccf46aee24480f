"""Kernels behind Kernel Gateway and Enterprise Gateway: the same mixin, over another class.

Enterprise Gateway's kernels run in its own environment: with ipykernel 6, and Jupyter Server 1.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import real_gateways as gateways
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


@pytest.fixture(scope="module", params=gateways.GATEWAYS)
def gateway_server(request, need) -> Iterator[LocalServer]:
    """Run a gateway, and a server that uses its kernels."""
    reason = gateways.missing(request.param)
    need(not reason, reason)
    with (
        gateways.gateway(request.param, "--slow") as gateway,
        own_server(
            *DEMO,
            f"--GatewayClient.url={gateway.url}",
            "--JupyterSessionUser.share_cookies=locale",
            "--JupyterSessionUser.share_cookies=account",
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
import json, threading, time
from jupyter_session_user import *
try: learned
except NameError: learned = {}
def learn(name, what): learned.setdefault(f"{name} {what}", time.time())
def follow():
    session = get_session()
    for _ in range(1200):
        learn(session.user.username, session.state)
        time.sleep(.05)
def told(session): learn(get_current_user(allow_expired=True).username, "told " + session.state)
cancel = on_session_change(told)
thread = threading.Thread(target=bind_current_user(follow), daemon=True); thread.start()
"""
LEARNED = "print(json.dumps(learned))"
SIGNED = """
from jupyter_session_user import get_cookies
print(get_cookies().get_signed("account"), get_cookies().get_signed("locale"))
"""
CALLBACKS = """
from comm import get_comm_manager
from jupyter_session_user import get_current_user
def on_open(comm, message):
    @comm.on_msg
    def answer(message): comm.send({"user": get_current_user().username})
get_comm_manager().register_target("who", on_open)
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
        for socket in (hers, his):
            assert not (await socket.execute(FOLLOWS)).errors
        left = time.time()
        await alice.fetch("logout")

        async def ended():
            (learned,) = await json_lines(his, LEARNED)
            both = {"alice signed_out", "alice told signed_out"} <= learned.keys()
            return learned if both else None

        learned = await eventually(ended)
        assert learned["alice signed_out"] - left < 1
        assert {key for key in learned if key.startswith("bob")} == {"bob active"}
        check = "from jupyter_session_user import *; print(get_session().state)"
        assert (await his.execute(check)).text.strip() == "active"


async def test_the_next_client_brings_the_end_that_happened_meanwhile(gateway_server):
    """Alice closes her tab and signs out: her thread learns it when bob opens his."""
    alice, bob = await people_on(gateway_server)
    async with kernel_of(alice) as kernel_id:
        async with opened(alice, kernel_id) as hers:
            assert not (await hers.execute(FOLLOWS)).errors
        await alice.fetch("logout")
        await asyncio.sleep(1)
        async with opened(bob, kernel_id) as his:

            async def ended():
                (learned,) = await json_lines(his, LEARNED)
                return {"alice signed_out", "alice told signed_out"} <= learned.keys()

            await eventually(ended)
            assert await username(his) == "bob"


async def test_signed_values_cross_a_gateway(gateway_server):
    """The server verifies each user's own cookie; a value that it did not sign is none."""
    people = await people_on(gateway_server)
    async with kernel_of(people[0]) as kernel_id:
        for person, value in zip(people, ("a-17", "b-23"), strict=True):
            path = f"api/probe/signed-cookie?name=account&value={value}"
            person.cookies["account"] = (await person.json(path))["raw"]
            person.cookies["locale"] = person.cookies["account"]  # signed for the other name
            async with opened(person, kernel_id) as socket:
                assert (await socket.execute(SIGNED)).text.strip() == f"{value} None"


async def test_a_callback_runs_as_the_sender_of_its_message(gateway_server):
    """Alice's and bob's widget messages in turn, with forged stamps, on one comm."""
    alice, bob = await people_on(gateway_server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        assert not (await hers.execute(CALLBACKS)).errors
        content = {"comm_id": "c1", "target_name": "who", "data": {}}
        await hers.send(hers.message("comm_open", content))
        for socket, name in ((hers, "alice"), (his, "bob"), (hers, "alice")):
            click = socket.message("comm_msg", {"comm_id": "c1", "data": {}}, {KEY: FORGED})
            await socket.send(click)
            while True:
                answer = await socket.receive(click["header"]["msg_id"])
                if answer["header"]["msg_type"] == "comm_msg":
                    break
            assert answer["content"]["data"] == {"user": name}


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
            assert "the last client had disconnected" in said and said == too
            assert said.endswith("Open the notebook of this kernel, then call again.")
            assert min(seconds for seconds, _ in times) < 0.1
            assert (await his.execute(COOKIES)).text.strip() == "['locale'] bob"
    parents = {message["parent_header"].get("msg_type", "") for message in his.everything}
    assert not [kind for kind in parents if kind.startswith(KEY)]


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


@pytest.mark.parametrize("kind", gateways.GATEWAYS)
async def test_after_a_gateway_was_killed_each_user_is_the_same(kind, need):
    """The tabs close while Jupyter tries to connect again; new kernels have alice and bob."""
    reason = gateways.missing(kind)
    need(not reason, reason)
    with (
        gateways.gateway(kind) as first,
        own_server(*DEMO, f"--GatewayClient.url={first.url}") as server,
    ):
        alice, bob = people = await people_on(server)
        kernel_id = await alice.start_kernel()
        async with opened(alice, kernel_id) as hers, opened(bob, kernel_id) as his:
            assert [await username(socket) for socket in (hers, his)] == ["alice", "bob"]
            first.process.kill()
            first.process.wait()
            await eventually(lambda: server.log_text().count("Attempting to re-establish") >= 2)
        await asyncio.sleep(3)  # its pause is one to two seconds
        assert "AssertionError" not in server.log_text()
        with gateways.gateway(kind, port=urlsplit(first.url).port):
            for person, name in zip(people, ("alice", "bob"), strict=True):
                async with kernel_of(person) as new, opened(person, new) as socket:
                    assert await username(socket) == name
