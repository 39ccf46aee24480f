"""Access tokens of a real server and a real provider: each kernel gets its own user's, or none."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket as sockets
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from agents import agent_of
from audits import Audit
from ended_logins import STATES, RunningCell, end_login
from exchange_server import OIDC, configured, entry, token_server
from hub import code_block
from local_server import LocalServer
from needs import has_release
from oauth_provider import CLIENT_SECRET
from people import KernelSocket, Person
from servers import (
    PASSWORDS,
    eventually,
    identity,
    json_lines,
    kernel_of,
    no_traceback,
    opened,
    own_server,
    people_on,
    username,
)

from jupyter_session_user.core.login_tokens import claims_in
from jupyter_session_user.core.protocol import (
    COMM_ID_PREFIX,
    REPLY_TYPE,
    REQUEST_TYPE,
    TARGET,
    Request,
)

ROOT = Path(__file__).parents[2]
#: Prints the token of the cell's user, or the code of the error and its address.
ASK = """
import json, jupyter_session_user as j
try:
    print(json.dumps(str(j.get_access_token({name!r}))))
except j.SessionUserError as error:
    print(json.dumps(error.code + " " + getattr(error, "login_url", "")))
"""
#: Asks the server as hostile code would: with any session id, and past the caches.
HOSTILE = """
import json
from jupyter_session_user.kernel.ipykernel import helper
reply = helper().comm.ask("access_token", {session!r}, name={name!r})
print(json.dumps(reply.error or reply.result["token"]))
"""
ID = "import json, jupyter_session_user as j; print(json.dumps(j.get_session().id))"


@pytest.fixture(scope="module")
def server(running_provider) -> Iterator[LocalServer]:
    """Run a server that exchanges tokens, with the most verbose log."""
    with token_server(running_provider, "--debug") as running:
        yield running


def free_port() -> int:
    """Return a port that is free now."""
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def ask(socket: KernelSocket, name: str = "trino") -> str:
    """Return the token that a cell gets, or the code of the error."""
    (answer,) = await json_lines(socket, ASK.format(name=name))
    return answer.strip()


async def hostile(socket: KernelSocket, session: str, name: str = "trino") -> str:
    """Return what the server answers to this session id in this kernel."""
    (answer,) = await json_lines(socket, HOSTILE.format(session=session, name=name))
    return answer


async def test_two_people_two_kernels(server, provider):
    """Each gets a token about the own account, for the asked service alone, by either grant."""
    alice, bob = await people_on(server)
    for person, name in ((alice, "alice"), (bob, "bob")):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            for service, audience in (
                ("trino", "trino"),
                ("reports", "https://reports.example.org"),
                ("mail", "reports"),
            ):
                token = await ask(socket, service)
                said = claims_in(token)
                assert (said["sub"], said["aud"]) == (f"id-of-{name}", audience)
                assert provider.seen()["users"][token] == name
                assert await ask(socket, service) == token  # kept
    grants = {one["grant_type"].rpartition(":")[2] for one in provider.seen()["requests"]}
    assert grants == {"token-exchange", "refresh_token"}


async def imported(socket: KernelSocket) -> None:
    """Import the package: on ipykernel 6, an async cell that imports it has no user itself."""
    if not has_release("ipykernel>=7"):
        await socket.execute("import jupyter_session_user")


async def test_in_a_running_cell(server, provider):
    """A cell that runs gets one, too, while the kernel is busy; so does a task of it."""
    del provider
    code = """
import asyncio, json, jupyter_session_user as j
async def later():
    await asyncio.sleep(0.1)
    return await asyncio.to_thread(j.get_access_token, "trino")
print(json.dumps(str(await asyncio.create_task(later()))))
"""
    for person, name in zip(await people_on(server), ("alice", "bob"), strict=True):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            await imported(socket)
            (token,) = await json_lines(socket, code)
            assert claims_in(token)["sub"] == f"id-of-{name}"


async def test_a_hundred_askers_are_one_exchange(server, provider):
    """All who ask at the same time, in two kernels of alice, wait for one answer; bob for his."""
    alice, bob = await people_on(server)
    code = """
import asyncio, json, jupyter_session_user as j
from jupyter_session_user.kernel import access_tokens
async def one():
    access_tokens._kept.clear()
    return str(await asyncio.to_thread(j.get_access_token, "trino"))
print(json.dumps(sorted(set(await asyncio.gather(*(one() for _ in range(50)))))))
"""
    provider.faults(slow_s=1)
    before = len(provider.seen()["requests"])
    async with (
        kernel_of(alice) as first_id,
        kernel_of(alice) as second_id,
        kernel_of(bob) as his_id,
        opened(alice, first_id) as first,
        opened(alice, second_id) as second,
        opened(bob, his_id) as his,
    ):
        for socket in (first, second, his):
            await imported(socket)
        asked = [json_lines(socket, code) for socket in (first, second, his)]
        (one,), (two,), (three,) = await asyncio.gather(*asked)
    assert len(one) == 1 and one == two and three != one and len(three) == 1
    assert len(provider.seen()["requests"]) == before + 2


async def test_a_shared_kernel_gets_none(server, provider):
    """From the moment when bob joins, neither gets one in alice's kernel, in any way."""
    del provider
    alice, bob = await people_on(server)
    code = "access_token_unavailable.shared_kernel"
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert claims_in(await ask(hers))["sub"] == "id-of-alice"
        (her_id,) = await json_lines(hers, ID)
        async with opened(bob, kernel_id) as his:
            (his_id,) = await json_lines(his, ID)
            assert await ask(his) == code
            for socket in (his, hers):
                for session in (her_id, his_id):
                    assert await hostile(socket, session) == code
        assert await ask(hers, "reports") == code


async def test_shared_kernels_where_the_administrator_allows_them(server, provider):
    """For that service each gets the own token there; an onlooker lends no rights."""
    del provider
    alice, bob = await people_on(server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        await ask(hers, "shared")
        assert (await bob.fetch(f"api/kernels/{kernel_id}")).code == 200
        sessions = await bob.json("api/session-user/sessions")
        for one in sessions:
            answer = await hostile(hers, one["id"], "shared")
            assert answer.startswith(("no_session", "access_token_unavailable."))
        async with opened(bob, kernel_id) as his:
            for socket, name in ((hers, "alice"), (his, "bob"), (hers, "alice")):
                assert claims_in(await ask(socket, "shared"))["sub"] == f"id-of-{name}"
            assert await ask(his) == "access_token_unavailable.shared_kernel"


async def test_another_users_session_id_is_worth_nothing(server, provider):
    """In bob's own kernel the ids of alice's sessions give no token, nor do other ids."""
    del provider
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as her_kernel,
        kernel_of(bob) as his_kernel,
        opened(alice, her_kernel) as hers,
        opened(bob, his_kernel) as his,
    ):
        assert claims_in(await ask(hers))["sub"] == "id-of-alice"
        (her_id,) = await json_lines(hers, ID)
        listed = [session["id"] for session in await alice.json("api/session-user/sessions")]
        assert her_id in listed
        for session in (*listed, "", "x"):
            assert await hostile(his, session) == "no_session"
        assert claims_in(await ask(his))["sub"] == "id-of-bob"


async def test_an_agent_gets_none(server, provider):
    """The token would name the person alone, so an agent gets none; the person does, alone."""
    del provider
    for person, name in zip(await people_on(server), ("alice", "bob"), strict=True):
        agent = await agent_of(person, "Helper")
        async with kernel_of(agent) as kernel_id, opened(agent, kernel_id) as socket:
            assert await username(socket) == name
            assert await ask(socket, "shared") == "access_token_unavailable.agent"
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            assert claims_in(await ask(socket))["sub"] == f"id-of-{name}"


@pytest.mark.parametrize("code", ["interaction_required", "consent_required", "invalid_grant"])
async def test_the_user_has_to_agree(server, provider, code):
    """The error has the address where alice agrees, and its text shows it; bob gets his token."""
    alice, bob = await people_on(server)
    provider.faults(error=code, only=["alice"])
    async with (
        kernel_of(alice) as hers_id,
        kernel_of(bob) as his_id,
        opened(alice, hers_id) as hers,
        opened(bob, his_id) as his,
    ):
        page = f"{server.url}login?next=%2Fsession-user%2Fsigned-in&session-user-anyway=1"
        for service in ("trino", "mail"):
            assert await ask(hers, service) == f"consent_required {page}"
        result = await hers.execute("j.get_access_token('trino')")
        assert result.errors[0].startswith("ConsentRequired") and page in result.errors[0]
        assert code in result.errors[0]
        assert claims_in(await ask(his))["sub"] == "id-of-bob"
        provider.faults()
        assert claims_in(await ask(hers))["sub"] == "id-of-alice"


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"down": 503}, "unreachable"),
        ({"slow_s": 5}, "unreachable"),
        ({"error": "invalid_client"}, "refused"),
        ({"error": "invalid_target"}, "refused"),
        ({"error": "temporarily_unavailable"}, "refused"),
        ({"sub": "bob"}, "other_user"),
        ({"clock_s": 600}, "clock"),
        ({"clock_s": -600}, "clock"),
        ({"aud": "everything"}, "answer"),
        ({"answer": {"token_type": "Bearer"}}, "answer"),
        ({"answer": {"access_token": "x y", "token_type": "Bearer"}}, "answer"),
        ({"answer": {"access_token": "x", "token_type": "DPoP"}}, "answer"),
        ({"answer": ["x"]}, "answer"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
async def test_a_provider_that_fails(server, provider, faults, reason):
    """Alice gets a true error and no token, and the one of bob even less."""
    alice, bob = await people_on(server)
    only = {} if {"down", "answer", "clock_s"} & faults.keys() else {"only": ["alice"]}
    provider.faults(**faults, **only)
    async with (
        kernel_of(alice) as hers_id,
        kernel_of(bob) as his_id,
        opened(alice, hers_id) as hers,
        opened(bob, his_id) as his,
    ):
        assert await ask(hers) == f"access_token_unavailable.{reason}"
        if only:
            assert claims_in(await ask(his))["sub"] == "id-of-bob"
        provider.faults()
        assert claims_in(await ask(hers, "reports"))["sub"] == "id-of-alice"
    log = server.log_text()
    assert no_traceback(log), log[log.index("Traceback") - 1000 :][:4000]


async def test_a_forged_request_of_a_client_reaches_no_one(server, provider):
    """Bob's websocket imitates the kernel's request, and the server's reply: he gets nothing."""
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(bob, kernel_id) as his,
    ):
        (her_id,) = await json_lines(hers, ID)
        assert not (await hers.execute("t = j.get_access_token('shared')")).errors
        seen = provider.seen()
        request = Request("x" * 32, "access_token", her_id, "shared").to_wire()
        content = {"comm_id": COMM_ID_PREFIX + "x" * 32, "data": request}
        for kind in (REQUEST_TYPE, REPLY_TYPE, "comm_open", "comm_msg"):
            for channel in ("shell", "control", "iopub", "stdin"):
                await his.send(his.message(kind, {**content, "target_name": TARGET}), channel)
        await eventually(lambda: _has_closed_or_answers(his))
        async with opened(bob, kernel_id) as again:
            assert await username(again) == "bob"
            everything = json.dumps([his.everything, again.everything], default=str)
        assert not any(token in everything for token in seen["given"])
        assert len(provider.seen()["requests"]) == len(seen["requests"])


async def _has_closed_or_answers(socket: KernelSocket) -> bool:
    if socket.closed.is_set():
        return True
    return await username(socket) == "bob"


@pytest.mark.parametrize("how", STATES)
async def test_an_ended_login_gets_none(server, provider, how):
    """After the end of alice's login a running cell gets none, not even a kept one; bob does.

    A request that the server has answered before is not answered again, and an exchange that is
    under way at that moment gives nothing.
    """
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as hers_id,
        kernel_of(bob) as his_id,
        opened(alice, hers_id) as hers,
        opened(bob, his_id) as his,
    ):
        assert claims_in(await ask(hers))["sub"] == "id-of-alice"
        provider.faults(slow_s=2, only=["alice"])
        cell = await RunningCell(hers, server.home / "work").start(ASKS_AGAIN, ASKS)
        await end_login(alice, how)
        told, state = await cell.told(), STATES[how]
        assert told.pop("under way") in {"session_expired", state}
        assert told == {"kept": "session_revoked", "hostile": state, "repeated": state}
        assert claims_in(await ask(his))["sub"] == "id-of-bob"


#: Asks once, and begins an exchange that is under way when the login ends.
ASKS = """
import threading
from jupyter_session_user.core.protocol import Request
told, once = {}, Request("0" * 32, "access_token", session.id, "trino")
def repeat():
    got = []
    comm.post(once, got.append)
    while not got:
        time.sleep(.01)
    return got[0].error or "token"
assert repeat() == "token"
def slow():
    told["under way"] = comm.ask("access_token", session.id, name="shared").error or "token"
thread = threading.Thread(target=slow)
thread.start()
time.sleep(.5)
"""
#: Asks by the function, whose cache is full, as hostile code would, and with an answered request.
ASKS_AGAIN = """
try:
    told["kept"] = str(j.get_access_token("trino"))
except j.SessionUserError as error:
    told["kept"] = error.code
told["hostile"] = comm.ask("access_token", session.id, name="trino").error or "token"
told["repeated"] = repeat()
thread.join()
"""


async def test_the_audit_has_each_token(provider, tmp_path):
    """Each token that a kernel got is one line with its user and service, without the token."""
    audit, tokens = Audit(tmp_path / "audit.jsonl"), []
    option = f"--JupyterSessionUser.audit_file={audit.path}"
    with token_server(provider, option) as running:
        for person in await people_on(running):
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                tokens.append(await ask(socket))
                await ask(socket, "nothing")
    found = [(r["username"], r["detail"]) for r in audit.records("access_token")]
    assert found == [("alice", "trino"), ("bob", "trino")]
    refused = [(r["username"], r["detail"]) for r in audit.records("access_token_refused")]
    because = "nothing: access_token_unavailable.audience"
    assert refused == [("alice", because), ("bob", because)]
    text = audit.path.read_text()
    assert not any(token in text for token in tokens)


async def test_a_restart_with_a_key_file(provider, tmp_path):
    """The tokens of logins are encrypted on disk, and count after a restart: each for its login.

    Swapped rows give nothing, and neither does another key; a sign-out removes the row.
    """
    key = _key_file(tmp_path / "key")
    (tmp_path / "data").mkdir()
    env = {
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }
    options = {"env": env, "port": free_port()}
    arguments = (f"--JupyterSessionUser.login_token_key_file={key}",)
    rows = tmp_path / "data" / "session-user" / "login-tokens.sqlite3"
    with token_server(provider, *arguments, **options) as running:
        people = await people_on(running)
        for person, name in zip(people, ("alice", "bob"), strict=True):
            assert claims_in(await _in_own_kernel(person))["sub"] == f"id-of-{name}"
        assert rows.stat().st_mode & 0o077 == 0
        content = rows.read_bytes()
        assert len(content) > 4096
        assert not any(token.encode() in content for token in provider.seen()["given"])
    with token_server(provider, *arguments, **options):
        for person, name in zip(people, ("alice", "bob"), strict=True):
            assert claims_in(await _in_own_kernel(person))["sub"] == f"id-of-{name}"
    with closing(sqlite3.connect(rows)) as connection, connection:
        (a, first), (b, second) = connection.execute("SELECT id, value FROM sealed").fetchall()
        swap = "UPDATE sealed SET value = ? WHERE id = ?"
        connection.executemany(swap, [(second, a), (first, b)])
    with token_server(provider, *arguments, **options):
        for person in people:
            assert await _in_own_kernel(person) == "access_token_unavailable.no_tokens"
        await people[0].fetch("logout")
    with closing(sqlite3.connect(rows)) as connection, connection:
        assert len(connection.execute("SELECT id FROM sealed").fetchall()) == 1
        connection.executemany(swap, [(first, a), (second, b)])
    _key_file(key)
    with token_server(provider, *arguments, **options):
        assert await _in_own_kernel(people[1]) == "access_token_unavailable.no_tokens"


async def _in_own_kernel(person: Person) -> str:
    async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
        return await ask(socket)


def _key_file(path: Path) -> Path:
    path.write_bytes(b64encode(secrets.token_bytes(32)))
    path.chmod(0o600)
    return path


async def test_names_that_are_not_configured(server, provider):
    """An unknown name has a true error; nothing is asked."""
    before = len(provider.seen()["requests"])
    for person in await people_on(server):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            assert await ask(socket, "Trino") == "access_token_unavailable.audience"
    assert len(provider.seen()["requests"]) == before


async def test_a_login_without_tokens(server, provider):
    """A login for which the identity provider hands none over gets none, nor another's."""
    del provider
    alice, bob = await people_on(server)
    other = Person(server.url)
    await other.fetch("login")
    form = {"username": "alice", "password": PASSWORDS["alice"], "tokens": "no"}
    await other.fetch("login", method="POST", form={**form, "_xsrf": other.cookies["_xsrf"]})
    for person, expected in ((other, None), (alice, "id-of-alice"), (bob, "id-of-bob")):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            answer = await ask(socket)
            if expected is None:
                assert answer == "access_token_unavailable.no_tokens"
            else:
                assert claims_in(answer)["sub"] == expected


async def test_tokens_renew_and_rotate(provider):
    """Short tokens are asked for anew; each refresh token counts once, and none is lost."""
    with token_server(provider) as running:
        provider.faults(rotate=True, login_lifetime=1)
        alice, bob = await people_on(running)
        provider.faults(rotate=True, lifetime=2)
        before = len(provider.seen()["requests"])
        for person, name in ((alice, "alice"), (bob, "bob")):
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                tokens = set()
                for _ in range(3):
                    for service in ("trino", "mail"):
                        token = await ask(socket, service)
                        assert claims_in(token)["sub"] == f"id-of-{name}", token
                        tokens.add(token)
                    await asyncio.sleep(2)
                assert len(tokens) == 6
        assert len(provider.seen()["requests"]) > before + 12


async def test_the_settings_of_the_documentation(provider, tmp_path):
    """The page's block for OpenID Connect works, with this machine's provider and files."""
    secret, key = tmp_path / "client-secret", _key_file(tmp_path / "login-token-key")
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    block = code_block(ROOT / "docs" / "access_tokens.md", "login_token_key_file")
    block = block.replace("https://login.example.org/realms/research", provider.url)
    block = block.replace("/etc/jupyter/client-secret", str(secret))
    block = block.replace("/etc/jupyter/login-token-key", str(key))
    config = {"jupyter_server_config.py": block}
    with own_server(*OIDC, env={"TEST_ISSUER": provider.url}, config=config) as running:
        for person, name in zip(await people_on(running), ("alice", "bob"), strict=True):
            assert claims_in(await _in_own_kernel(person))["sub"] == f"id-of-{name}"


async def test_the_token_that_a_proxy_sends(provider):
    """Behind a proxy each person's own header counts, as the latest request has it."""
    header = "X-Forwarded-Access-Token"
    config = configured({"trino": entry(provider)})
    config["jupyter_server_config.py"] += "c.JupyterSessionUser.login_tokens = 'header'\n"
    env = {"TEST_SECRET": CLIENT_SECRET}
    with own_server(*identity("HeaderIdentityProvider"), env=env, config=config) as running:
        for name in ("alice", "bob"):
            person = Person(running.url, {"X-User": name})
            assert await _in_own_kernel(person) == "access_token_unavailable.no_tokens"
            person.headers[header] = provider.log_in(name)["access_token"]
            assert claims_in(await _in_own_kernel(person))["sub"] == f"id-of-{name}"


async def test_the_login_page_of_a_proxy(provider):
    """The server does not know it, and says so: at its start, and to alice. Bob gets his token.

    The obvious implementation names the server's own address, where the proxy leads her back.
    """
    entries = {
        "trino": entry(provider),
        "mail": entry(provider, login_url="https://p.example.org/"),
    }
    config = configured(entries)
    config["jupyter_server_config.py"] += "c.JupyterSessionUser.login_tokens = 'header'\n"
    env = {"TEST_SECRET": CLIENT_SECRET}
    with own_server(*identity("HeaderIdentityProvider"), env=env, config=config) as running:
        assert "'trino' has no login_url" in running.log_text()
        assert "'mail' has no login_url" not in running.log_text()
        alice, bob = (Person(running.url, {"X-User": name}) for name in ("alice", "bob"))
        for person, name in ((alice, "alice"), (bob, "bob")):
            person.headers["X-Forwarded-Access-Token"] = provider.log_in(name)["access_token"]
        provider.faults(error="consent_required", only=["alice"])
        async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
            assert await ask(hers) == "consent_required"
            assert await ask(hers, "mail") == "consent_required https://p.example.org/"
            result = await hers.execute("j.get_access_token('trino')")
            assert "its administrator can set login_url" in result.errors[0]
        waiting = (await alice.json("api/session-user/me"))["consents"]
        assert [one["login_url"] for one in waiting] == [None, "https://p.example.org/"]
        assert claims_in(await _in_own_kernel(bob))["sub"] == "id-of-bob"


SETTINGS = [
    ({"trino": {}}, "issuer"),
    ({"trino": {"issuer": "http://op.example.org", "client_id": "x"}}, "https"),
    ({"trino": {"issuer": "https://op.example.org"}}, "client_id"),
    ({"trino": {"issuer": "https://op.example.org", "client_id": "x", "scop": "y"}}, "'scop'"),
    (
        {"trino": {"issuer": "https://h", "client_id": "x", "client_secret": "c4n4ry-s"}},
        "client_secret_file",
    ),
    ({"trino": {"issuer": "https://h", "client_id": "x", "client_secret_env": "NO_X"}}, "NOT SET"),
]


@pytest.mark.parametrize(("setting", "text"), SETTINGS, ids=lambda value: str(value)[-20:])
def test_a_setting_that_cannot_work_stops_the_server(setting, text):
    """The server does not start, the last line is the fix, and no secret is in it."""
    server = own_server(config=configured(setting))
    with pytest.raises(RuntimeError, match="ended at its start") as caught, server:
        pass
    said = str(caught.value).split("CRITICAL")[-1]
    assert (text if text != "NOT SET" else "variable that is not set") in said
    assert "c4n4ry" not in said


#: Uses of a token that show a value without being asked to.
USES = [
    "t",
    "[t, {'token': t}]",
    "import pickle; pickle.dumps({'headers': [t]})",
    "def f(token):\n    inner = token\n    raise RuntimeError('deep')\nf(t)",
    "from jupyter_session_user.kernel import access_tokens as at; print(at._kept, vars(at))",
    "import logging; logging.warning('%r %s', t, [t])",
    "%whos",
    "%store t",
    "1 / len(t[:0])",
    "get_session(), get_current_user()",
    "import os; os.environ.copy()",
]


async def test_no_secret_shows_anywhere(server, provider):
    """No token of a login, and no secret of the client, is in a kernel, a log, a file or an event.

    The services' tokens are where code writes them, and nowhere else.
    """
    given_before = set(provider.seen()["given"])
    alice, bob = await people_on(server)
    logins = set(provider.seen()["given"]) - given_before
    assert len(logins) >= 6
    tokens, shown = [], []
    for person in (alice, bob):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            await socket.execute(
                "%xmode Verbose\nimport logging; from jupyter_session_user import *\n"
                "log = get_ipython().kernel.log; log.setLevel(10)\n"
                f"log.addHandler(logging.FileHandler({str(server.home / 'kernel.log')!r}))"
            )
            await socket.execute("t = get_access_token('trino'); u = get_access_token('mail')")
            for use in USES:
                await socket.execute(use)
            shown.append(json.dumps(socket.everything, default=str))
            (token,) = await json_lines(socket, "import json; print(json.dumps(t))")
            tokens.append(token)
            me = await person.json("api/session-user/me")
            shown.append(json.dumps([me, await person.json("api/session-user/sessions")]))
    files = [path for path in server.home.rglob("*") if path.is_file()]
    assert server.log in files and server.home / "kernel.log" in files
    logs = [path.read_bytes().decode("utf-8", "replace") for path in files]
    for secret in (*logins, *tokens, CLIENT_SECRET):
        canary = secret.split(".")[-1]
        assert [where[:100] for where in (*logs, *shown) if canary in where] == []
