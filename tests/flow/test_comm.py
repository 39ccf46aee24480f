"""Arrow 5: a kernel's requests to its server while a cell runs, and the requests it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from local_server import LocalServer
from people import LEGACY, V1, KernelSocket, Person
from servers import (
    DEMO,
    EXTENSION,
    eventually,
    fresh_id,
    give_sign,
    json_lines,
    kernel_of,
    opened,
    own_server,
    people_on,
    until_it_answers,
    username,
)

from jupyter_session_user.core.protocol import COMM_ID_PREFIX, REPLY_TYPE, REQUEST_TYPE, TARGET

FORMATS = pytest.mark.parametrize("protocol", [V1, LEGACY], ids=["v1", "legacy"])

NUMEROUS = (
    "ewogICAgInVzZXJfaWQiOiAiYWJjZGVmZ2hpajEyMzQ1Njc4OTAiLAog"
    "ICAgInVzZXJfZnVsbF9uYW1lIjogIkphbmUgRG9lIgp9"
)

NAMES = """
import json
from jupyter_session_user import get_cookies
c = get_cookies()
print(json.dumps(sorted(c)))
print(json.dumps(sorted(c.withheld)))
"""
WHY = """
import json
from jupyter_session_user import CookieError, get_cookies
def why(name, read="__getitem__"):
    try:
        return ["value", getattr(get_cookies(), read)(name)]
    except CookieError as error:
        return ["refused", error.reason]
    except KeyError:
        return ["absent", ""]
"""


async def see(socket: KernelSocket, name: str, read: str = "__getitem__") -> list:
    """Return a cell's value for a cookie, or the reason for the error."""
    (answer,) = await json_lines(socket, WHY + f"print(json.dumps(why({name!r}, {read!r})))")
    return answer


@FORMATS
async def test_the_first_get_cookies_of_a_kernel_answers_while_its_cell_runs(alice, bob, protocol):
    """The first request works while the cell blocks the shell."""
    for person, flavour in ((alice, "chocolate"), (bob, "vanilla")):
        person.cookies["flavour"] = flavour
        async with kernel_of(person) as own, opened(person, own, protocol=protocol) as socket:
            code = "from jupyter_session_user import get_cookies; print(get_cookies()['flavour'])"
            result = await socket.execute(code)
            assert (result.text.strip(), result.errors) == (flavour, [])


async def test_ones_own_kernel_gets_all_but_credentials(alice, bob):
    """The kernel gets every cookie except login cookies and XSRF tokens, which are withheld."""
    alice.cookies |= {"theme": "dark", "locale": "da", "jupyterhub-session-id": "s3cret"}
    login = next(name for name in alice.cookies if name.startswith("username-"))
    async with kernel_of(alice) as own, opened(alice, own) as socket:
        names, withheld = await json_lines(socket, NAMES)
        assert names == ["demo_platform_user", "locale", "theme"]
        assert withheld == sorted(["_xsrf", "jupyterhub-session-id", login])
        assert await see(socket, "theme") == ["value", "dark"]
        assert await see(socket, login) == ["refused", "withheld"]
        assert await see(socket, "never-set") == ["absent", ""]


async def test_somebody_elses_kernel_gets_only_what_is_shared(alice, bob):
    """On Alice's kernel, Bob's cookies and their names are withheld, except ``share_cookies``."""
    for person, colour in ((alice, "red"), (bob, "blue")):
        person.cookies |= {"colour": colour, "locale": f"{colour}-locale"}
    async with kernel_of(alice) as own, opened(alice, own) as hers:
        assert await see(hers, "colour") == ["value", "red"]
        async with opened(bob, own) as his:
            assert await json_lines(his, NAMES) == [["locale"], []]
            assert await see(his, "locale") == ["value", "blue-locale"]
            assert await see(his, "colour") == ["refused", "withheld"]
            assert await see(his, "never-set") == ["refused", "withheld"]  # no hint either way
            assert await see(hers, "locale") == ["value", "red-locale"]


async def test_two_cookies_of_one_name_are_ambiguous(server, alice, bob):
    """If a cookie came twice, neither is chosen: another site may have set one of them."""
    header = alice._cookie_header()["Cookie"]
    for order in ("sid=hers; sid=planted", "sid=planted; sid=hers"):
        twice = Person(server.url, {"Cookie": f"{header}; {order}; one=1"})
        async with kernel_of(alice) as own, opened(twice, own) as socket:
            assert await see(socket, "sid") == ["refused", "ambiguous"]
            assert await see(socket, "sid", "get_signed") == ["refused", "ambiguous"]
            assert await see(socket, "one") == ["value", "1"]


async def test_the_cookie_of_the_seed_is_read_with_one_call(alice, bob, as_user):
    """``numerous_user_info``: base64 of JSON, as the platform's documentation shows it."""
    jane = {"user_id": "abcdefghij1234567890", "user_full_name": "Jane Doe"}
    assert json.loads(base64.b64decode(NUMEROUS)) == jane
    async with kernel_of(alice) as own:
        for value in (NUMEROUS, NUMEROUS.rstrip("=")):
            alice.cookies["numerous_user_info"] = value
            async with opened(alice, own) as socket:
                assert await see(socket, "numerous_user_info", "get_json") == ["value", jane]


async def signed(person: Person, name: str, value: str, days: float = 0) -> str:
    """Have the server sign a cookie, as another app on the server would; return its raw value."""
    query = urlencode({"name": name, "value": value, "age": days})
    answer = await person.json(f"api/probe/signed-cookie?{query}")
    person.cookies[name] = answer["raw"]
    return answer["raw"]


async def test_signed_cookies_are_verified_by_the_server(alice, bob):
    """A valid signature gives the value; a bad signature, another name or too old a cookie None."""
    raw = await signed(alice, "account", "a-17")
    alice.cookies["tampered"] = raw[:-1] + ("0" if raw[-1] != "0" else "1")
    alice.cookies["renamed"] = raw
    alice.cookies["plain"] = "a-17"
    await signed(alice, "old", "a-17", days=40)
    async with kernel_of(alice) as own, opened(alice, own) as socket:
        assert await see(socket, "account", "get_signed") == ["value", "a-17"]
        for name in ("tampered", "renamed", "plain", "old", "never-set"):
            assert await see(socket, name, "get_signed") == ["value", None]
        (younger,) = await json_lines(
            socket,
            "import json; from jupyter_session_user import get_cookies; c = get_cookies()\n"
            "print(json.dumps([c.get_signed('old', 41), c.get_signed('old', 39)]))",
        )
        assert younger == ["a-17", None]


#: Whether a process can read its own memory, as on Linux.
HAS_PROC = Path("/proc/self/mem").exists()

SEARCH = """
import json, os, re
def _dump(path):
    with open(path, "wb") as out:
        for name in ("environ", "cmdline"):
            out.write(open(f"/proc/self/{name}", "rb").read())
        import ipykernel
        out.write(open(ipykernel.get_connection_file(), "rb").read())
        memory = open("/proc/self/mem", "rb", 0)
        for line in open("/proc/self/maps"):
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not found or "[v" in line:
                continue
            start, end = (int(number, 16) for number in found.groups())
            try:
                memory.seek(start)
                out.write(memory.read(end - start))
            except OSError:
                pass
"""


async def test_the_cookie_secret_is_nowhere_in_the_kernel(alice, bob, need, tmp_path):
    """Environment, connection file and the whole memory of a kernel that used signed cookies."""
    need(HAS_PROC, "reading a process's memory needs Linux's /proc")
    secret = bytes.fromhex((await alice.json("api/probe/server"))["secret"])
    await signed(alice, "account", "a-17")
    marker = fresh_id()
    async with kernel_of(alice) as own, opened(alice, own) as socket:
        assert await see(socket, "account", "get_signed") == ["value", "a-17"]
        dump = tmp_path / "memory"
        result = await socket.execute(f"keep = {marker!r}{SEARCH}\n_dump({str(dump)!r})")
        assert not result.errors
    memory = dump.read_bytes()
    assert marker.encode() in memory  # the control: this search finds it
    assert b"shell_port" in memory
    assert alice.cookies["account"].split("|")[-1].encode() in memory
    for text in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")):
        assert text not in memory


async def test_a_session_of_another_kernel_is_refused(alice, bob):
    """The server answers a kernel only about sessions on that kernel."""
    code = """
import json
from jupyter_session_user import IdentityUnavailable, get_session
from jupyter_session_user.kernel.ipykernel import helper
def ask(operation, session_id):
    reply = helper().comm.ask(operation, session_id, name="x")
    return [reply.error, sorted(reply.result)]
"""
    alice.cookies["canary"] = "of alice"
    async with (
        kernel_of(alice) as hers,
        kernel_of(bob) as his,
        opened(alice, hers) as a,
        opened(bob, his) as b,
    ):
        (own,) = await json_lines(a, code + "print(json.dumps(get_session().id))")
        login = (await alice.json("api/session-user/me"))["id"]
        for socket in (a, b):
            await socket.execute(code)
        good = await json_lines(a, f"print(json.dumps(ask('cookies', {own!r})))")
        assert good[0][0] == ""
        for operation in ("cookies", "refresh", "signed"):
            for stolen in (own, login, "", "x" * 43):
                ask = f"print(json.dumps(ask({operation!r}, {stolen!r})))"
                assert await json_lines(b, ask) == [["no_session", []]]


FLOOD = """
from jupyter_session_user import get_session
from jupyter_session_user.core.protocol import Request
from jupyter_session_user.kernel.ipykernel import helper
comm, request = helper().comm, Request("r", "cookies", get_session().id).to_wire()
for _ in range(3000):
    comm._publish({"comm_id": comm._comm_id, "data": request}, comm._topic)
"""


COUNT = """
from jupyter_session_user import get_session
from jupyter_session_user.kernel.ipykernel import helper
_comm, answered = helper().comm, []
_deliver = _comm.deliver
_comm.deliver = lambda message: (answered.append(1), _deliver(message))
"""


async def flood(socket: KernelSocket) -> None:
    """Run the flood until its reply.

    Not until "idle": a ZMQ publisher drops messages that a subscriber does not fetch in time, so
    after 3,000 messages that one may be lost. The reply comes on another channel.
    """
    content = {"code": FLOOD, "silent": False, "store_history": False, "allow_stdin": False}
    msg_id = await socket.send(socket.message("execute_request", content))
    while (message := await socket.receive(msg_id))["channel"] != "shell":
        pass
    assert message["content"]["status"] == "ok"


async def test_a_flood_from_one_kernel_delays_nobody_else(alice, bob):
    """After 3,000 requests at once, Bob's kernel gets answers, and Alice's kernel runs cells.

    No clock: the flood is answered a hundred times at most (``comm_burst``, and ``comm_rate``
    while it lasts), so the server has next to nothing to do for it.
    """
    bob.cookies["flavour"] = "vanilla"
    async with (
        kernel_of(alice) as hers,
        kernel_of(bob) as his,
        opened(alice, hers) as a,
        opened(bob, his) as b,
    ):
        assert await see(b, "flavour") == ["value", "vanilla"]
        assert not (await a.execute(COUNT)).errors
        flooding = asyncio.create_task(flood(a))
        for _ in range(3):
            await b.execute(
                "from jupyter_session_user.kernel import live_session as s; s._cookies.clear()"
            )
            assert await see(b, "flavour") == ["value", "vanilla"]
        await flooding
        await until_it_answers(a)
        assert await username(a) == "alice"
        (answers,) = await json_lines(a, "print(len(answered))")
    assert 0 < answers < 1000


async def test_a_flooded_kernel_is_answered_again(alice, bob):
    """The limit is a rate: after the flood the same kernel gets its cookies."""
    alice.cookies["flavour"] = "chocolate"
    async with kernel_of(alice) as own, opened(alice, own) as socket:
        await flood(socket)
        await until_it_answers(socket)
        assert await username(socket) == "alice"
        assert await see(socket, "flavour") == ["value", "chocolate"]
        async with opened(bob, own) as his:
            assert await username(his) == "bob"


@FORMATS
async def test_no_idle_shows_while_a_cell_asks(alice, bob, protocol, tmp_path):
    """Between the cell's busy and its idle, browsers and ``api/kernels`` see only busy."""
    ask = """
import time
from jupyter_session_user import get_session
for _ in range(20):
    get_session().refresh()
print("asked", flush=True)
while not __import__("os").path.exists(FLAG): time.sleep(.01)
"""
    async with (
        kernel_of(alice) as own,
        opened(alice, own, protocol=protocol) as hers,
        opened(bob, own) as his,
    ):
        await _followed(own, alice, his)
        start = len(his.everything)
        flag = tmp_path / "go"
        cell = asyncio.create_task(hers.execute(f"FLAG = {str(flag)!r}\n{ask}"))
        await eventually(lambda: _has_printed(his, "asked"))
        assert (await alice.json(f"api/kernels/{own}"))["execution_state"] == "busy"
        give_sign(flag)
        result = await cell
        assert not result.errors
        assert await username(his) == "bob"
    states = [
        m["content"]["execution_state"]
        for m in his.everything[start:]
        if m["header"]["msg_type"] == "status"
    ]
    assert states == ["busy", "idle"] * 2  # alice's cell, and bob's


async def _has_printed(socket: KernelSocket, text: str) -> bool:
    return any(text in m["content"].get("text", "") for m in socket.everything)


async def test_a_servers_answer_is_no_activity(alice, bob):
    """The package's control messages to an idle kernel do not change ``last_activity``."""
    async with kernel_of(alice) as own, opened(alice, own) as socket:
        await _followed(own, alice, socket)
        before = await alice.json(f"api/kernels/{own}")
        states = await alice.json(f"api/probe/reply/{own}", method="POST", body={})
        after = await alice.json(f"api/kernels/{own}")
        assert await username(socket) == "alice"
        then = await alice.json(f"api/kernels/{own}")
    assert states == ["busy", "idle"]  # the kernel did handle it
    assert after["last_activity"] == before["last_activity"]
    assert after["execution_state"] == "idle"
    assert then["last_activity"] > before["last_activity"]  # a user's cell does count


BACKGROUND = """
import asyncio, pathlib
from jupyter_session_user import get_session
session = get_session()
async def later():
    while not pathlib.Path(FLAG).exists():
        await asyncio.sleep(.01)
    for _ in range(5):
        await asyncio.to_thread(session.refresh)
    pathlib.Path(FLAG).rename(FLAG + ".done")  # printing would be activity by itself
task = asyncio.create_task(later())
"""


async def test_a_kernels_question_is_no_activity(alice, bob, tmp_path):
    """Requests to the server from a background task do not protect a kernel from culling."""
    flag = tmp_path / "go"
    async with kernel_of(alice) as own, opened(alice, own) as socket:
        assert not (await socket.execute(f"FLAG = {str(flag)!r}\n{BACKGROUND}")).errors
        await _followed(own, alice, socket)
        before = await alice.json(f"api/kernels/{own}")
        give_sign(flag)
        await eventually(flag.with_name("go.done").exists)
        after = await alice.json(f"api/kernels/{own}")
    assert after["last_activity"] == before["last_activity"]


async def _followed(kernel_id: str, person: Person, socket: KernelSocket) -> None:
    """Return once the server has seen the kernel idle, after a cell over this socket.

    The server's own subscription to a new kernel may miss the first cells, and then says
    "starting" until the next one; that is so without this package, too.
    """

    async def seen() -> bool:
        assert not (await socket.execute("pass")).errors
        return await _state(person, kernel_id, "idle")

    await eventually(seen)


async def _state(person: Person, kernel_id: str, state: str) -> bool:
    return (await person.json(f"api/kernels/{kernel_id}"))["execution_state"] == state


@FORMATS
async def test_browsers_never_see_what_kernel_and_server_say(alice, bob, protocol):
    """No websocket receives the comm messages of this package, their replies or statuses."""
    alice.cookies["locale"] = canary = fresh_id()
    async with kernel_of(alice) as own:
        options = {"protocol": protocol}
        async with opened(alice, own, **options) as hers, opened(bob, own, **options) as his:
            assert await see(hers, "locale") == ["value", canary]  # printed, so seen by both
            for socket in (hers, his):
                assert not (await socket.execute(ASK_ALL)).errors
            for socket in (hers, his):
                await username(socket)
                _check_nothing_of_ours(socket)


ASK_ALL = """
from jupyter_session_user import get_cookies, get_session
get_session().refresh(); get_cookies()
"""


def _check_nothing_of_ours(socket: KernelSocket) -> None:
    kinds = {m["header"]["msg_type"] for m in socket.everything}
    parents = {m["parent_header"].get("msg_type") for m in socket.everything}
    assert kinds & {"status", "execute_reply"}
    assert not kinds & {"comm_open", "comm_msg", "comm_close", REPLY_TYPE, REQUEST_TYPE}
    assert REPLY_TYPE not in parents
    targets = [m["content"].get("target_name") for m in socket.everything]
    assert TARGET not in targets
    comm_ids = [str(m["content"].get("comm_id", "")) for m in socket.everything]
    assert not any(comm_id.startswith(COMM_ID_PREFIX) for comm_id in comm_ids)


async def test_other_comms_still_reach_browsers(alice, bob, kernel):
    """Only the topic of this package is dropped: the comms of a notebook still arrive."""
    code = "from comm import create_comm; c = create_comm('widgets', data={'a': 1}); c.send(2)"
    async with opened(alice, kernel) as hers, opened(bob, kernel) as his:
        await username(his)  # a socket that is still being opened gets nothing
        await hers.execute(code)
        await username(his)
        for socket in (hers, his):
            kinds = [m["header"]["msg_type"] for m in socket.everything]
            assert {"comm_open", "comm_msg"} <= set(kinds)


async def test_a_restarted_kernel_asks_again(alice, bob):
    """After a restart the kernel gets cookies again; the old link does not matter."""
    alice.cookies["flavour"] = "chocolate"
    async with kernel_of(alice) as own:
        for _ in range(2):
            async with opened(alice, own) as socket:
                assert await see(socket, "flavour") == ["value", "chocolate"]
                await alice.json(f"api/kernels/{own}/restart", method="POST", body={})
                await until_it_answers(socket)
                assert await see(socket, "flavour") == ["value", "chocolate"]


async def test_changed_cookies_are_seen_after_the_next_connection(alice, bob):
    """A handshake with other cookies makes a new revision, so the kernel asks again."""
    async with kernel_of(alice) as own:
        for theme in ("dark", "light"):
            alice.cookies["theme"] = theme
            async with opened(alice, own) as socket:
                assert await see(socket, "theme") == ["value", theme]
        async with opened(bob, own) as his:
            assert await see(his, "theme") == ["refused", "withheld"]


@pytest.fixture(scope="module")
def debug_server() -> Iterator[LocalServer]:
    """Run a server with the most verbose log."""
    with own_server(*DEMO, "--debug", extensions=(EXTENSION, "probe_extension")) as running:
        yield running


USES = [
    "c = get_cookies(); c",
    "print(c, repr(c), str(c), f'{c}', '%s %r' % (c, c))",
    "import pprint; pprint.pprint(c); print(list(c), len(c), c.withheld)",
    "s = get_session(); u = get_current_user(); s, u",
    "print(repr(s), str(s), s.to_wire(), u.to_wire(), s.public_model())",
    "import pickle; pickle.dumps(c)",
    "import copy; copy.deepcopy(c)",
    "import json; json.dumps(c)",
    "c['not there']",
    "c.get_json('canary')",
    "c.get_jwt('canary')",
    "1 / len(c.get_json('canary'))",
    "def f(jar, session):\n    inner = jar\n    raise RuntimeError('deep')\nf(c, s)",
    "import logging; logging.warning('cookies: %s %r', c, c)",
    "%whoami",
    "import pickle; print(pickle.dumps([s, u]))",
    "import builtins; c.no_such_attribute",
    "c + 1",
    "from jupyter_session_user.kernel import live_session; print(live_session._cookies)",
    "from jupyter_session_user.kernel.ipykernel import helper as h; print(h(), vars(h().comm))",
    "get_cookies().get_signed('canary')",
]


async def test_a_cookie_value_shows_nowhere_unless_code_asks_for_it(debug_server):
    """The secret value appears in no log, output, verbose traceback, pickle or event."""
    alice, bob = await people_on(debug_server)
    alice.cookies["canary"] = canary = f"canary-{fresh_id()}"
    bob.cookies["canary"] = another = f"canary-{fresh_id()}"
    async with kernel_of(alice) as own:
        async with opened(alice, own) as hers:
            await hers.execute("import json; from jupyter_session_user import *")
            (given,) = await json_lines(hers, "print(json.dumps(get_cookies()['canary']))")
            async with opened(bob, own) as his:
                for socket in (hers, his):
                    await socket.execute("%xmode Verbose\nfrom jupyter_session_user import *")
                    for use in USES:
                        await socket.execute(use)
                    assert await username(socket) in ("alice", "bob")
        shown = json.dumps(hers.everything, default=str)
    log = debug_server.log_text()
    assert given == canary  # the cell that asked has it
    assert "execute_request" in log or "activity on" in log  # DEBUG it is
    _check_absent(canary, another, log)
    outputs = [m for m in (*hers.everything, *his.everything) if not _asked(m)]
    assert any(m["header"]["msg_type"] == "error" for m in outputs)
    assert len(shown) > 1000
    _check_absent(canary, another, json.dumps(outputs, default=str))


def _asked(message: dict) -> bool:
    """Tell whether this is the output of the one cell that prints the value on purpose."""
    return message["content"].get("text", "").startswith('"canary-')


def _check_absent(*texts: str) -> None:
    *canaries, where = texts
    for canary in canaries:
        for form in (canary, base64.b64encode(canary.encode()).decode(), canary.encode().hex()):
            assert form not in where


async def test_a_saved_notebook_holds_no_cookie(debug_server):
    """The value is in no file that the server writes: notebook, checkpoints, history."""
    alice, _ = await people_on(debug_server)
    alice.cookies["canary"] = canary = f"canary-{fresh_id()}"
    async with kernel_of(alice) as own, opened(alice, own) as socket:
        result = await socket.execute(
            "from jupyter_session_user import *\nget_cookies(), get_session()"
        )
    assert result.text
    outputs = [{"output_type": "stream", "name": "stdout", "text": result.text + result.html}]
    cell = {"cell_type": "code", "source": "", "outputs": outputs, "metadata": {}}
    notebook = {
        "cells": [{**cell, "execution_count": 1, "id": "a"}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    model = {"type": "notebook", "format": "json", "content": notebook}
    await alice.json("api/contents/saved.ipynb", method="PUT", body=model)
    files = [path for path in debug_server.home.rglob("*") if path.is_file()]
    assert any(path.name == "saved.ipynb" for path in files)
    assert any(path.name == "history.sqlite" for path in files)
    assert not [path for path in files if canary.encode() in path.read_bytes()]
