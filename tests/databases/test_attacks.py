# ruff: noqa: E501 - one attack a line
"""Hostile code with a database login gets no row that its user may not see."""

from __future__ import annotations

import json

import pytest
from people import Person
from postgres_server import with_databases
from servers import identity, json_lines, kernel_of, opened, own_server, people_on

from jupyter_session_user.core.database_login import DatabaseTerms, login_role, role_of
from jupyter_session_user.server.auth.postgres import Draft, NoRole, Postgres

#: Statements of hostile code; ``{other}`` is the other user, ``{login}`` the own login role. Each
#: line runs on a connection of its own, statement by statement, whether or not one fails.
ATTACKS = """
SET ROLE {other}
SET LOCAL ROLE {other}
SET ROLE boss
SET ROLE jupyter_logins
SET ROLE jupyter_people
SET ROLE NONE
RESET ROLE
RESET ALL
DISCARD ALL
SELECT set_config('role', '{other}', false)
SELECT set_config('session_authorization', '{other}', false)
SET SESSION AUTHORIZATION {other}
SET SESSION AUTHORIZATION boss
RESET SESSION AUTHORIZATION
SET LOCAL app."user" = '{other}'
SET app."user" = '{other}'
SET row_security = off
SET SESSION row_security = off; SET ROLE NONE
UPDATE pg_catalog.pg_roles SET rolbypassrls = true
UPDATE pg_catalog.pg_authid SET rolbypassrls = true
ALTER ROLE {login} BYPASSRLS
ALTER ROLE {login} SUPERUSER
ALTER ROLE {login} VALID UNTIL 'infinity'
ALTER ROLE {login} SET role = '{other}'
ALTER ROLE {login} RENAME TO {other}
ALTER ROLE {me} BYPASSRLS
ALTER ROLE {me} LOGIN
ALTER ROLE {me} RENAME TO {other}_
ALTER ROLE {other} PASSWORD 'mine'
GRANT {other} TO {me}
GRANT {other} TO {login}
SET ROLE NONE; GRANT {other} TO {login}
SET ROLE NONE; GRANT {login} TO {other}
GRANT jupyter_logins TO {me}
REVOKE {me} FROM {login}
CREATE ROLE mine SUPERUSER LOGIN
ALTER TABLE orders DISABLE ROW LEVEL SECURITY
ALTER TABLE orders NO FORCE ROW LEVEL SECURITY
DROP POLICY own_rows ON orders
CREATE POLICY every ON orders USING (true)
ALTER TABLE orders OWNER TO {me}
CREATE OR REPLACE FUNCTION jupyter_person() RETURNS name LANGUAGE sql AS $$ SELECT '{other}'::name $$
CREATE FUNCTION pg_temp.jupyter_person() RETURNS name LANGUAGE sql AS $$ SELECT '{other}'::name $$; SET search_path = pg_temp, public
CREATE TEMP TABLE pg_roles AS SELECT oid, rolname FROM pg_catalog.pg_roles; UPDATE pg_temp.pg_roles SET rolname = '{other}' WHERE rolname = '{me}'; SET search_path = pg_temp, pg_catalog, public
CREATE TEMP TABLE pg_auth_members AS SELECT p.oid AS roleid, l.oid AS member FROM pg_catalog.pg_roles p, pg_catalog.pg_roles l; SET search_path = pg_temp, pg_catalog, public
CREATE TEMP VIEW all_orders AS SELECT * FROM orders; SET ROLE NONE; SELECT item FROM all_orders
CREATE FUNCTION pg_temp.leak(owner name, item text) RETURNS bool COST 0.0000001 LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'leaked %', item; RETURN true; END $$; SELECT item FROM orders WHERE pg_temp.leak(owner, item)
SELECT item FROM orders WHERE owner = '{other}' AND 1 / length(left(item, 0)) = 1
SELECT (item::int)::text FROM orders WHERE owner = '{other}'
SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'orders'
SELECT stavalues1::text FROM pg_statistic
SELECT item FROM orders TABLESAMPLE SYSTEM (100)
SELECT item FROM orders WHERE ctid IN ('(0,1)', '(0,2)')
SELECT item FROM ONLY orders FOR UPDATE
COPY orders TO STDOUT
COPY orders TO PROGRAM 'cat'
SELECT query FROM pg_stat_activity
SELECT pg_read_file('/etc/passwd')
SELECT lo_import('/etc/passwd')
UPDATE orders SET owner = '{me}' RETURNING item
UPDATE orders SET item = item WHERE owner = '{other}' RETURNING item
DELETE FROM orders WHERE owner = '{other}' RETURNING item
INSERT INTO orders SELECT '{me}', item FROM orders WHERE owner = '{other}' RETURNING item
INSERT INTO orders VALUES ('{other}', 'planted')
BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL ROLE {other}; SELECT item FROM orders
PREPARE p AS SELECT item FROM orders; SET ROLE NONE; EXECUTE p
DECLARE c CURSOR WITH HOLD FOR SELECT item FROM orders; SET ROLE NONE; FETCH ALL c
DO $$ BEGIN EXECUTE 'SET ROLE {other}'; END $$
CREATE FUNCTION pg_temp.f() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$ SELECT item FROM orders $$; SET ROLE NONE; SELECT pg_temp.f()
CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()
CREATE EXTENSION dblink
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename ~ '^jsu_' AND usename <> '{login}'
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename <> '{login}'
"""

#: Runs each attack, and prints what it saw: all rows, notices and errors.
RUN = """
import json, psycopg, jupyter_session_user as j
seen, done = [], 0
for line in {attacks!r}:
    with j.connect_as_user("warehouse", autocommit=True) as c:
        c.add_notice_handler(lambda diag: seen.append(diag.message_primary))
        login = c.info.user
        for part in (*line.replace("{{login}}", login).split("; "), "SELECT item FROM orders"):
            try:
                if part == "COPY orders TO STDOUT":
                    with c.cursor().copy(part) as copy:
                        seen += [bytes(block).decode() for block in copy]
                elif (found := c.execute(part)).description:
                    seen += [str(value) for row in found.fetchall() for value in row]
                done += 1
            except psycopg.Error as error:
                seen.append(str(error))
        try:
            c.execute("ROLLBACK")
        except psycopg.Error:
            pass
    with j.connect_as_user("warehouse") as c:  # what is left for the next connection
        seen += [str(value) for row in c.execute("SELECT * FROM orders") for value in row]
        if {undo!r}:
            c.execute({undo!r})
print(json.dumps([done, seen]))
"""
WORDS = {"alice": "tea", "bob": "coffee"}


async def attacked(server, lines: str, *, control: bool = False) -> dict[str, list[str]]:
    """Run attacks as each of two people; return what each saw."""
    found = {}
    alice, bob = await people_on(server)
    for person, me, other in ((alice, "alice", "bob"), (bob, "bob", "alice")):
        attacks = [
            line.replace("{me}", me).replace("{other}", other) for line in lines.strip().split("\n")
        ]
        undo = "" if control else f"DELETE FROM orders WHERE item <> '{WORDS[me]}'"  # noqa: S608
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            code = RUN.format(attacks=attacks, undo=undo)
            result = await socket.execute(code, timeout=200)
            assert not result.errors, result.errors
            done, seen = json.loads(result.text)
            assert control or done > len(attacks)  # each could at least look
            assert control or any(WORDS[me] in text for text in seen)
            found[me] = seen
    return found


async def test_no_statement_shows_a_foreign_row(server, postgres):
    """Of 60 attacks in each of two kernels none shows, changes or plants another user's row."""
    postgres.run("ANALYZE orders")
    powerful = "SELECT rolname FROM pg_roles WHERE rolsuper OR rolbypassrls"
    before = sorted(postgres.run(powerful))  # other tests make such roles
    found = await attacked(server, ATTACKS)
    for me, other in (("alice", "bob"), ("bob", "alice")):
        shown = [text for text in found[me] if WORDS[other] in text and "orders" not in text]
        assert shown == []
    rows = sorted(postgres.run("SELECT * FROM orders"))
    assert rows == [("alice", "tea"), ("bob", "coffee")]
    assert sorted(postgres.run(powerful)) == before


@pytest.mark.parametrize(
    ("policy", "attack"),
    [
        (
            "owner = current_setting('app.user', true)",
            "SELECT set_config('app.user', '{other}', false)",
        ),
        ("pg_has_role(current_user, 'jupyter_people', 'MEMBER')", "SET ROLE NONE"),
    ],
)
async def test_these_attacks_find_what_a_weak_policy_lets_pass(server, postgres, policy, attack):
    """The same attack on a policy over something that the session can set sees foreign rows."""
    postgres.run(f"ALTER POLICY own_rows ON orders USING ({policy} OR owner = jupyter_person())")
    try:
        found = await attacked(server, attack, control=True)
    finally:
        postgres.run("ALTER POLICY own_rows ON orders USING (owner = (SELECT jupyter_person()))")
        postgres.run("TRUNCATE orders")
        postgres.run("INSERT INTO orders VALUES ('alice', 'tea'), ('bob', 'coffee')")
    assert "coffee" in found["alice"] and "tea" in found["bob"], found


async def test_a_password_that_code_gives_its_own_role_opens_nothing(server, postgres):
    """``ALTER ROLE alice PASSWORD`` succeeds in PostgreSQL, and alice's role cannot log in."""
    alice, bob = await people_on(server)
    code = """
import json, psycopg, jupyter_session_user as j
with j.connect_as_user("warehouse", autocommit=True) as c:
    c.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
    (me,) = c.execute("SELECT current_user").fetchone()
    where = {"host": c.info.host, "port": c.info.port, "dbname": c.info.dbname}
try:
    psycopg.connect(**where, user=me, password="mine")
    print(json.dumps("connected"))
except psycopg.OperationalError as error:
    print(json.dumps("not permitted to log in" in str(error)))
"""
    for person in (alice, bob):
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            assert await json_lines(socket, code) == [True]


#: Usernames, and what makes their roles; all are refused.
REFUSED = {
    "boss": "GRANT jupyter_people TO boss",
    "postgres": "CREATE ROLE postgres NOLOGIN IN ROLE jupyter_people",
    "jupyter_logins": "GRANT jupyter_people TO jupyter_logins",
    "jupyter_people": "",
    "pg_read_all_data": "GRANT jupyter_people TO pg_read_all_data",
    "public": "",
    "none": "",
    "current_user": "",
    "nobody there": "",
    "x' OR '1'='1": "",
    'x"; GRANT boss TO alice; --': "",
    "alice'; DROP ROLE alice; --": "",
    "Alice": "",
    "alice ": "",
    "alice\x00": "",
    "%": "",
    "a" * 64: f"CREATE ROLE {'a' * 63} NOLOGIN IN ROLE jupyter_people",
    "not_in_group": "CREATE ROLE not_in_group NOLOGIN",
    "in_part": "CREATE ROLE in_part NOLOGIN; CREATE ROLE part NOLOGIN IN ROLE jupyter_people;"
    " GRANT part TO in_part",
    "logs_in": "CREATE ROLE logs_in LOGIN IN ROLE jupyter_people",
    "as_login": "CREATE ROLE as_login NOLOGIN IN ROLE jupyter_people, logs_in",
    "bypass": "CREATE ROLE bypass NOLOGIN BYPASSRLS IN ROLE jupyter_people",
    "creator": "CREATE ROLE creator NOLOGIN CREATEROLE IN ROLE jupyter_people",
    "creatordb": "CREATE ROLE creatordb NOLOGIN CREATEDB IN ROLE jupyter_people",
    "copier": "CREATE ROLE copier NOLOGIN REPLICATION IN ROLE jupyter_people",
    "over_bypass": "CREATE ROLE between NOLOGIN; GRANT bypass TO between;"
    " CREATE ROLE over_bypass NOLOGIN IN ROLE jupyter_people, between",
    "over_boss": "CREATE ROLE over_boss NOLOGIN IN ROLE jupyter_people, boss",
    "over_logins": "CREATE ROLE over_logins NOLOGIN IN ROLE jupyter_people, jupyter_logins",
    "reader": "CREATE ROLE reader NOLOGIN IN ROLE jupyter_people, pg_read_all_data",
    "runner": "CREATE ROLE runner NOLOGIN IN ROLE jupyter_people, pg_execute_server_program",
}
#: Usernames that need quoting, and have roles of exactly that name.
QUOTED = ['o"brien %s{0} Ł', "x'); DROP TABLE orders; --"]

CONNECT = """
import json, jupyter_session_user as j
try:
    with j.connect_as_user("warehouse") as c:
        print(json.dumps(c.execute("SELECT current_user, array_agg(item) FROM orders").fetchone()))
except j.SessionUserError as error:
    print(json.dumps(error.code))
"""


def test_roles_that_the_server_never_lends(postgres):
    """A user with the name of another kind of role, or with SQL in it, gets no login role."""
    terms = DatabaseTerms(postgres.dsn(), "jupyter_people")
    database = Postgres("warehouse", terms)
    for setup in filter(None, REFUSED.values()):
        postgres.run(setup)
    before = postgres.run("SELECT rolname FROM pg_roles ORDER BY 1")
    asked = set()
    for name in REFUSED:
        person = role_of("{username}", name)
        if person is not None:
            asked.add(name)
            draft = Draft(login_role(2e9, "a" * 24), "secret", person, 60, "comment")
            with pytest.raises(NoRole):
                database.make(draft)
    assert {"boss", "bypass", "over_bypass", "Alice", "alice'; DROP ROLE alice; --"} <= asked
    assert not {"postgres", "pg_read_all_data", "public", "alice\x00", "a" * 64} & asked
    assert postgres.run("SELECT rolname FROM pg_roles ORDER BY 1") == before


async def test_usernames_that_collide_or_inject(postgres):
    """The same over Jupyter; a name that needs quotes gets exactly its own role."""
    postgres.run("CREATE ROLE skips NOLOGIN BYPASSRLS IN ROLE jupyter_people")
    for name in QUOTED:
        quoted = name.replace('"', '""')
        postgres.run(f'CREATE ROLE "{quoted}" NOLOGIN IN ROLE jupyter_people')
        postgres.run("INSERT INTO orders VALUES (%s, %s)", name, f"row of {name}")
    config = with_databases(warehouse=postgres.dsn())
    provider = identity("HeaderIdentityProvider")[0].replace("header_identity", "quoted_identity")
    options = (provider, "--ServerApp.disable_check_xsrf=True")
    with own_server(*options, config=config) as running:
        for name in ("boss", "skips", "alice'; DROP ROLE alice; --", *QUOTED):
            person = Person(running.url, {"X-User": json.dumps(name)})
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                (who,) = await json_lines(socket, CONNECT)
                if name in QUOTED:
                    assert who == [name, [f"row of {name}"]]
                else:
                    assert who == "database_unavailable.no_role", name
        assert "the role 'skips' has or reaches SUPERUSER" in running.log_text()
    postgres.run("DELETE FROM orders WHERE owner NOT IN ('alice', 'bob')")
    assert sorted(postgres.run("SELECT * FROM orders")) == [("alice", "tea"), ("bob", "coffee")]
