"""``connect_as_user`` with a real Jupyter server and a real PostgreSQL: each user's own rows."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import asynccontextmanager, closing

import pytest
from audits import Audit
from ended_logins import STATES, RunningCell, end_login
from fault_proxy import FaultProxy
from people import KernelSocket, Person
from postgres_server import with_databases
from servers import (
    DEMO,
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
    DatabaseUnavailable,
    User,
    bind_current_user,
    connect_as_user,
)
from jupyter_session_user.hosts.base import Visitor

OWN = {"alice": ["tea"], "bob": ["coffee"]}

#: Prints the items that the cell's user sees, or the code of the error.
ASK = """
import json, jupyter_session_user as j
try:
    with j.connect_as_user({database!r}) as c:
        print(json.dumps([item for (item,) in c.execute("SELECT item FROM orders")]))
except j.SessionUserError as error:
    print(json.dumps(error.code))
"""
#: Asks the server as hostile code would: with any session id, and past the caches.
HOSTILE = """
import json
from jupyter_session_user.kernel.ipykernel import helper
reply = helper().comm.ask("database_login", {session!r}, name="warehouse")
print(json.dumps(reply.error or list(reply.result)))
"""
#: The first block of docs/database.md.
PAGE = """
from jupyter_session_user import connect_as_user

with connect_as_user("warehouse") as connection:
    rows = connection.execute("SELECT item FROM orders").fetchall()

import json
print(json.dumps([item for (item,) in rows]))
"""
ID = "import json, jupyter_session_user as j; print(json.dumps(j.get_session().id))"
#: What hostile code keeps: an open connection, and what is needed for another one.
STEAL = """
import json, psycopg, jupyter_session_user as j
from jupyter_session_user.kernel import databases
stolen = j.connect_as_user("warehouse", autocommit=True)
login = next(reversed(databases._kept._entries.values())).value
again = dict(login.address, user=login.user, password=str(login.password), connect_timeout=3)
def rows(of):
    try:
        return [item for (item,) in of().execute("SELECT item FROM orders")]
    except psycopg.Error as error:
        return type(error).__name__
def both():
    return [rows(lambda: stolen), rows(lambda: psycopg.connect(**again))]
print(json.dumps([*both(), login.user]))
"""
BOTH = "print(json.dumps(both()))"
DEAD = ("AdminShutdown", "OperationalError")


async def ask(socket: KernelSocket, database: str = "warehouse"):
    """Return the items that a cell sees, or the code of the error."""
    (answer,) = await json_lines(socket, ASK.format(database=database))
    return answer


async def hostile(socket: KernelSocket, session: str):
    """Return what the server answers to this session id in this kernel."""
    (answer,) = await json_lines(socket, HOSTILE.format(session=session))
    return answer


@asynccontextmanager
async def working(person: Person):
    """Start a kernel of this person and open it."""
    async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
        yield kernel_id, socket


async def test_two_people_two_kernels(server, postgres):
    """Each sees and writes the own rows, as the own role, through a login role of each kernel."""
    alice, bob = await people_on(server)
    who = (
        "import json, jupyter_session_user as j\n"
        "with j.connect_as_user('warehouse') as c:\n"
        "    print(json.dumps(c.execute('SELECT current_user, session_user').fetchone()))"
    )
    async with working(alice) as (_, hers), working(bob) as (_, his), working(bob) as (_, more):
        seen = set()
        for socket, name in ((hers, "alice"), (his, "bob"), (more, "bob")):
            assert await json_lines(socket, PAGE) == [OWN[name]]
            ((current, session),) = await json_lines(socket, who)
            assert current == name and session.startswith("jsu_")
            seen.add(session)
        assert len(seen) == 3 and seen <= set(postgres.logins())
        comments = postgres.run(
            "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles "
            "WHERE rolname = ANY(%s)",
            list(seen),
        )
        assert sorted(text.split()[1] for _, text in comments) == ["alice", "bob", "bob"]
    await eventually(lambda: not seen & set(postgres.logins()))  # the kernels are gone


async def test_the_audit_has_each_refused_login(postgres, tmp_path):
    """In a kernel that both have used, each gets none, and each refusal is one line."""
    audit = Audit(tmp_path / "audit.jsonl")
    error = "database_unavailable.shared_kernel"
    with audit.server(config=with_databases(warehouse=postgres.dsn())) as running:
        alice, bob = await people_on(running)
        async with working(alice) as (kernel, hers), opened(bob, kernel) as his:
            await username(his)
            assert await ask(hers) == await ask(his) == error
    found = [(r["username"], r["detail"]) for r in audit.records("database_login_refused")]
    assert found == [("alice", f"warehouse: {error}"), ("bob", f"warehouse: {error}")]
    assert audit.records("database_login") == []


async def test_the_audit_has_each_login(postgres, tmp_path):
    """Each database login that a kernel got is one line, with its user and without the password."""
    audit = Audit(tmp_path / "audit.jsonl")
    with audit.server(config=with_databases(warehouse=postgres.dsn())) as running:
        for person in await people_on(running):
            async with working(person) as (_, socket):
                assert await json_lines(socket, PAGE)
    found = [(r["username"], r["detail"]) for r in audit.records("database_login")]
    assert found == [("alice", "warehouse"), ("bob", "warehouse")]
    assert audit.records("database_login_refused") == []
    assert "password" not in audit.path.read_text()


async def test_another_users_session_id_is_worth_nothing(server):
    """In bob's own kernel the id of alice's session gives no login, nor do other ids."""
    alice, bob = await people_on(server)
    async with working(alice) as (_, hers), working(bob) as (_, his):
        (her_id,) = await json_lines(hers, ID)
        every = [session["id"] for session in await alice.json("api/session-user/sessions")]
        assert her_id in every
        for session in (*every, "", "x"):
            assert await hostile(his, session) == "no_session"
        assert await ask(his) == OWN["bob"]


async def test_who_did_not_start_the_kernel_gets_none(server):
    """Bob's kernel may run bob's code, so alice gets no login there, even alone."""
    alice, bob = await people_on(server)
    async with kernel_of(bob) as kernel_id, opened(alice, kernel_id) as hers:
        assert await username(hers) == "alice"
        assert await ask(hers) == "database_unavailable.shared_kernel"


async def test_who_joins_finds_nothing_in_memory(server):
    """Alice left her password and an open connection in the kernel; bob's first cell uses them."""
    alice, bob = await people_on(server)
    async with kernel_of(alice) as kernel_id:
        async with opened(alice, kernel_id) as hers:
            (stolen,) = await json_lines(hers, STEAL)
            assert stolen[:2] == [OWN["alice"]] * 2
            (her_id,) = await json_lines(hers, ID)
        async with opened(bob, kernel_id) as his:
            ((open_one, new_one),) = await json_lines(his, BOTH)
            assert open_one in DEAD and new_one in DEAD
            assert await ask(his) == "database_unavailable.shared_kernel"
            (his_id,) = await json_lines(his, ID)
            for session in (her_id, his_id):
                assert await hostile(his, session) == "database_unavailable.shared_kernel"
        async with opened(alice, kernel_id) as hers:
            assert await ask(hers) == "database_unavailable.shared_kernel"


async def test_a_cell_over_http_joins_as_well(server):
    """Bob runs a cell in alice's kernel without a websocket: it finds nothing, either."""
    alice, bob = await people_on(server)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as hers:
        assert (await json_lines(hers, STEAL))[0][:2] == [OWN["alice"]] * 2
        seen = server.home / "work" / "seen.json"
        code = f"from pathlib import Path\nPath({str(seen)!r}).write_text(json.dumps(both()))"

        async def runs() -> bool:
            body = {"code": code}
            await bob.fetch(f"api/kernels/{kernel_id}/execute", method="POST", body=body)
            return seen.exists() and seen.read_text() != ""

        await eventually(runs)
        open_one, new_one = json.loads(seen.read_text())
        assert open_one in DEAD and new_one in DEAD


@pytest.mark.parametrize("how", STATES)
async def test_the_end_of_the_login_ends_connections(server, postgres, how):
    """After alice's end her running cell has no connection and gets none; bob's goes on."""
    alice, bob = await people_on(server)
    async with working(alice) as (_, hers), working(bob) as (_, his):
        ((*_, her_login),) = await json_lines(hers, STEAL)
        ((*_, his_login),) = await json_lines(his, STEAL)
        cell = await RunningCell(hers, server.home / "work").start(TRIES)
        await end_login(alice, how)
        await eventually(lambda: her_login not in postgres.logins())
        assert her_login not in postgres.open_logins()
        open_one, new_one, function, raw = await cell.told()
        assert open_one in DEAD and new_one in DEAD
        assert (function, raw) == ("session_revoked", STATES[how])
        assert (await json_lines(his, BOTH))[0] == [OWN["bob"]] * 2
        assert his_login in postgres.open_logins()


#: Tries all ways.
TRIES = """
told = both()
try:
    told.append(str(j.connect_as_user("warehouse")))
except j.SessionUserError as error:
    told.append(error.code)
told.append(comm.ask("database_login", session.id, name="warehouse").error or "login")
"""


async def test_a_replay_after_the_lifetime(postgres):
    """The password opens nothing after 5 s; the open connection ends 3 s later, by the server."""
    config = with_databases({"lifetime": 5, "connection_lifetime": 3}, warehouse=postgres.dsn())
    with own_server(*DEMO, config=config) as running:
        alice, bob = await people_on(running)
        async with working(alice) as (_, hers), working(bob) as (_, his):
            logins = {}
            for socket, name in ((hers, "alice"), (his, "bob")):
                (stolen,) = await json_lines(socket, STEAL)
                assert stolen[:2] == [OWN[name]] * 2
                logins[name] = stolen[2]
            start = time.monotonic()
            await asyncio.sleep(5.1)
            for socket, name in ((hers, "alice"), (his, "bob")):
                ((open_one, new_one),) = await json_lines(socket, BOTH)
                assert new_one == "OperationalError"
                if time.monotonic() - start < 7:  # on a machine that is not too busy
                    assert open_one == OWN[name]
                assert await ask(socket) == OWN[name]  # with a new login
            await eventually(lambda: not set(logins.values()) & set(postgres.logins()))
            for socket in (hers, his):
                assert (await json_lines(socket, BOTH))[0][0] in DEAD


async def test_an_unknown_database_and_another_one(server):
    """Names outside the list get none, and a login opens no other database of that server."""
    alice, bob = await people_on(server)
    other = (
        "try:\n    psycopg.connect(**dict(again, dbname='other')); print('1')\n"
        "except psycopg.OperationalError as error:\n"
        "    print(json.dumps('permission denied for database' in str(error)))"
    )
    async with working(alice) as (_, hers), working(bob) as (_, his):
        for socket in (hers, his):
            for name in ("other", "postgres", "Warehouse", "warehouse ", "warehouse dbname=other"):
                assert await ask(socket, name) == "database_unavailable.unknown_database"
            await json_lines(socket, STEAL)
            assert await json_lines(socket, other) == [True]


async def test_concurrent_callers_share_one_login(server, postgres):
    """Twenty threads of each kernel: one login role for each kernel, and each sees its own rows."""
    alice, bob = await people_on(server)
    before = set(postgres.logins())
    many = """
import json, threading, jupyter_session_user as j
seen, gate = [], threading.Semaphore(4)
def one():
    with gate, j.connect_as_user("warehouse") as c:
        seen.append(c.execute("SELECT session_user, array_agg(item) FROM orders").fetchone())
threads = [threading.Thread(target=j.bind_current_user(one)) for _ in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
items = sorted({i for _, x in seen for i in x})
print(json.dumps([len(seen), sorted({s for s, _ in seen}), items]))
"""
    async with working(alice) as (_, hers), working(bob) as (_, his):
        for socket, name in ((hers, "alice"), (his, "bob")):
            ((count, logins, items),) = await json_lines(socket, many)
            assert count == 20 and len(logins) == 1 and items == OWN[name]
        assert len(set(postgres.logins()) - before) == 2


async def test_a_database_that_does_not_answer(postgres):
    """A black hole costs the caller five seconds and others nothing; then all work again."""
    with closing(FaultProxy(postgres.port)) as proxy:
        config = with_databases(warehouse=postgres.dsn(proxy.port))
        with own_server(*DEMO, config=config) as running:
            alice, bob = await people_on(running)
            async with working(alice) as (_, hers), working(bob) as (_, his):
                for mode, most in (("refused", 5.0), ("hole", 9.0)):
                    proxy.fail(mode)
                    start = time.monotonic()
                    asking = asyncio.ensure_future(ask(hers))
                    waits = []
                    while not asking.done():
                        begun = time.monotonic()
                        assert await username(his) == "bob"
                        waits.append(time.monotonic() - begun)
                        await asyncio.sleep(0.05)
                    assert asking.result() in (
                        "database_unavailable.unreachable",
                        "request_timeout",
                    )
                    assert time.monotonic() - start < most and max(waits) < 2
                    proxy.heal()

                async def works() -> bool:
                    return [await ask(hers), await ask(his)] == [OWN["alice"], OWN["bob"]]

                await eventually(works)
            assert "a long random password" not in running.log_text()


async def test_an_end_while_the_database_is_down(postgres):
    """Alice signs out during an outage: the server tries until her login has ended."""
    with closing(FaultProxy(postgres.port)) as proxy:
        far = {"kernel_dsn": f"host=127.0.0.1 port={postgres.port} dbname=warehouse"}
        config = with_databases(far, warehouse=postgres.dsn(proxy.port))
        with own_server(*DEMO, config=config) as running:
            alice, bob = await people_on(running)
            async with kernel_of(alice) as kernel_id, working(bob) as (_, his):
                async with opened(alice, kernel_id) as hers:
                    ((*_, her_login),) = await json_lines(hers, STEAL)
                ((*_, his_login),) = await json_lines(his, STEAL)
                proxy.fail("refused")
                assert (await join(bob, kernel_id)) == 503  # her connection is still open
                await alice.fetch("logout")
                await eventually(lambda: "has not ended yet" in running.log_text())
                assert her_login in postgres.open_logins()
                proxy.heal()
                await eventually(lambda: her_login not in postgres.logins())
                assert (await json_lines(his, BOTH))[0] == [OWN["bob"]] * 2
                assert his_login in postgres.open_logins()


async def join(person: Person, kernel_id: str) -> int:
    """Return the status of a handshake."""
    from tornado.httpclient import HTTPClientError

    try:
        async with opened(person, kernel_id):
            return 101
    except HTTPClientError as error:
        return error.code


async def test_the_end_of_the_server_and_what_a_crash_has_left(postgres):
    """A server that ends removes its logins; one that starts removes those of a killed one."""
    old = f"jsu_{int(time.time()) - 1000}_{'0' * 24}"
    ours = f"jsu_{int(time.time()) + 1000}_{'1' * 24}"
    for name in (old, ours, "jsu_of_another_program"):
        postgres.run(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE alice")
    with own_server(*DEMO, config=with_databases(warehouse=postgres.dsn())) as running:
        await eventually(lambda: old not in postgres.logins())
        alice, bob = await people_on(running)
        made = set()
        for person in (alice, bob):
            kernel_id = await person.start_kernel()
            async with opened(person, kernel_id) as socket:
                ((*_, login),) = await json_lines(socket, STEAL)
                made.add(login)
        assert made <= set(postgres.logins())
    assert not made & set(postgres.logins())
    assert {ours, "jsu_of_another_program"} <= set(postgres.logins())
    postgres.run(f"DROP ROLE {ours}; DROP ROLE jsu_of_another_program")


@pytest.mark.parametrize("kind", ["token", "open"])
async def test_a_user_without_a_name_gets_none(postgres, kind):
    """The holder of the server's token, and a visitor of an open server, are no user by name."""
    token = "secret" if kind == "token" else ""
    options = (f"--IdentityProvider.token={token}", "--ServerApp.disable_check_xsrf=True")
    with own_server(*options, config=with_databases(warehouse=postgres.dsn())) as running:
        person = Person(running.url, {"Authorization": "token secret"} if token else {})
        async with working(person) as (_, socket):
            assert await ask(socket) == "database_unavailable.not_verified"


async def test_a_server_without_databases():
    """By default there are no logins, and the error says what to set."""
    with own_server(*DEMO) as running:
        for person in await people_on(running):
            async with working(person) as (_, socket):
                assert await ask(socket) == "database_unavailable.off"


async def test_who_signs_in_again_goes_on(postgres):
    """An expired login's connection ends; the next login of the same user gets a new one."""
    config = with_databases(warehouse=postgres.dsn())
    with own_server(*DEMO, "--JupyterSessionUser.absolute_timeout=12", config=config) as running:
        alice, bob = await people_on(running)
        async with kernel_of(alice) as kernel_id, kernel_of(bob) as his_kernel:
            async with opened(alice, kernel_id) as hers, opened(bob, his_kernel) as his:
                ((*_, former),) = await json_lines(hers, STEAL)
                ((*_, his_login),) = await json_lines(his, STEAL)
            await eventually(lambda: former not in postgres.logins())
            await eventually(lambda: his_login not in postgres.logins())
            await alice.log_in(PASSWORDS["alice"], "alice")
            async with opened(alice, kernel_id) as hers:
                assert (await json_lines(hers, BOTH))[0][0] in DEAD
                assert await ask(hers) == OWN["alice"]


#: Arguments, and the code of the error.
WRONG = {
    "''": "wrong_argument",
    "None": "wrong_argument",
    "['warehouse']": "wrong_argument",
    "'x' * 65": "wrong_argument",
    "'warehouse', password='x'": "wrong_argument",
    "'warehouse', host='evil.example.org'": "wrong_argument",
    "'warehouse', no_such_option=1": "wrong_argument",
}


async def test_wrong_arguments(server):
    """The server decides where to connect and as whom; the error names the fix."""
    alice, _ = await people_on(server)
    async with working(alice) as (_, socket):
        for call, code in WRONG.items():
            ask_it = f"import json, jupyter_session_user as j\ntry: j.connect_as_user({call})\n"
            ask_it += "except j.SessionUserError as e: print(json.dumps([e.code, str(e)]))"
            ((found, text),) = await json_lines(socket, ask_it)
            assert found == code and len(text) > 30, call


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"w": {"group": "g"}}, "needs dsn"),
        ({"w": {"dsn": "host=h dbname=d"}}, "needs group"),
        ({"w": {"dsn": "host=h dbname=d", "group": "g", "role": "all"}}, "{username} once"),
        ({"w": {"dsn": "no dsn sEcReT", "group": "g"}}, "no connection string"),
        ({"w": {"dsn": "user=u password=sEcReT", "group": "g"}}, "no host or no dbname"),
        ({"w": {"dsn": "host=h dbname=d", "group": "g", "kernel_dsn": "user=u"}}, "may only have"),
        ({"w": {"dsn": "host=h dbname=d", "group": "g", "lifetime": 4000}}, "from 5 to 3600"),
        ({"w": {"dsn": "host=h dbname=d", "group": "g", "nonsense": 1}}, "remove the other keys"),
        ({"a b": {"dsn": "host=h dbname=d", "group": "g"}}, "name the database"),
    ],
)
def test_a_setting_that_cannot_work_stops_the_server(value, text):
    """The server does not start, the last line is the fix, and no connection string is shown."""
    config = {"jupyter_server_config.py": f"c.JupyterSessionUser.databases = {value!r}\n"}
    with (
        pytest.raises(RuntimeError, match="ended at its start") as caught,
        own_server(config=config),
    ):
        pass
    assert text in str(caught.value).split("databases: ")[-1]
    assert "sEcReT" not in str(caught.value)


def test_the_server_says_that_kernels_can_read_its_configuration(server):
    """A warning at the start: kernels run as the account of the server."""
    assert "can read the connection strings" in server.log_text()


def test_an_app_without_a_kernel_has_a_true_error():
    """A visitor of an app has no Jupyter Server that could make a login."""
    for name in ("alice", "bob"):
        session = Visitor("streamlit", User(name), verified=True).session()
        with (
            bind_current_user(session=session),
            pytest.raises(DatabaseUnavailable, match="streamlit") as caught,
        ):
            connect_as_user("warehouse")
        assert caught.value.reason == "no_server"


#: Uses of a login that show a value without being asked to.
USES = [
    "c",
    "[c, c.info, vars(c)]",
    "import pickle; pickle.dumps(c)",
    "from jupyter_session_user.kernel import databases as d; print(d._kept, vars(d))",
    "import pickle; pickle.dumps(list(d._kept._entries.values()))",
    "import copy; print(copy.deepcopy(list(d._kept._entries.values())))",
    "import logging; logging.warning('%r %s', c, [c])",
    "%whos",
    "c.execute('SELECT no_such_column')",
    "connect_as_user('warehouse', no_such_option=1)",
    "connect_as_user('warehouse', sslmode='verify-full')",
    "connect_as_user('warehouse', options='-c nonsense=1 -x')",
    "c.no_such_attribute",
    "locals()",
]


async def test_a_password_shows_nowhere_unless_code_asks_for_it(server, postgres):
    """It is in no log at DEBUG, PostgreSQL's included, no output, traceback, event or pickle."""
    alice, bob = await people_on(server)
    secrets, shown = [], []
    for person in (alice, bob):
        async with working(person) as (_, socket):
            await socket.execute(
                "%xmode Verbose\nimport logging; from jupyter_session_user import *\n"
                "log = get_ipython().kernel.log; log.setLevel(10)\n"
                f"log.addHandler(logging.FileHandler({str(server.home / 'kernel.log')!r}))"
            )
            await socket.execute("c = connect_as_user('warehouse')")
            for use in USES:
                await socket.execute(use)
            shown.append(json.dumps(socket.everything, default=str))
            kept = "next(reversed(d._kept._entries.values())).value.password"
            (secret,) = await json_lines(
                socket,
                f"import json; connect_as_user('warehouse'); print(json.dumps(str({kept})))",
            )
            secrets.append(secret)
    assert len(set(secrets)) == 2
    files = [path for path in server.home.rglob("*") if path.is_file()]
    assert server.log in files and "Control received" in (server.home / "kernel.log").read_text()
    own = [path for path in files if path.name != "jupyter_server_config.py"]
    logs = [path.read_bytes().decode("utf-8", "replace") for path in (*own, postgres.log)]
    assert "CREATE ROLE" in logs[-1] and "SCRAM-SHA-256" in logs[-1]
    for secret in (*secrets, "a long random password"):
        for form in (secret, base64.b64encode(secret.encode()).decode()[:24]):
            # PostgreSQL logs the statements of docs/database.md, with the password of its own role.
            where = logs[:-1] if secret.startswith("a long") else logs
            assert [text for text in (*where, *shown) if form in text] == []
