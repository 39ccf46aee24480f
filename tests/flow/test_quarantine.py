"""A kernel websocket whose login is over: nothing of its client reaches the kernel any more.

Jupyter looks at a login when a websocket opens, and never again. The first test shows what
that means on a server without this extension.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
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

from jupyter_session_user.core.protocol import NEWS_TYPE, REPLY_TYPE
from jupyter_session_user.core.refusal import sentence
from jupyter_session_user.server.websocket import is_private, is_private_text
from jupyter_session_user.testing.local_server import LocalServer
from jupyter_session_user.testing.people import LEGACY, V1, KernelSocket, Person

FORMATS = pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])

RECONNECT, LOGIN_OVER, INVALID_PAYLOAD = 4400, 4401, 1007

#: Notes every message that arrives at the kernel, on whatever channel.
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
    """Return a person whose login lasts, in a browser of its own."""
    return behind_proxy_at(server.url, name)


def behind_proxy_at(url: str, name: str) -> Person:
    """Return the same, by the server's address."""
    sid = fresh_id()
    return Person(url, {"X-User": name, "X-Token": token(A_DAY_S, sid), "X-Sid": sid})


async def good_for(person: Person, seconds: float) -> None:
    """Have the proxy say at a request that the login of this person lasts so long from now."""
    person.headers["X-Token"] = token(seconds, person.headers["X-Sid"])
    await person.json("api/me")


async def expire(person: Person) -> None:
    """Let the time of this person's login run out."""
    await good_for(person, 0.5)
    await asyncio.sleep(0.6)


@asynccontextmanager
async def together(
    alice: Person, bob: Person, protocol: str | None, **options: Any
) -> AsyncIterator[tuple[KernelSocket, KernelSocket]]:
    """Have both on one kernel that notes what arrives there."""
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
    """Return the types of all that arrived at the kernel from this socket, as he sees them."""
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
    """Return code that prints a text; the code, which everybody sees, does not hold it."""
    return f"print({text[::-1]!r}[::-1])"


async def started(socket: KernelSocket, code: str) -> str:
    """Send a cell, and return its id when the kernel is at it."""
    msg_id = await socket.send(socket.message("execute_request", of_cell(code)))
    while (await socket.receive(msg_id))["content"].get("execution_state") != "busy":
        pass
    return msg_id


async def sign_out(person: Person) -> None:
    """Go to the logout page; the browser forgets its cookie, the websocket stays."""
    assert (await person.fetch("logout")).code == 200


def refused_as(name: str, result: Any) -> bool:
    """Tell whether a cell was answered in the kernel's place."""
    states = [m["content"]["execution_state"] for m in result.messages if _is(m, "status")]
    return (
        states == ["busy", "idle"]
        and result.errors == [f"{name}: {result.reply.get('evalue')}"]
        and (result.reply["status"], result.reply["ename"]) == ("error", name)
    )


def _is(message: dict[str, Any], msg_type: str) -> bool:
    return message["header"]["msg_type"] == msg_type


async def talk_until_closed(socket: KernelSocket) -> None:
    """Send code all the time; what comes too late is lost."""
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
    """The obvious behaviour: she has signed out, and her cells run, for ever."""
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
    """Not a cell, not a comm, not an interrupt, on no channel; he notices nothing."""
    async with together(alice, bob, protocol) as (hers, his):
        await sign_out(alice)
        seen = len(his.everything)
        for number in range(20):
            result = await hers.execute(f"stolen = {number}")
            assert refused_as("SessionRevoked", result)
            assert result.reply["evalue"] == sentence("ended")
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
    """Wait until a message is through; busy and idle must be all that comes for it."""
    states = [(await socket.receive(msg_id))["content"] for _ in range(2)]
    assert states == [{"execution_state": "busy"}, {"execution_state": "idle"}]


@FORMATS
async def test_each_answer_has_its_request_as_the_parent_and_the_kernels_own_session(
    alice, bob, protocol
):
    """A browser finds the cell by the parent; JupyterLab drops what seems an old kernel's."""
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
    """The kernel's own words, without asking the kernel."""
    async with together(alice, bob, protocol) as (hers, his):
        request = his.message("kernel_info_request", {})
        truth = (await his.finish(await his.send(request))).reply
        await sign_out(alice)
        for channel in ("shell", "control"):
            msg_id = await hers.send(hers.message("kernel_info_request", {}), channel)
            told = (await hers.finish(msg_id)).reply
            assert told.keys() == truth.keys()
            assert told | {"banner": ""} == truth | {"banner": ""}  # it ends in a random tip
        assert await arrived_from(hers, his) == []


@FORMATS
async def test_silent_code_and_questions_show_no_error(alice, bob, protocol):
    """What a front end asks by itself gets its reply, and leaves the screen alone."""
    async with together(alice, bob, protocol) as (hers, _):
        await sign_out(alice)
        for kind, status in (("execute", "error"), ("complete", "error"), ("is_complete", None)):
            message = hers.message(f"{kind}_request", of_cell("1", silent=True))
            result = await hers.finish(await hers.send(message))
            assert result.errors == []
            assert result.reply["status"] == (status or "unknown")


@FORMATS
async def test_after_signing_out_nothing_of_the_kernel_arrives(alice, bob, tmp_path, protocol):
    """Neither the rest of her own running cell, nor his output, nor that the kernel restarts."""
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
    """What she started while she might is hers; what she asks now is refused."""
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
        assert await arrived_from(hers, his) == ["execute_request"]  # the one before
        assert await username(his) == "bob"


@FORMATS
async def test_who_is_revoked_after_expiry_sees_nothing_any_more(token_server, tmp_path, protocol):
    """Time ran out first, then somebody threw her out: the stronger state counts."""
    alice, bob = behind_proxy(token_server, "alice"), behind_proxy(token_server, "bob")
    async with together(alice, bob, protocol) as (hers, his):
        own, session = fresh_id(), await session_id_of(hers)
        await started(hers, waiting_for(tmp_path / "go", printing(own)))
        await expire(alice)
        assert refused_as("SessionExpired", await hers.execute("1"))
        again = behind_proxy(token_server, "alice")  # her other browser
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
    """Never a release in place: the quarantined socket is closed, a new handshake works.

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
    """The quarantined socket leaves the kernel's messages where Jupyter's buffer takes them.

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
    """He comes with her socket's id: neither her place nor her messages are his."""
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
    """When the kernel dies and is started again, who has signed out is not told."""
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
    """With the same code as ever, and no traceback in the log."""
    async with together(alice, bob, protocol) as (hers, his):
        await sign_out(alice)
        with log_after(server) as log:
            await hers.send_frame(frame)
            assert await closed_with(hers) == INVALID_PAYLOAD
            assert await username(his) == "bob"
        assert "Traceback" not in log[0]


async def test_a_flood_of_refused_requests_is_not_answered_for_ever(alice, bob):
    """Beyond what people and pages do, they are dropped unread; he goes on meanwhile."""
    async with together(alice, bob, V1) as (hers, his):
        await sign_out(alice)
        frames = [
            hers.frame(hers.message("execute_request", of_cell("stolen = 1"))) for _ in range(5000)
        ]
        seen = len(hers.everything)
        for frame in frames:
            await hers.send_frame(frame)
        assert await username(his) == "bob"
        await hers.close()  # when that is answered, so is all before it
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
    """Run a server that leaves it to the kernel what to do."""
    policy = "--JupyterSessionUser.expired_session_policy=flag"
    with own_server(*DEMO, policy) as running:
        yield running


@FORMATS
async def test_policy_close_closes_with_a_code_of_its_own(closing_server, tmp_path, protocol):
    """4401 and why; what she sends while it closes is dropped; his stays open."""
    alice, bob = await people_on(closing_server)
    with log_after(closing_server) as log:
        async with together(alice, bob, protocol) as (hers, his):
            await started(his, waiting_for(tmp_path / "go", "print('x' * 10)"))
            await asyncio.gather(talk_until_closed(hers), sign_out(alice))
            assert await closed_with(hers) == LOGIN_OVER
            assert hers.connection.close_reason == "You have signed out. Sign in again."
            give_sign(tmp_path / "go")
            assert await username(his) == "bob"
    assert "Traceback" not in log[0]


@FORMATS
async def test_policy_flag_passes_everything_on_and_the_kernel_knows(flagging_server, protocol):
    """Her cells run, with a stamp that says how it stands; his stamp says nothing of it."""
    alice, bob = await people_on(flagging_server)
    state = "print(get_ipython().kernel.get_parent()['metadata']['jupyter_session_user']['state'])"
    async with together(alice, bob, protocol) as (hers, his):
        await sign_out(alice)
        assert (await hers.execute(state)).text.strip() == "ended"
        assert (await his.execute(state)).text.strip() in {"active", "expiring"}
        assert (await his.execute("print('his')")).text == "his\n"
        await hers.execute("pass")
        assert "his\\n" in json.dumps(hers.everything)  # nothing is muted


@pytest.fixture(scope="module")
def aging_server() -> Iterator[LocalServer]:
    """Run a server behind a proxy, with websockets that do not get old."""
    age = "--JupyterSessionUser.max_connection_age=2"
    with own_server(*identity("HeaderIdentityProvider"), age) as running:
        yield running


@FORMATS
async def test_an_old_connection_is_closed_so_that_the_proxy_sees_a_new_one(aging_server, protocol):
    """4400 at that age, idle or not; a new handshake works, with the kernel as it was."""
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
    """Run a gateway that is slow to accept websockets, and a server whose kernels are there."""
    need(importlib.util.find_spec("kernel_gateway"), "jupyter_kernel_gateway is not installed")
    command = (sys.executable, "-m", "slow_gateway")
    with (
        own_server(command=command, extensions=()) as gateway,
        own_server(
            *identity("HeaderIdentityProvider"),
            *TOKENS,
            f"--GatewayClient.url={gateway.url}",
            extensions=(EXTENSION,),
        ) as running,
    ):
        yield running


async def revoke(person: Person) -> None:
    """Have the person throw out all logins of hers, in another browser."""
    other = behind_proxy_at(person.url, person.headers["X-User"])
    answer = await other.fetch("api/session-user/logout-everywhere", method="POST", body={})
    assert answer.code < 300, answer.body


async def test_behind_a_gateway_nothing_reaches_the_kernel_either(gateway_server):
    """The connection is of another class, and its format always the legacy one."""
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
    """And nobody else's."""
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
    """Jupyter sends it through the connection again once that is open: it is refused then."""
    alice, bob = behind_proxy(gateway_server, "alice"), behind_proxy(gateway_server, "bob")
    async with kernel_of(bob) as kernel_id, opened(bob, kernel_id) as his:
        await his.execute(WATCH)
        async with opened(alice, kernel_id) as hers:  # not connected for half a second
            request = hers.message("execute_request", of_cell("stolen = 1"))
            msg_id = await hers.send(request)
            await revoke(alice)
            assert refused_as("SessionRevoked", await hers.finish(msg_id))
            assert await arrived_from(hers, his) == []


@pytest.mark.parametrize("msg_type", [NEWS_TYPE, REPLY_TYPE])
def test_browsers_do_not_see_that_the_kernel_reads_our_messages(msg_type):
    """The status messages that they cause would show as "idle" in the middle of a cell."""
    for kind, private in ((msg_type, True), (msg_type + "_2", False), ("comm_msg", False)):
        header, parent = ({"msg_type": name, "session": "s"} for name in ("status", kind))
        packed = [json.dumps(part).encode() for part in (header, parent, {}, {})]
        assert is_private([b"kernel.status", b"<IDS|MSG>", b"", *packed]) is private
        text = json.dumps({"header": header, "parent_header": parent})
        assert is_private_text(text) is private
