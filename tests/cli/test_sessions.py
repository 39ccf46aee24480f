"""``sessions`` and ``revoke``: the user of a server lists and ends its sessions.

The servers are real ones, and so is the command line.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import local_server as local
import pytest
from agents import agent_of, who_acts
from local_server import LocalServer
from needs import need
from people import Person
from servers import DEMO, PASSWORDS, ROOT, eventually, kernel_of, opened, own_server, people_on

LIST = "'jupyter session-user sessions'"


def run(runtime: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as the user that owns this runtime directory."""
    return subprocess.run(
        [sys.executable, "-m", "jupyter_session_user.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_RUNTIME_DIR": str(runtime)},
    )


def listed(runtime: Path, *arguments: str) -> list[dict[str, Any]]:
    """Return the output of ``sessions --json``."""
    result = run(runtime, "sessions", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def file_of(runtime: Path) -> Path:
    """Return the one file that a server left for its operator."""
    (path,) = runtime.glob("session-user-*.json")
    return path


async def works(person: Person) -> bool:
    """Tell whether the server accepts this login."""
    return (await person.fetch("api/me")).code == 200


async def session_id(person: Person) -> str:
    """Return the id of this login's session on no kernel."""
    return str((await person.json("api/session-user/me"))["id"])


async def two_on(server: LocalServer) -> tuple[Person, Person]:
    """Return alice and bob with logins that no earlier test has revoked."""

    async def fresh() -> Any:
        both = await people_on(server)
        if not all([await works(one) for one in both]):
            return None
        await asyncio.gather(*map(session_id, both))
        return both

    people: tuple[Person, Person] = await eventually(fresh)
    return people


@pytest.fixture(scope="module")
def own() -> Iterator[LocalServer]:
    """Run a server with alice and bob, without administrators, and with a verbose log."""
    with own_server(*DEMO, "--debug") as running:
        yield running


@pytest.fixture
def runtime(own: LocalServer) -> Path:
    """Return the runtime directory of the server."""
    return own.home / "runtime"


async def test_the_table_shows_everybody(own, runtime):
    """One line for each session, under the server's address; no login is needed."""
    alice, bob = await two_on(own)
    kernel = await alice.start_kernel()
    socket_ = await bob.connect(kernel)
    result = run(runtime, "sessions")
    await socket_.close()
    assert (result.returncode, result.stderr) == (0, "")
    address, head, *rows = result.stdout.splitlines()
    assert address == own.url
    titles = "USERNAME,NAME,STATE,LAST SEEN,EXPIRES,LAST CELL,NOTEBOOK,SESSION"
    assert re.split("  +", head) == titles.split(",")
    *rows, zone = rows
    assert zone == f"Times are in {time.strftime('%Z')}."
    cells = [re.split("  +", row) for row in rows]
    assert {tuple(row[:2]) for row in cells} == {("alice", "Alice Adams"), ("bob", "Bob Brown")}
    for person in (alice, bob):
        short = (await session_id(person)).lstrip("-")[:12]
        (row,) = (row for row in cells if row[-1] == short)
        seen = datetime.strptime(row[3], "%Y-%m-%d %H:%M:%S").astimezone()
        assert abs(datetime.now().astimezone() - seen) < timedelta(minutes=2)
        assert row[2] == "active" and row[4].startswith("~20") and row[-2] == "-"
    assert kernel[:8] in {row[-2] for row in cells if row[0] == "bob"}
    models = listed(runtime)
    assert {model["server"] for model in models} == {own.url}
    assert {await session_id(alice), await session_id(bob)} <= {model["id"] for model in models}


async def test_who_is_logged_in_now_and_where(own, runtime):
    """The notebook's path stands in each user's row; ended logins come with ``--all`` only."""
    alice, bob = await two_on(own)
    kernels = {}
    for person, name in ((alice, "hers.ipynb"), (bob, "his.ipynb")):
        body = {"path": name, "type": "notebook", "name": name, "kernel": {"name": "python3"}}
        made = await person.json("api/sessions", method="POST", body=body)
        kernels[person] = made["kernel"]["id"]
    async with (
        opened(alice, kernels[alice]),
        opened(bob, kernels[bob]),
    ):
        rows = [re.split("  +", row) for row in run(runtime, "sessions").stdout.splitlines()[2:]]
        places = {(row[0], row[-2]) for row in rows if len(row) > 1 and ".ipynb" in row[-2]}
        assert places == {("alice", "hers.ipynb"), ("bob", "his.ipynb")}
    his, hers = await session_id(bob), await session_id(alice)
    assert run(runtime, "revoke", "--user", "bob").returncode == 0
    shown = {model["id"] for model in listed(runtime)}
    assert hers in shown and his not in shown
    everything = {model["id"]: model["state"] for model in listed(runtime, "--all")}
    assert (everything[his], everything[hers]) == ("revoked", "active")


async def test_the_last_cell_of_each_session(own, runtime):
    """On a shared kernel, each row has the cell that its own user ran last, or none."""
    alice, bob = await two_on(own)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
    ):
        await hers.execute("1", {"cellId": "alices-0123456789"})
        await his.execute("1", {"cellId": "bobs\x1b[2J-0123456789"})
        lines = run(runtime, "sessions").stdout.splitlines()[2:-1]
        rows = [re.split("  +", row) for row in lines]
        shown = {row[0]: row[5] for row in rows if row[-2] == kernel[:8]}
        assert shown["alice"].endswith(" alices-0")
        assert shown["bob"].endswith(r" bobs\x1b[2J")
        assert all(row[5] == "-" for row in rows if row[-2] == "-")


async def test_watch_shows_a_login_that_ends(own, runtime):
    """The list comes anew by itself: bob is in it, and after his sign-out only alice is."""
    await two_on(own)
    watching = _watch(runtime)
    try:
        names = _names_shown(watching)
        assert {"alice", "bob"} <= next(names)
        assert run(runtime, "revoke", "--user", "bob").returncode == 0
        left = await eventually(lambda: _without(next(names), "bob"))
        assert "alice" in left
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0  # Ctrl-C is how it ends
        watching.stdout.close()


def _watch(runtime: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "jupyter_session_user.cli.main", "sessions", "--watch"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_RUNTIME_DIR": str(runtime)},
        # A shell starts background jobs, and so these tests, with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def _names_shown(watching: subprocess.Popen[str]) -> Iterator[set[str]]:
    """Return the usernames of each list that is shown; an empty line ends a list."""
    names: set[str] = set()
    for line in watching.stdout:
        if line.strip():
            names.add(line.split()[0])
        else:
            yield names
            names = set()


async def _without(names: set[str], name: str) -> set[str] | None:
    return names if name not in names else None


async def test_revoke_by_id_and_by_name(own, runtime):
    """A short id, a full id and a name each end only the named sessions."""
    alice, bob = await two_on(own)
    his = await session_id(bob)
    result = run(runtime, "revoke", his.lstrip("-")[:12])
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"revoked: {his.lstrip('-')[:12]}, 'bob'\n"
    assert [await works(p) for p in (alice, bob)] == [True, False]
    states = {model["id"]: model["state"] for model in listed(runtime, "--all")}
    assert (states[his], states[await session_id(alice)]) == ("revoked", "active")

    alice, bob = await two_on(own)
    hers, his = await session_id(alice), await session_id(bob)
    assert run(runtime, "revoke", "--", hers, his).returncode == 0
    assert [await works(p) for p in (alice, bob)] == [False, False]

    alice, bob = await two_on(own)
    result = run(runtime, "revoke", "--user", "alice")
    assert result.returncode == 0 and result.stdout.endswith(" revoked\n")
    assert [await works(p) for p in (alice, bob)] == [False, True]


async def test_a_name_is_found_before_its_person_has_opened_anything(own, runtime):
    """A login without a session can be revoked; the other login stays."""
    alice, _ = await two_on(own)
    bob = Person(own.url)
    assert run(runtime, "revoke", "--user", "bob").returncode == 0

    async def logged_in() -> bool:
        await bob.log_in(PASSWORDS["bob"], "bob")
        return await works(bob)

    await eventually(logged_in)
    assert run(runtime, "revoke", "--user", "bob").stdout == "1 login revoked\n"
    assert [await works(p) for p in (alice, bob)] == [True, False]


async def test_what_is_not_there_is_said_and_the_rest_is_done(own, runtime):
    """The status is 1, with one line of advice; a start that is too short matches no session."""
    alice, bob = await two_on(own)
    his = await session_id(bob)
    result = run(runtime, "revoke", "no-such-session", his.lstrip("-")[:5], his.lstrip("-"))
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"jupyter session-user: there is no session {given!r}; take an id from {LIST}"
        for given in ("no-such-session", his.lstrip("-")[:5])
    ]
    assert [await works(p) for p in (alice, bob)] == [True, False]
    result = run(runtime, "revoke", "--user", "mallory")
    assert (result.returncode, result.stdout) == (1, "0 logins revoked\n")
    assert result.stderr == (f"jupyter session-user: no user 'mallory' is logged in; see {LIST}\n")


async def test_the_secret_is_for_one_user_and_for_our_routes(own, runtime):
    """The file has the mode 0600; its secret opens no other route, and no other secret works."""
    path = file_of(runtime)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = json.loads(path.read_text())["authorization"]
    assert len(secret.removeprefix("session-user ")) >= 43  # 256 bits in base64
    alice, bob = await two_on(own)
    his, hers = await session_id(bob), await session_id(alice)
    operator = Person(own.url, {"Authorization": secret})
    assert (await operator.fetch("api/session-user/sessions")).code == 200
    assert (await operator.fetch("api/session-user/agents?mine=true")).body == b"[]"
    assert (await operator.fetch("api/session-user/me")).code == 404
    assert (await operator.fetch("api/session-user/x")).code == 404
    for other in ("api/me", "api/kernels", "api/contents", "api/sessions", "api/status"):
        assert (await operator.fetch(other)).code == 403
    wrongs = (secret[:-1], secret + "x", secret.upper(), f"token {secret.split()[1]}", "")
    for wrong in (*wrongs, "session-user ", "session-user", "session-user \xe9"):
        nobody = Person(own.url, {"Authorization": wrong})
        for target in (his, hers):
            answer = await nobody.fetch(f"api/session-user/sessions/{target}", method="DELETE")
            assert answer.code == 403
    assert [await works(p) for p in (alice, bob)] == [True, True]
    answer = await operator.fetch("api/session-user/logout-everywhere", method="POST", body={})
    assert answer.code == 400
    assert secret.split()[1] not in own.log_text()


async def test_a_page_on_another_host_name_gets_nothing(own, runtime):
    """Jupyter's check of host names applies to the operator, too."""
    secret = json.loads(file_of(runtime).read_text())["authorization"]
    rebound = Person(own.url, {"Authorization": secret, "Host": "evil.example"})
    assert (await rebound.fetch("api/session-user/sessions")).code == 403


def test_two_servers_of_one_user(tmp_path):
    """Both servers are used; ``--server`` selects one; files of stopped servers are removed."""
    shared = tmp_path / "runtime"
    env = {"JUPYTER_RUNTIME_DIR": str(shared)}
    with own_server(*DEMO, env=env) as one:
        with own_server(*DEMO, "--ServerApp.base_url=/two/", env=env) as two:
            _, bob = asyncio.run(two_on(one))
            alice, other_bob = asyncio.run(two_on(two))
            assert {model["server"] for model in listed(shared)} == {one.url, two.url}
            port = two.url.split(":")[2].split("/")[0]
            for wanted in (port, two.url, two.url.rstrip("/")):
                assert {m["server"] for m in listed(shared, "--server", wanted)} == {two.url}
            result = run(shared, "sessions", "--server", "1")
            assert result.returncode == 2
            assert result.stderr.startswith("jupyter session-user: no running server is 1; write")
            assert one.url in result.stderr and two.url in result.stderr
            hers = asyncio.run(session_id(alice))
            assert run(shared, "revoke", hers.lstrip("-"), "--server", one.url).returncode == 1
            assert asyncio.run(works(alice))
            assert run(shared, "revoke", hers.lstrip("-")).returncode == 0
            result = run(shared, "revoke", "--user", "bob")
            assert (result.returncode, result.stdout) == (0, "2 logins revoked\n")
            assert not any(asyncio.run(works(p)) for p in (alice, bob, other_bob))
            two.process.kill()
            two.process.wait()
        assert len(list(shared.glob("session-user-*.json"))) == 2
        assert {model["server"] for model in listed(shared)} == {one.url}
        assert len(list(shared.glob("session-user-*.json"))) == 1
    assert list(shared.glob("session-user-*.json")) == []  # it stopped normally


def test_files_that_are_no_running_servers(tmp_path):
    """Broken files and files of other machines are kept, and the error says that none runs."""
    info = {"url": "http://127.0.0.1:1/", "authorization": "x", "certfile": "", "sock": ""}
    there = {**info, "pid": 1, "hostname": "another-machine"}
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = {**info, "pid": gone.pid, "hostname": socket.gethostname()}
    texts = {"1": "{", "2": "[]", "3": "{}", "4": json.dumps(there), "5": json.dumps(dead)}
    for name, text in texts.items():
        (tmp_path / f"session-user-{name}.json").write_text(text)
    for command in (["sessions"], ["revoke", "--user", "alice"]):
        result = run(tmp_path, *command)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == (
            f"jupyter session-user: no running server in {tmp_path}; start one with the "
            "extension, or run this as the user who started it, with the same "
            "JUPYTER_RUNTIME_DIR\n"
        )
    assert sorted(path.name[-6] for path in tmp_path.iterdir()) == ["1", "2", "3", "4"]


def test_a_server_that_does_not_answer(own, runtime, tmp_path):
    """One line of error and status 2; the other servers are still listed."""
    shutil.copy(file_of(runtime), tmp_path)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        info = json.loads(file_of(runtime).read_text())
        (tmp_path / "session-user-1.json").write_text(json.dumps({**info, "url": url}))
        asyncio.run(two_on(own))
        result = run(tmp_path, "sessions")
    assert result.returncode == 2
    assert result.stdout.startswith(own.url)
    assert result.stderr == (
        f"jupyter session-user: {url} does not answer (ConnectionRefusedError); look at its log, "
        "or restart it\n"
    )


def test_names_cannot_command_a_terminal(tmp_path):
    """Escape sequences and line ends are printed as text, and long names are cut."""
    hostile = "\x1b[2Jmallory\nroot\u202e" + "x" * 100
    provider = "--ServerApp.identity_provider_class=named_by_hex.HexNames"
    (tmp_path / "named_by_hex.py").write_text(
        "from header_identity import HeaderIdentityProvider, HeaderUser\n"
        "class HexNames(HeaderIdentityProvider):\n"
        "    def get_user(self, handler):\n"
        "        name = handler.request.headers.get('X-User', '')\n"
        "        return HeaderUser(bytes.fromhex(name).decode()) if name else None\n"
    )
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support"), str(tmp_path)))
    with own_server(provider, env={"PYTHONPATH": path}) as running:
        for name in (hostile, "ben"):
            person = Person(running.url, {"X-User": name.encode().hex()})
            assert asyncio.run(works(person))
            asyncio.run(session_id(person))
        printed = run(running.home / "runtime", "sessions").stdout
    assert "\x1b" not in printed and "\u202e" not in printed
    assert len(printed.splitlines()) == 5  # the address, the heading, two users, the zone
    assert r"\x1b[2Jmallory\nroot\u202exxx" in printed and "…" in printed


@contextmanager
def started(home: Path, *arguments: str, port: int | None = None) -> Iterator[Path]:
    """Run a server that accepts no plain HTTP; return its runtime directory."""
    for name in ("work", "config", "data"):
        (home / name).mkdir()
    off = dict.fromkeys(("jupyterlab", "jupyter_lsp", "notebook", "jupyter_server_nbmodel"), False)
    enabled = {**off, "jupyter_session_user": True}
    options = (f"--ServerApp.jpserver_extensions={enabled!r}", *arguments)
    command = (sys.executable, "-m", "jupyter_server")
    env = {"PYTHONPATH": str(ROOT)}
    server = local._start(home, options, command, env, port or local._free_port())
    try:
        deadline = time.monotonic() + local.START_TIMEOUT_S
        while not list((home / "runtime").glob("session-user-*.json")):
            assert server.process.poll() is None and time.monotonic() < deadline, server.log_text()
            time.sleep(0.05)
        yield home / "runtime"
    finally:
        local._stop(server.process)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for a host that is not this one."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=jupyter.example", "-days", "2", "-nodes"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


def test_a_server_with_tls(tmp_path):
    """The server's own certificate is accepted; a server with another one gets no secret."""
    need(shutil.which("openssl"), "there is no openssl to make a certificate")
    (tmp_path / "other").mkdir()
    key, cert = certificate(tmp_path)
    _, other = certificate(tmp_path / "other")
    with started(tmp_path, f"--ServerApp.certfile={cert}", f"--ServerApp.keyfile={key}") as runtime:
        result = run(runtime, "sessions")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("https://127.0.0.1:")
        info = json.loads(file_of(runtime).read_text())
        file_of(runtime).write_text(json.dumps({**info, "certfile": str(other)}))
        result = run(runtime, "sessions")
        assert result.returncode == 2
        assert "SSLCertVerificationError" in result.stderr


def test_a_server_on_a_unix_socket(tmp_path):
    """A server on a Unix socket has no address, and is found as well."""
    need(hasattr(socket, "AF_UNIX"), "there are no Unix sockets here")
    with started(tmp_path, f"--ServerApp.sock={tmp_path / 's'}", port=8888) as runtime:
        result = run(runtime, "sessions")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.splitlines()[1] == "nobody is logged in"


def test_a_directory_that_cannot_be_written_costs_no_server():
    """The server runs, and its log names the features that do not work."""
    code = """
import logging, types
from jupyter_session_user.server.web.operator import Operator
server = types.SimpleNamespace(info_file="/dev/null/runtime/jpserver-1.json", ip="", port=1,
    base_url="/", certfile="", sock="", log=logging.getLogger("server"))
operator = Operator(); operator.start(server); operator.close(); print("goes on")
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.stdout == "goes on\n"
    assert "'jupyter session-user sessions' will not find this server" in result.stderr


def test_help_and_misuse(tmp_path):
    """Each command has a help text; ``revoke`` needs ids or a name, and not both."""
    assert all(word in run(tmp_path, "--help").stdout for word in ("sessions", "revoke"))
    shown = run(tmp_path, "sessions", "--help")
    assert shown.returncode == 0
    assert all(word in shown.stdout for word in ("--server", "--json", "URL|PORT"))
    revoke = run(tmp_path, "revoke", "--help").stdout
    assert all(word in revoke for word in ("ID", "--user", "--server"))
    for wrong in (["revoke"], ["revoke", "id", "--user", "bob"], ["revoke", "--user"]):
        answer = run(tmp_path, *wrong)
        assert answer.returncode == 2 and answer.stderr.startswith("usage: ")


async def test_agents_are_listed_and_revoked():
    """Two people's agents are told apart; one is revoked, and the other goes on."""
    with own_server(*DEMO) as running:
        runtime = running.home / "runtime"
        empty = await asyncio.to_thread(run, runtime, "agents")
        assert (empty.returncode, "no agent has a token" in empty.stdout) == (0, True)
        alice, bob = await people_on(running)
        hers, his = await agent_of(alice, "Alpha"), await agent_of(bob, "Beta")
        async with (
            kernel_of(alice) as kernel,
            opened(hers, kernel) as alpha,
            opened(his, kernel) as beta,
        ):
            assert await who_acts(alpha) == "alice Alpha"
            sessions = await asyncio.to_thread(run, runtime, "sessions")
            assert "Alice Adams (agent Alpha)" in sessions.stdout
            table = await asyncio.to_thread(run, runtime, "agents")
            assert "Alpha" in table.stdout and hers.model["token"] not in table.stdout
            listed = await asyncio.to_thread(run, runtime, "agents", "--json")
            found = {one["id"]: one["username"] for one in json.loads(listed.stdout)}
            assert found == {hers.model["id"]: "alice", his.model["id"]: "bob"}
            revoked = await asyncio.to_thread(run, runtime, "agents", "--revoke", hers.model["id"])
            assert revoked.returncode == 0 and "'Alpha' of 'alice'" in revoked.stdout
            (error,) = (await alpha.execute("1")).errors
            assert error.startswith("SessionRevoked")
            assert (await who_acts(beta)).startswith("bob Beta")
            again = await asyncio.to_thread(run, runtime, "agents", "--revoke", hers.model["id"])
            assert again.returncode == 1 and "there is no agent" in again.stderr
