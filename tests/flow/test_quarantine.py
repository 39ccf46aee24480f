"""A kernel websocket of an ended login: no message of its client reaches the kernel any more.

Jupyter checks a login when a websocket opens, and never again. The first test shows the effect on a
server without this extension.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import real_gateways as gateways
from local_server import LocalServer
from people import LEGACY, V1, KernelSocket, Person
from servers import (
    DEMO,
    EXTENSION,
    eventually,
    fresh_id,
    give_sign,
    identity,
    is_watched,
    json_lines,
    kernel_of,
    log_after,
    opened,
    own_server,
    people_on,
    username,
)
from tornado.websocket import WebSocketClosedError

from jupyter_session_user.core.kernel_messages import is_private
from jupyter_session_user.core.protocol import REPLY_TYPE, UPDATE_TYPE
from jupyter_session_user.core.refusal import sentence

FORMATS = pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])

RECONNECT, LOGIN_OVER, INVALID_PAYLOAD = 4400, 4401, 1007

#: Notes every message that arrives at the kernel, on any channel.
WATCH = """
arrived = {}  # by id: a kernel may read a message twice
_session = get_ipython().kernel.session
def _noting(*args, _deserialize=_session.deserialize, **options):
    message = _deserialize(*args, **options)
    arrived[message["header"]["msg_id"]] = message["header"]
    return message
_session.deserialize = _noting
"""


@pytest.fixture(scope="module")
def stock_server() -> Iterator[LocalServer]:
    """Run the same server without the extension."""
    with own_server(*DEMO, extensions=("probe_extension",)) as running:
        yield running


@pytest.fixture(scope="module")
def token_server() -> Iterator[LocalServer]:
    """Run a server behind a proxy that sends the username, and a token with an expiry."""
    with own_server(*identity("HeaderIdentityProvider"), *TOKENS) as running:
        yield running


TOKENS = ("--JupyterSessionUser.jwt_header=X-Token",)
A_DAY_S = 86_400.0


def token(seconds: float, sid: str) -> str:
    """Return an unsigned JWT that is good for so long."""
    claims = {"sid": sid, "exp": time.time() + seconds}
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def behind_proxy(server: LocalServer, name: str) -> Person:
    """Return a user with a valid login, in a browser of its own."""
    return behind_proxy_at(server.url, name)


def behind_proxy_at(url: str, name: str) -> Person:
    """Return the same, by the server's address."""
    sid = fresh_id()
    return Person(url, {"X-User": name, "X-Token": token(A_DAY_S, sid), "X-Sid": sid})


async def good_for(person: Person, seconds: float) -> None:
    """Have the proxy say in a request that this user's login lasts so many seconds from now."""
    person.headers["X-Token"] = token(seconds, person.headers["X-Sid"])
    await person.json("api/me")


async def expire(person: Person) -> None:
    """Let this user's login expire."""
    await good_for(person, 0.5)
    await asyncio.sleep(0.6)


@asynccontextmanager
async def together(
    alice: Person, bob: Person, protocol: str | None, **options: Any
) -> AsyncIterator[tuple[KernelSocket, KernelSocket]]:
    """Connect both users to one kernel that records the messages it gets."""
    async with (
        kernel_of(bob) as kernel_id,
        opened(alice, kernel_id, protocol=protocol, **options) as hers,
        opened(bob, kernel_id, protocol=protocol) as his,
    ):
        await his.execute(WATCH)
        assert await username(hers) == "alice"
        assert await arrived_from(hers, his)
        await his.execute("arrived.clear()")
        yield hers, his


async def arrived_from(socket: KernelSocket, his: KernelSocket) -> list[str]:
    """Return the types of all messages from this socket that reached the kernel, as Bob sees it."""
    [headers] = await json_lines(
        his, "import json; print(json.dumps([*arrived.values()], default=str))"
    )
    return [header["msg_type"] for header in headers if header["session"] == socket.session]


def of_cell(code: str, **options: Any) -> dict[str, Any]:
    """Return the content of an execute request."""
    return {"code": code, "silent": False, "store_history": True, "allow_stdin": False} | options


def waiting_for(flag: Path, then: str) -> str:
    """Return code that waits for a file."""
    return f"import os, time\nwhile not os.path.exists({str(flag)!r}): time.sleep(.01)\n{then}"


def printing(text: str) -> str:
    """Return code that prints a text; the code itself, which all users see, does not contain it."""
    return f"print({text[::-1]!r}[::-1])"


async def started(socket: KernelSocket, code: str) -> str:
    """Send a cell, and return its id when the kernel runs it."""
    msg_id = await socket.send(socket.message("execute_request", of_cell(code)))
    while (await socket.receive(msg_id))["content"].get("execution_state") != "busy":
        pass
    return msg_id


async def sign_out(person: Person) -> None:
    """Go to the logout page; the browser forgets its cookie, the websocket stays."""
    assert (await person.fetch("logout")).code == 200


def refused_as(name: str, result: Any) -> bool:
    """Tell whether the server answered a cell in place of the kernel."""
    states = [m["content"]["execution_state"] for m in result.messages if _is(m, "status")]
    return (
        states == ["busy", "idle"]
        and result.errors == [f"{name}: {result.reply.get('evalue')}"]
        and (result.reply["status"], result.reply["ename"]) == ("error", name)
    )


def _is(message: dict[str, Any], msg_type: str) -> bool:
    return message["header"]["msg_type"] == msg_type


async def talk_until_closed(socket: KernelSocket) -> None:
    """Send code continually; messages that are sent too late are lost."""
    with contextlib.suppress(WebSocketClosedError):
        while not socket.closed.is_set():
            await socket.send(socket.message("execute_request", of_cell("1", silent=True)))
            await asyncio.sleep(0.01)


async def closed_with(socket: KernelSocket) -> int:
    """Return the code with which the server closes this socket."""
    await asyncio.wait_for(socket.closed.wait(), 60)
    code: int = socket.connection.close_code
    return code


async def test_without_us_a_person_goes_on_after_signing_out(stock_server):
    """The obvious behaviour: after alice's sign-out, her cells still run, without limit."""
    alice, bob = await people_on(stock_server)
    async with (
        kernel_of(bob) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        await sign_out(alice)
        await hers.execute("stolen = 42")
        assert (await his.execute("print(stolen)")).text == "42\n"


@FORMATS
async def test_after_signing_out_nothing_reaches_the_kernel(alice, bob, protocol):
    """After the end, no message of alice reaches the kernel on any channel; Bob is not affected."""
    async with together(alice, bob, protocol) as (hers, his):
        await sign_out(alice)
        seen = len(his.everything)
        for number in range(20):
            result = await hers.execute(f"stolen = {number}")
            assert refused_as("SessionRevoked", result)
            assert result.reply["evalue"] == sentence("signed_out")
        for channel in ("shell", "control"):
            for kind in ("execute_request", "history_request", "surprise_request"):
                await hers.finish(await hers.send(hers.message(kind, of_cell("1")), channel))
            for kind in ("comm_open", "comm_msg", "comm_close", "surprise"):
                content = {"comm_id": "c", "target_name": "t", "data": {}}
                await idle(hers, await hers.send(hers.message(kind, content), channel))
        await hers.send(hers.message("input_reply", {"value": "x"}), "stdin")
        assert refused_as("SessionRevoked", await hers.execute("1"))
        assert len(his.everything) == seen
        assert await arrived_from(hers, his) == []
        assert "NameError: name 'stolen' is not defined" in (await his.execute("stolen")).errors
        assert await username(his) == "bob"


async def idle(socket: KernelSocket, msg_id: str) -> None:
    """Wait until a message is handled; its only messages must be busy and idle."""
    states = [(await socket.receive(msg_id))["content"] for _ in range(2)]
    assert states == [{"execution_state": "busy"}, {"execution_state": "idle"}]


@FORMATS
async def test_each_answer_has_its_request_as_the_parent_and_the_kernels_own_session(
    alice, bob, protocol
):
    """A browser finds the cell by the parent; JupyterLab drops messages of an older kernel id."""
    async with together(alice, bob, protocol) as (hers, _):
        kernel_session = hers.everything[-1]["header"]["session"]
        await sign_out(alice)
        request = hers.message("execute_request", of_cell("1"), mine="ünïcode \ud800")
        await hers.finish(await hers.send(request, "control"))
        answers = [m for m in hers.everything if m["parent_header"] == request["header"]]
        assert [(m["channel"], m["header"]["msg_type"]) for m in answers] == [
            ("iopub", "status"),
            ("iopub", "error"),
            ("control", "execute_reply"),
            ("iopub", "status"),
        ]
        assert {m["header"]["session"] for m in answers} == {kernel_session}
        assert len({m["header"]["msg_id"] for m in answers}) == 4
        assert all(m["header"]["date"].endswith("Z") for m in answers)


@FORMATS
async def test_kernel_info_is_answered_truly(alice, bob, protocol):
    """The server sends the content of the kernel's own reply, without asking the kernel."""
    async with together(alice, bob, protocol) as (hers, his):
        request = his.message("kernel_info_request", {})
        truth = (await his.finish(await his.send(request))).reply
        await sign_out(alice)
        for channel in ("shell", "control"):
            msg_id = await hers.send(hers.message("kernel_info_request", {}), channel)
            told = (await hers.finish(msg_id)).reply
            assert told.keys() == truth.keys()
            assert told | {"banner": ""} == truth | {"banner": ""}  # it ends with a random hint
        assert await arrived_from(hers, his) == []


@FORMATS
async def test_silent_code_and_questions_show_no_error(alice, bob, protocol):
    """A request that a front end sends by itself gets its reply, without visible output."""
    async with together(alice, bob, protocol) as (hers, _):
        await sign_out(alice)
        for kind, status in (("execute", "error"), ("complete", "error"), ("is_complete", None)):
            message = hers.message(f"{kind}_request", of_cell("1", silent=True))
            result = await hers.finish(await hers.send(message))
            assert result.errors == []
            assert result.reply["status"] == (status or "unknown")


@FORMATS
async def test_after_signing_out_nothing_of_the_kernel_arrives(alice, bob, tmp_path, protocol):
    """Alice gets no more output of her running cell, of Bob's cells, or about a restart."""
    async with together(alice, bob, protocol) as (hers, his):
        own, others = fresh_id(), fresh_id()
        await started(hers, waiting_for(tmp_path / "go", printing(own)))
        await sign_out(alice)
        give_sign(tmp_path / "go")
        assert (await his.execute(printing(others))).text.strip() == others
        assert own in json.dumps(his.everything)
        assert refused_as("SessionRevoked", await hers.execute("1"))
        text = json.dumps(hers.everything)
        assert own not in text
        assert others not in text


@FORMATS
async def test_after_expiry_her_own_output_arrives_and_nobody_elses(
    token_server, tmp_path, protocol
):
    """Output of cells from before the end still arrives; later requests are refused."""
    alice, bob = behind_proxy(token_server, "alice"), behind_proxy(token_server, "bob")
    async with together(alice, bob, protocol) as (hers, his):
        own, others = fresh_id(), fresh_id()
        running = await started(hers, waiting_for(tmp_path / "go", printing(own)))
        await expire(alice)
        result = await hers.execute("stolen = 1")
        assert refused_as("SessionExpired", result)
        assert result.reply["evalue"] == sentence("expired")
        give_sign(tmp_path / "go")
        result = await hers.finish(running)
        assert (result.text.strip(), result.reply["status"]) == (own, "ok")
        assert (await his.execute(printing(others))).text.strip() == others
        assert refused_as("SessionExpired", await hers.execute("1"))
        assert others not in json.dumps(hers.everything)
        assert await arrived_from(hers, his) == ["execute_request"]  # the previous one
        assert await username(his) == "bob"


@FORMATS
async def test_who_is_revoked_after_expiry_sees_nothing_any_more(token_server, tmp_path, protocol):
    """The login expired first and was then revoked: the stricter state counts."""
    alice, bob = behind_proxy(token_server, "alice"), behind_proxy(token_server, "bob")
    async with together(alice, bob, protocol) as (hers, his):
        own, session = fresh_id(), await session_id_of(hers)
        await started(hers, waiting_for(tmp_path / "go", printing(own)))
        await expire(alice)
        assert refused_as("SessionExpired", await hers.execute("1"))
        again = behind_proxy(token_server, "alice")  # alice's other browser
        answer = await again.fetch(f"api/session-user/sessions/{session}", method="DELETE")
        assert answer.code == 204
        give_sign(tmp_path / "go")
        await his.execute("pass")
        assert refused_as("SessionRevoked", await hers.execute("1"))
        assert own not in json.dumps(hers.everything)


async def session_id_of(socket: KernelSocket) -> str:
    """Return the id of the session that the server stamps this socket's messages with."""
    code = "from jupyter_session_user import get_session; print(get_session().id)"
    return (await socket.execute(code)).text.strip()


@FORMATS
async def test_a_login_that_is_good_again_has_its_browser_reconnect(token_server, protocol):
    """The server never resumes a quarantined socket: it closes it, and a new handshake works.

    Her other browser wakes nothing: only a request of this very login does.
    """
    alice, bob = behind_proxy(token_server, "alice"), behind_proxy(token_server, "bob")
    async with together(alice, bob, protocol) as (hers, his):
        await expire(alice)
        assert refused_as("SessionExpired", await hers.execute("1"))
        kernel_id = await only_kernel(bob)
        elsewhere = behind_proxy(token_server, "alice")
        async with opened(elsewhere, kernel_id) as other:
            assert await username(other) == "alice"
        assert refused_as("SessionExpired", await hers.execute("1"))
        await good_for(alice, A_DAY_S)
        assert await closed_with(hers) == RECONNECT
        async with opened(alice, kernel_id, session_id=hers.session) as again:
            assert await username(again) == "alice"
            assert await username(his) == "bob"


async def only_kernel(person: Person) -> str:
    """Return the id of the newest kernel with open websockets."""
    kernels = await person.json("api/kernels")
    return max(kernels, key=lambda k: (k["connections"], k["last_activity"]))["id"]


@FORMATS
async def test_the_same_person_gets_what_was_kept_between_two_logins(
    server, alice, bob, tmp_path, log_in, protocol
):
    """A quarantined socket leaves the kernel's messages to Jupyter's buffer for this user.

    He comes with her id before her, and gets none of them.
    """
    async with kernel_of(alice) as kernel_id:
        own = fresh_id()
        hers = await alice.connect(kernel_id, protocol=protocol)
        assert await username(hers) == "alice"
        await eventually(lambda: is_watched(alice, kernel_id, hers))
        running = await started(hers, waiting_for(tmp_path / "go", printing(own)))
        await sign_out(alice)
        give_sign(tmp_path / "go")
        await eventually(lambda: _is_idle(bob, kernel_id))
        assert refused_as("SessionRevoked", await hers.execute("1"))
        assert own not in json.dumps(hers.everything)
        await hers.close()
        await eventually(lambda: _has_no_socket(bob, kernel_id))
        later = await asyncio.to_thread(log_in, server, "alice")
        options = {"session_id": hers.session, "protocol": protocol}
        async with opened(later, kernel_id, **options) as again:
            await again.execute("pass")
            mine = [m for m in again.everything if m["parent_header"].get("msg_id") == running]
            assert own in json.dumps(mine)
            assert "execute_reply" in {m["header"]["msg_type"] for m in mine}


async def test_another_person_gets_nothing_of_what_was_kept(alice, bob, tmp_path):
    """Bob connects with the id of alice's socket, and gets neither her place nor her messages."""
    async with kernel_of(alice) as kernel_id:
        own = fresh_id()
        hers = await alice.connect(kernel_id)
        await eventually(lambda: is_watched(alice, kernel_id, hers))
        await started(hers, waiting_for(tmp_path / "go", printing(own)))
        await sign_out(alice)
        give_sign(tmp_path / "go")
        await eventually(lambda: _is_idle(bob, kernel_id))
        await hers.close()
        await eventually(lambda: _has_no_socket(bob, kernel_id))
        async with opened(bob, kernel_id, session_id=hers.session) as his:
            assert await username(his) == "bob"
            assert own not in json.dumps(his.everything)


async def _is_idle(person: Person, kernel_id: str) -> bool:
    return (await person.json(f"api/kernels/{kernel_id}"))["execution_state"] == "idle"


async def _has_no_socket(person: Person, kernel_id: str) -> bool:
    return (await person.json(f"api/kernels/{kernel_id}"))["connections"] == 0


async def test_a_quarantined_socket_hears_nothing_of_a_restart(alice, bob):
    """If the kernel dies and is restarted, a signed-out user gets no message of it."""
    async with kernel_of(bob) as kernel_id:
        hers, his = await alice.connect(kernel_id), await bob.connect(kernel_id)
        assert await username(hers) == "alice"
        await sign_out(alice)
        seen = len(hers.everything)
        await his.send(his.message("execute_request", of_cell("import os; os._exit(1)")))
        await eventually(lambda: "restarting" in json.dumps(his.everything))
        assert refused_as("SessionRevoked", await hers.execute("1"))
        assert all(m["parent_header"] for m in hers.everything[seen:])
        await hers.close()
        await his.close()


@pytest.mark.parametrize(
    ("protocol", "frame"),
    [(V1, b"junk"), (V1, "{}"), (LEGACY, "junk"), (LEGACY, b"\xff\xff\xff\xff")],
)
async def test_garbage_closes_a_quarantined_socket_too(server, alice, bob, protocol, frame):
    """A malformed frame still closes the socket with 1007, without a traceback in the log."""
    async with together(alice, bob, protocol) as (hers, his):
        await sign_out(alice)
        with log_after(server) as log:
            await hers.send_frame(frame)
            assert await closed_with(hers) == INVALID_PAYLOAD
            assert await username(his) == "bob"
        assert "Traceback" not in log[0]


async def test_a_flood_of_refused_requests_is_not_answered_for_ever(alice, bob):
    """Messages above the rate limit are dropped unread; Bob's cells run meanwhile."""
    async with together(alice, bob, V1) as (hers, his):
        await sign_out(alice)
        frames = [
            hers.frame(hers.message("execute_request", of_cell("stolen = 1"))) for _ in range(5000)
        ]
        seen = len(hers.everything)
        for frame in frames:
            await hers.send_frame(frame)
        assert await username(his) == "bob"
        await hers.close()  # the answer to this one shows that all earlier ones were handled
        assert await arrived_from(hers, his) == []
        replies = [m for m in hers.everything[seen:] if _is(m, "execute_reply")]
        assert 1000 < len(replies) < len(frames)


@pytest.fixture(scope="module")
def closing_server() -> Iterator[LocalServer]:
    """Run a server that closes the websockets of logins that are over."""
    policy = "--JupyterSessionUser.expired_session_policy=close"
    with own_server(*DEMO, policy) as running:
        yield running


@pytest.fixture(scope="module")
def flagging_server() -> Iterator[LocalServer]:
    """Run a server with the policy ``flag``."""
    policy = "--JupyterSessionUser.expired_session_policy=flag"
    with own_server(*DEMO, policy) as running:
        yield running


@FORMATS
async def test_policy_close_closes_with_a_code_of_its_own(closing_server, tmp_path, protocol):
    """Alice gets 4401 and the reason; her messages meanwhile are dropped; Bob's socket stays."""
    alice, bob = await people_on(closing_server)
    with log_after(closing_server) as log:
        async with together(alice, bob, protocol) as (hers, his):
            await started(his, waiting_for(tmp_path / "go", "print('x' * 10)"))
            await asyncio.gather(talk_until_closed(hers), sign_out(alice))
            assert await closed_with(hers) == LOGIN_OVER
            assert hers.connection.close_reason == "You have logged out. Log in again."
            give_sign(tmp_path / "go")
            assert await username(his) == "bob"
    assert "Traceback" not in log[0]


@FORMATS
async def test_policy_flag_passes_everything_on_and_the_kernel_knows(flagging_server, protocol):
    """Alice's cells run, with a stamp that states the end; Bob's stamp does not mention it."""
    alice, bob = await people_on(flagging_server)
    state = "print(get_ipython().kernel.get_parent()['metadata']['jupyter_session_user']['state'])"
    async with together(alice, bob, protocol) as (hers, his):
        await sign_out(alice)
        assert (await hers.execute(state)).text.strip() == "signed_out"
        assert (await his.execute(state)).text.strip() in {"active", "expiring"}
        assert (await his.execute("print('his')")).text == "his\n"
        await hers.execute("pass")
        assert "his\\n" in json.dumps(hers.everything)  # the replies are not suppressed


@pytest.fixture(scope="module")
def aging_server() -> Iterator[LocalServer]:
    """Run a server behind a proxy, with a maximum age of websockets."""
    age = "--JupyterSessionUser.max_connection_age=2"
    with own_server(*identity("HeaderIdentityProvider"), age) as running:
        yield running


@FORMATS
async def test_an_old_connection_is_closed_so_that_the_proxy_sees_a_new_one(aging_server, protocol):
    """The socket is closed with 4400 at that age, idle or not; a new handshake works."""
    alice, bob = (Person(aging_server.url, {"X-User": name}) for name in ("alice", "bob"))
    async with kernel_of(alice) as kernel_id:
        idle_one = await alice.connect(kernel_id, protocol=protocol)
        busy_one = await bob.connect(kernel_id, protocol=protocol)
        await busy_one.execute("kept = 'kept'")
        await talk_until_closed(busy_one)
        assert await closed_with(idle_one) == await closed_with(busy_one) == RECONNECT
        async with opened(alice, kernel_id) as again:
            assert (await again.execute("print(kept)")).text == "kept\n"
            assert await username(again) == "alice"
        await idle_one.close()
        await busy_one.close()


@pytest.fixture(scope="module")
def gateway_server(need) -> Iterator[LocalServer]:
    """Run a gateway that is slow to accept websockets, and a server with its kernels there."""
    reason = gateways.missing("kernel_gateway")
    need(not reason, reason)
    with (
        gateways.gateway("kernel_gateway", "--slow") as gateway,
        own_server(
            *identity("HeaderIdentityProvider"),
            *TOKENS,
            f"--GatewayClient.url={gateway.url}",
            extensions=(EXTENSION,),
        ) as running,
    ):
        yield running


async def revoke(person: Person) -> None:
    """Have the user revoke all logins of alice in another browser."""
    other = behind_proxy_at(person.url, person.headers["X-User"])
    answer = await other.fetch("api/session-user/logout-everywhere", method="POST", body={})
    assert answer.code < 300, answer.body


async def test_behind_a_gateway_nothing_reaches_the_kernel_either(gateway_server):
    """The connection has another class, and always the legacy format."""
    alice, bob = behind_proxy(gateway_server, "alice"), behind_proxy(gateway_server, "bob")
    async with together(alice, bob, V1) as (hers, his):
        request = hers.message("kernel_info_request", {})
        truth = (await hers.finish(await hers.send(request))).reply
        kernel_session = hers.everything[-1]["header"]["session"]
        await his.execute("arrived.clear()")
        await revoke(alice)
        seen = len(hers.everything)
        for _ in range(5):
            assert refused_as("SessionRevoked", await hers.execute("stolen = 1"))
        request = hers.message("kernel_info_request", {})
        assert (await hers.finish(await hers.send(request))).reply == truth
        assert await username(his) == "bob"
        assert await arrived_from(hers, his) == []
        answers = hers.everything[seen:]
        assert {m["header"]["session"] for m in answers} == {kernel_session}
        assert {m["parent_header"]["session"] for m in answers} == {hers.session}


async def test_behind_a_gateway_her_own_output_arrives_after_expiry(gateway_server, tmp_path):
    """Output of Alice's earlier cells still arrives after an expiry, and none of Bob's does."""
    alice, bob = behind_proxy(gateway_server, "alice"), behind_proxy(gateway_server, "bob")
    async with together(alice, bob, LEGACY) as (hers, his):
        own, others = fresh_id(), fresh_id()
        running = await started(hers, waiting_for(tmp_path / "go", printing(own)))
        await expire(alice)
        assert refused_as("SessionExpired", await hers.execute("1"))
        give_sign(tmp_path / "go")
        assert (await hers.finish(running)).text.strip() == own
        assert (await his.execute(printing(others))).text.strip() == others
        assert refused_as("SessionExpired", await hers.execute("1"))
        assert others not in json.dumps(hers.everything)


async def test_what_waits_for_a_gateway_when_the_login_ends_does_not_go_on(gateway_server):
    """Jupyter sends the message again once the connection is open; then the server refuses it."""
    alice, bob = behind_proxy(gateway_server, "alice"), behind_proxy(gateway_server, "bob")
    async with kernel_of(bob) as kernel_id, opened(bob, kernel_id) as his:
        await his.execute(WATCH)
        async with opened(alice, kernel_id) as hers:  # not connected for half a second
            request = hers.message("execute_request", of_cell("stolen = 1"))
            msg_id = await hers.send(request)
            await revoke(alice)
            assert refused_as("SessionRevoked", await hers.finish(msg_id))
            assert await arrived_from(hers, his) == []


@pytest.mark.parametrize("msg_type", [UPDATE_TYPE, REPLY_TYPE])
def test_browsers_do_not_see_that_the_kernel_reads_our_messages(msg_type):
    """Their status messages would otherwise show "idle" in the middle of a cell."""
    for kind, private in ((msg_type, True), (msg_type + "_2", False), ("comm_msg", False)):
        header, parent = ({"msg_type": name, "session": "s"} for name in ("status", kind))
        packed = [json.dumps(part).encode() for part in (header, parent, {}, {})]
        assert is_private([b"kernel.status", b"<IDS|MSG>", b"", *packed]) is private
        text = json.dumps({"header": header, "parent_header": parent})
        assert is_private(text) is private
