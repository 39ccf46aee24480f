"""Identity tokens of a real server: each kernel gets one about its own user, or none."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import jwt
import pytest
from agents import AGENTS, agent_of
from audits import Audit
from ended_logins import STATES, RunningCell, end_login
from local_server import LocalServer
from people import KernelSocket, Person
from servers import (
    DEMO,
    EXTENSION,
    PASSWORDS,
    eventually,
    json_lines,
    kernel_of,
    opened,
    own_server,
    people_on,
    username,
)

from jupyter_session_user import (
    IdentityTokenUnavailable,
    InvalidIdentityToken,
    User,
    bind_current_user,
    get_identity_token,
    verify_identity_token,
)
from jupyter_session_user.core.identity_token import Expected, parse, read
from jupyter_session_user.hosts.base import Visitor

DATA, REPORTS = "https://data.example.org", "https://reports.example.org"
ISSUER = "http://127.0.0.1:8888/api/session-user"
ON = (
    f"--JupyterSessionUser.token_audiences={DATA}",
    f"--JupyterSessionUser.token_audiences={REPORTS}",
    f"--JupyterSessionUser.token_issuer={ISSUER}",
)

#: Prints the token of the cell's user, or the code of the error.
ASK = """
import json, jupyter_session_user as j
try:
    print(json.dumps(str(j.get_identity_token({audience!r}, {lifetime}))))
except j.SessionUserError as error:
    print(json.dumps(error.code))
"""
#: Asks the server as hostile code would: with any session id, and past the caches.
HOSTILE = """
import json
from jupyter_session_user.kernel.ipykernel import helper
reply = helper().comm.ask("identity_token", {session!r}, name={audience!r}, lifetime=300)
print(json.dumps(reply.error or reply.result["token"]))
"""
#: The audit's kind of a refusal.
REFUSED = "identity_token_refused"
ID = "import json, jupyter_session_user as j; print(json.dumps(j.get_session().id))"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """Run a server that issues tokens, with the most verbose log."""
    with own_server(*DEMO, *ON, "--debug", extensions=(EXTENSION, "probe_extension")) as running:
        yield running


@pytest.fixture(scope="module")
def sharing_server() -> Iterator[LocalServer]:
    """Run a server that also gives tokens to shared kernels, and states groups."""
    more = ("token_shared_kernels", "token_groups")
    with own_server(*DEMO, *ON, *(f"--JupyterSessionUser.{name}=True" for name in more)) as running:
        yield running


async def ask(socket: KernelSocket, audience: str = DATA, lifetime: float = 300) -> str:
    """Return the token that a cell gets, or the code of the error."""
    (answer,) = await json_lines(socket, ASK.format(audience=audience, lifetime=lifetime))
    return answer


async def claims(person: Person, token: str, audience: str = DATA, **options: Any) -> Any:
    """Verify a token with the keys that the server publishes."""
    jwks = (await Person(person.url).fetch("api/session-user/jwks.json")).body
    return verify_identity_token(token, jwks, audience, issuer=ISSUER, **options)


async def hostile(socket: KernelSocket, session: str) -> str:
    """Return what the server answers to this session id in this kernel."""
    (answer,) = await json_lines(socket, HOSTILE.format(session=session, audience=DATA))
    return answer


async def test_two_people_two_kernels(server):
    """Each gets a token about the own login, for the asked audience alone, of at most 300 s."""
    alice, bob = await people_on(server)
    found = {}
    for person, name in ((alice, "alice"), (bob, "bob")):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            for audience in (DATA, REPORTS):
                token = await ask(socket, audience)
                said = await claims(person, token, audience)
                assert said.username == name and said.audience == audience
                assert said.groups == () and said.actor is None and not said.kernel_shared
                assert (said.expires_at - said.issued_at).total_seconds() == 300
                found[name, audience] = said
                other = REPORTS if audience == DATA else DATA
                with pytest.raises(InvalidIdentityToken):
                    await claims(person, token, other)
            short = await claims(person, await ask(socket, DATA, 20))
            assert (short.expires_at - short.issued_at).total_seconds() == 20
    assert len({said.id for said in found.values()}) == 4
    assert found["alice", DATA].session_id == found["alice", REPORTS].session_id
    assert found["alice", DATA].session_id != found["bob", DATA].session_id


async def test_an_agents_token_names_the_agent(server):
    """An agent's kernel gets a token about its user with ``act``; no kernel of both gets one.

    In a kernel that a user and the agent share, the agent's code could ask as the user.
    """
    found = {}
    for person, name in zip(await people_on(server), ("alice", "bob"), strict=True):
        agent = await agent_of(person, "Helper")
        async with kernel_of(agent) as kernel_id, opened(agent, kernel_id) as socket:
            said = await claims(person, await ask(socket))
            assert said.username == name and not said.kernel_shared
            found[name] = said.actor
            async with opened(person, kernel_id) as own:
                assert await username(own) == name
                assert await ask(own) == "identity_token_unavailable.shared_kernel"
                assert await ask(socket, REPORTS) == "identity_token_unavailable.shared_kernel"
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            assert (await claims(person, await ask(socket))).actor is None
        listed = await person.json(AGENTS)
        assert found[name] in {one["id"] for one in listed}
    assert found["alice"] != found["bob"]


async def test_the_audit_has_each_token(tmp_path):
    """Each token that a kernel got is one line with its user and service, without the token."""
    audit = Audit(tmp_path / "audit.jsonl")
    tokens = []
    with audit.server(*ON) as running:
        for person in await people_on(running):
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                tokens.append(await ask(socket))
                assert await ask(socket, "https://else.example.org") not in tokens
    found = audit.records("identity_token")
    assert [(r["username"], r["detail"]) for r in found] == [("alice", DATA), ("bob", DATA)]
    text = audit.path.read_text()
    assert not any(part in text for token in tokens for part in token.split(".")[1:])


async def test_the_audit_has_each_refused_request(tmp_path):
    """A refusal is one line with the user of the session; a stolen session id names no user."""
    audit = Audit(tmp_path / "audit.jsonl")
    other = "https://else.example.org"
    with audit.server(*ON) as running:
        alice, bob = await people_on(running)
        async with (
            kernel_of(alice) as hers_alone,
            kernel_of(bob) as kernel_id,
            opened(alice, hers_alone) as hers,
            opened(bob, kernel_id) as his,
        ):
            assert await ask(hers, other) == "identity_token_unavailable.audience"
            (stolen,) = await json_lines(hers, ID)
            assert await hostile(his, stolen) == "no_session"
            async with opened(alice, kernel_id) as joined:
                await username(joined)
                shared = "identity_token_unavailable.shared_kernel"
                assert await ask(his) == shared
                assert await ask(joined, REPORTS) == shared
    found = [(r["username"], r["kernel_id"], r["detail"]) for r in audit.records(REFUSED)]
    assert found == [
        ("alice", hers_alone, f"{other}: identity_token_unavailable.audience"),
        (None, kernel_id, f"{DATA}: no_session"),
        ("bob", kernel_id, f"{DATA}: {shared}"),
        ("alice", kernel_id, f"{REPORTS}: {shared}"),
    ]
    assert audit.records("identity_token") == [] and audit.problems() == []


async def test_an_agents_code_in_a_shared_kernel_can_ask_as_its_user(sharing_server):
    """What ``token_shared_kernels`` means: the token says that the kernel is shared, and no more.

    The server cannot tell which message made the kernel ask: code in the kernel writes the parent
    of its own messages.
    """
    alice, bob = await people_on(sharing_server)
    agent = await agent_of(alice, "Helper")
    async with (
        kernel_of(alice) as kernel_id,
        opened(alice, kernel_id) as hers,
        opened(agent, kernel_id) as its,
    ):
        (session,) = await json_lines(hers, ID)
        said = await claims(alice, await hostile(its, session), allow_shared=True)
        assert (said.username, said.actor, said.kernel_shared) == ("alice", None, True)
        honest = await claims(alice, await ask(its), allow_shared=True)
        assert honest.username == "alice" and honest.actor is not None
    async with kernel_of(bob) as kernel_id, opened(bob, kernel_id) as his:
        assert await hostile(his, session) == "no_session"  # elsewhere, it is worth nothing


async def test_each_login_has_its_own_sid(server):
    """Two browsers of alice: the tokens name the same user, and different logins."""
    first, _ = await people_on(server)
    await asyncio.sleep(1.01 - time.time() % 1.0)  # the demo's cookie has seconds
    second, _ = await people_on(server)
    sids = set()
    async with kernel_of(first) as kernel_id:
        for person in (first, second):
            async with opened(person, kernel_id) as socket:
                said = await claims(person, await ask(socket))
                assert said.username == "alice"
                sids.add(said.session_id)
    assert len(sids) == 2


async def test_a_shared_kernel_gets_none(server):
    """From the moment when bob joins, neither gets one in alice's kernel, in any way."""
    alice, bob = await people_on(server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert (await claims(alice, await ask(hers))).username == "alice"
        (her_id,) = await json_lines(hers, ID)
        async with opened(bob, kernel_id) as his:
            (his_id,) = await json_lines(his, ID)
            assert await ask(his) == "identity_token_unavailable.shared_kernel"
            for socket in (his, hers):
                for session in (her_id, his_id):
                    assert await hostile(socket, session) == (
                        "identity_token_unavailable.shared_kernel"
                    )
        assert await ask(hers, REPORTS) == "identity_token_unavailable.shared_kernel"


async def test_another_users_session_id_is_worth_nothing(server):
    """In bob's own kernel the id of alice's session gives no token, nor do other ids."""
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as her_kernel,
        kernel_of(bob) as his_kernel,
        opened(alice, her_kernel) as hers,
        opened(bob, his_kernel) as his,
    ):
        (her_id,) = await json_lines(hers, ID)
        hers_too = [session["id"] for session in await alice.json("api/session-user/sessions")]
        assert her_id in hers_too
        for session in (*hers_too, "", "x"):
            assert await hostile(his, session) == "no_session"
        assert (await claims(bob, await ask(his))).username == "bob"


async def test_who_did_not_start_the_kernel_gets_none(server):
    """Bob's kernel may run bob's code, so alice gets none there, even alone."""
    alice, bob = await people_on(server)
    async with kernel_of(bob) as kernel_id, opened(alice, kernel_id) as hers:
        assert await username(hers) == "alice"
        assert await ask(hers) == "identity_token_unavailable.shared_kernel"


async def test_shared_kernels_where_the_administrator_allows_them(sharing_server):
    """Each token there says so, and a service refuses it unless it allows such tokens."""
    alice, bob = await people_on(sharing_server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        alone = await claims(alice, await ask(hers, lifetime=60))
        assert not alone.kernel_shared and alone.groups == ("finance",)
        async with opened(bob, kernel_id) as his:
            for socket, name in ((hers, "alice"), (his, "bob")):
                token = await ask(socket, REPORTS)
                with pytest.raises(InvalidIdentityToken) as caught:
                    await claims(alice, token, REPORTS)
                assert caught.value.reason == "shared_kernel"
                said = await claims(alice, token, REPORTS, allow_shared=True)
                assert (said.username, said.kernel_shared) == (name, True)


async def test_who_only_looks_at_a_kernel_lends_it_no_name(sharing_server):
    """Bob asks the server about alice's kernel, and opens no websocket: no token about bob."""
    alice, bob = await people_on(sharing_server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert (await bob.fetch(f"api/kernels/{kernel_id}")).code == 200
        assert await username(hers) == "alice"
        sessions = await bob.json("api/session-user/sessions")
        for session in [s["id"] for s in sessions]:
            assert (await hostile(hers, session)).startswith(
                ("no_session", "identity_token_unavailable.")
            )


@pytest.mark.parametrize("how", STATES)
async def test_an_ended_login_gets_none(server, how):
    """After the end of alice's login a running cell gets none, not even a kept token; bob does."""
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as hers_id,
        kernel_of(bob) as his_id,
        opened(alice, hers_id) as hers,
        opened(bob, his_id) as his,
    ):
        assert (await claims(alice, await ask(hers))).username == "alice"
        cell = await RunningCell(hers, server.home / "work").start(ASKS_AGAIN)
        await end_login(alice, how)
        told, state = await cell.told(), STATES[how]
        assert told == ["session_revoked", state]
        assert (await claims(bob, await ask(his))).username == "bob"


#: Asks by the function, whose cache is full, and as hostile code would.
ASKS_AGAIN = """
told = []
try:
    told.append(str(j.get_identity_token("https://data.example.org")))
except j.SessionUserError as error:
    told.append(error.code)
reply = comm.ask("identity_token", session.id, name="https://data.example.org")
told.append(reply.error or "token")
"""


async def test_who_signs_in_again_goes_on():
    """A cell of an expired login gets tokens about the login that follows, and ends with that."""
    with own_server(*DEMO, *ON, "--JupyterSessionUser.absolute_timeout=25") as running:
        alice, bob = await people_on(running)
        assert not await is_over(bob)
        async with kernel_of(alice) as kernel_id:
            async with opened(alice, kernel_id) as hers:
                (former,) = await json_lines(hers, ID)
                first = await claims(alice, await ask(hers))
            await eventually(partial(is_over, alice))
            await alice.log_in(PASSWORDS["alice"], "alice")
            async with opened(alice, kernel_id) as hers:
                said = await claims(alice, await hostile(hers, former))
                again = await claims(alice, await ask(hers))
            assert said.username == "alice" and said.session_id == again.session_id
            assert said.session_id != first.session_id
            assert (said.expires_at - said.issued_at).total_seconds() <= 25
        await eventually(partial(is_over, bob))  # nobody signed in for him


async def is_over(person: Person) -> bool:
    """Tell whether the server refuses a login."""
    return (await person.fetch("api/kernels")).code == 403


async def test_a_replay_after_the_end(server):
    """A token counts until its end, and then at no verifier; the clock is the verifier's."""
    alice, bob = await people_on(server)
    for person, name in ((alice, "alice"), (bob, "bob")):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            token = await ask(socket, DATA, 30)
        said = await claims(person, token)
        ends, expected = said.expires_at.timestamp(), Expected(ISSUER, DATA, leeway=0)
        body = parse(token).claims
        assert read(body, expected, ends - 0.01).username == name
        with pytest.raises(InvalidIdentityToken) as caught:
            read(body, expected, ends)
        assert caught.value.reason == "time"


#: Arguments, and the code of the error.
WRONG = {
    "'https://other.example.org'": "identity_token_unavailable.audience",
    "'https://data.example.org/'": "identity_token_unavailable.audience",
    "''": "wrong_argument",
    "None": "wrong_argument",
    "['https://data.example.org']": "wrong_argument",
    "'https://data.example.org', 301": "wrong_argument",
    "'https://data.example.org', 0": "wrong_argument",
    "'https://data.example.org', -1": "wrong_argument",
    "'https://data.example.org', '60'": "wrong_argument",
    "'https://data.example.org', True": "wrong_argument",
    "'https://data.example.org', float('nan')": "wrong_argument",
}


async def test_wrong_arguments(server):
    """No audience outside the list, no longer life; the error names the fix."""
    alice, _ = await people_on(server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as socket:
        for call, code in WRONG.items():
            ask_it = f"import json, jupyter_session_user as j\ntry: j.get_identity_token({call})\n"
            ask_it += "except j.SessionUserError as e: print(json.dumps([e.code, str(e)]))"
            ((found, text),) = await json_lines(socket, ask_it)
            assert found == code and len(text) > 40, call


async def test_a_server_without_audiences(alice_off):
    """By default there are no tokens and no keys, and the error says what to set."""
    assert (await alice_off.fetch("api/session-user/jwks.json")).code == 404
    path = "api/session-user/.well-known/openid-configuration"
    assert (await alice_off.fetch(path)).code == 404
    async with kernel_of(alice_off) as kernel_id, opened(alice_off, kernel_id) as socket:
        assert await ask(socket) == "identity_token_unavailable.off"


@pytest.fixture
async def alice_off() -> Any:
    """Return alice, on a server with the default settings."""
    with own_server(*DEMO) as running:
        alice, _ = await people_on(running)
        yield alice
        assert not (running.home / "data" / "session-user" / "identity-keys.json").exists()


@pytest.mark.parametrize("kind", ["token", "open"])
async def test_a_user_without_a_name_gets_none(kind):
    """The holder of the server's token, and a visitor of an open server, are no user by name."""
    token = "secret" if kind == "token" else ""
    options = (f"--IdentityProvider.token={token}", "--ServerApp.disable_check_xsrf=True")
    with own_server(*options, *ON) as running:
        headers = {"Authorization": "token secret"} if token else {}
        person = Person(running.url, headers)
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            assert await ask(socket) == "identity_token_unavailable.not_verified"


async def test_a_stock_verifier_finds_the_keys():
    """PyJWT's client follows issuer, discovery and JWKS, without a login; ETag and cache hold."""
    port = _free_port()
    issuer = f"http://127.0.0.1:{port}/base/api/session-user"
    options = (
        f"--JupyterSessionUser.token_audiences={DATA}",
        f"--JupyterSessionUser.token_issuer={issuer}",
        "--ServerApp.base_url=/base/",
    )
    with own_server(*DEMO, *options, port=port) as running:
        alice, bob = await people_on(running)
        for person, name in ((alice, "alice"), (bob, "bob")):
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                token = await ask(socket)
            found = await asyncio.to_thread(stock, issuer, token)
            assert found["sub"] == name
        for path in ("jwks.json", ".well-known/openid-configuration"):
            await _check_public(Person(running.url), f"api/session-user/{path}")


def stock(issuer: str, token: str) -> dict[str, Any]:
    """Verify as services do that know the issuer alone."""
    import urllib.request

    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration") as answer:  # noqa: S310
        configuration = json.load(answer)
    assert configuration["issuer"] == issuer
    key = jwt.PyJWKClient(configuration["jwks_uri"]).get_signing_key_from_jwt(token)
    algorithms = configuration["id_token_signing_alg_values_supported"]
    return jwt.decode(token, key, algorithms=algorithms, audience=DATA, issuer=issuer)


async def _check_public(nobody: Person, path: str) -> None:
    response = await nobody.fetch(path)
    assert response.code == 200 and response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in response.headers
    text = response.body.decode()
    assert not re.search(r'"d"|alice|bob|data\.example', text)
    nobody.headers["If-None-Match"] = response.headers["ETag"]
    again = await nobody.fetch(path)
    assert (again.code, again.body) == (304, b"")
    assert (await nobody.fetch(path, method="POST", body={})).code in (403, 405)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_rotation_on_a_running_server(server):
    """After ``keys rotate`` both keys are published, and tokens of the old key still count."""
    alice, bob = await people_on(server)
    path = server.home / "data" / "session-user" / "identity-keys.json"
    async with (
        kernel_of(alice) as hers_id,
        kernel_of(bob) as his_id,
        opened(alice, hers_id) as hers,
        opened(bob, his_id) as his,
    ):
        before = await ask(hers)
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jupyter_session_user.cli.main", "keys", "rotate"),
            *("--file", str(path)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert b"signs in 10 minutes" in (await done.communicate())[0]
        assert done.returncode == 0
        await eventually(publishes(alice, 2))
        assert (await claims(alice, before)).username == "alice"
        assert (await claims(bob, await ask(his))).username == "bob"


def publishes(person: Person, count: int) -> Callable[[], Any]:
    """Return a check that the server publishes as many keys."""

    async def check() -> bool:
        response = await person.json("api/session-user/jwks.json")
        return len(response["keys"]) == count

    return check


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["token_audiences=a"], "token_issuer"),
        (["token_audiences=a", "token_issuer=http://jupyter.example.org/x"], "https URL"),
        (["token_audiences=a", "token_issuer=https://h/x/"], "without a slash"),
        (["token_audiences=a", "token_issuer=https://h/x?y=1"], "https URL"),
        (["token_audiences=a", "token_issuer=https://["], "https URL"),
        (["token_issuer=https://h/x"], "token_audiences"),
        (["token_audiences=['a', 'b']", "token_issuer=https://h/x"], "another"),
    ],
)
def test_a_setting_that_cannot_work_stops_the_server(options, text):
    """The server does not start, and the last line is the fix."""
    arguments = [f"--JupyterSessionUser.{option}" for option in options]
    with pytest.raises(RuntimeError, match="ended at its start") as caught, own_server(*arguments):
        pass
    assert text in str(caught.value).split("CRITICAL")[-1] or text in str(caught.value)


def test_a_key_file_that_others_can_read_stops_the_server(tmp_path):
    """Mode 0644: the server does not start, and names the command."""
    path = tmp_path / "keys.json"
    path.write_text("{}")
    path.chmod(0o644)
    option = f"--JupyterSessionUser.token_key_file={path}"
    with pytest.raises(RuntimeError, match="chmod 600"), own_server(*DEMO, *ON, option):
        pass


def test_the_server_says_that_kernels_can_read_the_keys(server):
    """A warning at the start names the file: kernels run as the account of the server."""
    assert "can sign a token about any user" in server.log_text()


def test_an_app_without_a_kernel_has_a_true_error():
    """A visitor of an app has no Jupyter Server that could sign."""
    for name in ("alice", "bob"):
        session = Visitor("streamlit", User(name), verified=True).session()
        with (
            bind_current_user(session=session),
            pytest.raises(IdentityTokenUnavailable, match="streamlit") as caught,
        ):
            get_identity_token(DATA)
        assert caught.value.reason == "no_server"


#: Uses of a token that show a value without being asked to.
USES = [
    "t",
    "[t, {'token': t}]",
    "import pprint; pprint.pprint([t]); print([t], {'t': t}, repr(t), '%r' % t)",
    "import pickle; pickle.dumps(t)",
    "import pickle; pickle.dumps({'headers': [t]})",
    "import copy; copy.deepcopy([t]), copy.copy(t)",
    "def f(token):\n    inner = token\n    raise RuntimeError('deep')\nf(t)",
    "from jupyter_session_user.kernel import identity_tokens as it; print(it._kept, vars(it))",
    "import logging; logging.warning('%r %s', t, [t])",
    "%whos",
    "%store t",
    "locals()",
    "t.no_such_attribute",
    "t + 1",
    "1 / len(t[:0])",
    "get_session(), get_current_user()",
]


async def test_a_token_shows_nowhere_unless_code_asks_for_it(server):
    """It is in no log at DEBUG, the kernel's own included, no output, traceback or pickle."""
    alice, bob = await people_on(server)
    tokens, shown = [], []
    for person in (alice, bob):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            await socket.execute(
                "%xmode Verbose\nimport logging; from jupyter_session_user import *\n"
                "log = get_ipython().kernel.log; log.setLevel(10)\n"
                f"log.addHandler(logging.FileHandler({str(server.home / 'kernel.log')!r}))"
            )
            await socket.execute(f"t = get_identity_token({DATA!r})")
            for use in USES:
                await socket.execute(use)
            shown.append(json.dumps(socket.everything, default=str))
            (token,) = await json_lines(socket, "import json; print(json.dumps(t))")
            assert (await claims(person, token)).audience == DATA
            tokens.append(token)
    kernel_log = (server.home / "kernel.log").read_text()
    assert "Control received" in kernel_log and "<hidden>" in kernel_log
    files = [path for path in server.home.rglob("*") if path.is_file()]
    assert server.log in files
    logs = [path.read_bytes().decode("utf-8", "replace") for path in files]
    for token in tokens:
        canary = token.split(".")[2]
        for form in (canary, base64.b64encode(token.encode()).decode()[:60]):
            assert [where for where in (*logs, *shown) if form in where] == []


async def test_a_flood_is_limited():
    """The bucket of a kernel's requests counts these, too; the other user's kernel gets answers."""
    limits = ("--JupyterSessionUser.comm_rate=1", "--JupyterSessionUser.comm_burst=8")
    flood = """
import json
from jupyter_session_user.kernel.ipykernel import helper
from jupyter_session_user import RequestTimeout, get_session
got = 0
for _ in range(20):
    try:
        reply = helper().comm.ask("identity_token", get_session().id, 0.05, name={!r})
        got += not reply.error
    except RequestTimeout:
        pass
print(json.dumps(got))
"""
    with own_server(*DEMO, *ON, *limits) as running:
        alice, bob = await people_on(running)
        async with (
            kernel_of(alice) as hers_id,
            kernel_of(bob) as his_id,
            opened(alice, hers_id) as hers,
            opened(bob, his_id) as his,
        ):
            (got,) = await json_lines(hers, flood.format(DATA))
            assert 0 < got <= 12
            assert (await claims(bob, await ask(his))).username == "bob"


async def test_a_token_ends_with_its_login():
    """A login with an exact end in 200 s: no token lives longer, whatever is asked for."""
    with own_server(*DEMO, *ON, "--JupyterSessionUser.absolute_timeout=200") as running:
        alice, bob = await people_on(running)
        for person, name in ((alice, "alice"), (bob, "bob")):
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                said = await claims(person, await ask(socket))
                me = await person.json("api/session-user/me")
                assert me["expiry_source"] == "absolute" and said.username == name
                end = datetime.fromisoformat(me["expires_at"].replace("Z", "+00:00"))
                assert said.expires_at <= end
                assert (said.expires_at - said.issued_at).total_seconds() <= 200
