"""``jupyter session-user demo``: its check, its key, its address, and what it leaves behind."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import servers
from demo_run import COMMAND, demo_running
from jupyter_server.serverapp import ServerApp
from people import Person

from jupyter_session_user.cli.demo_server import _guard
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.testing.tour import TourIdentityProvider
from jupyter_session_user.testing.tour_pages import PAGE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 150


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo."""
    with demo_running(tmp_path_factory.mktemp("demo")) as running:
        yield running


def check(tmp_path, *arguments, **env):
    """Run the command until its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "TMPDIR": str(tmp_path), **env},
    )


def test_the_check_passes(tmp_path):
    """Every cell of each user had this user, in both formats; nothing is left behind."""
    done = check(tmp_path, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.endswith("ok")]
    assert {(row[-3], row[-2]) for row in rows} == {("alice", "alice"), ("bob", "bob")}
    assert {"(v1)", "(legacy)"} <= {word for row in rows for word in row}
    assert "WRONG" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_check_fails_where_users_are_unknown(tmp_path):
    """Without the server extension no cell has a user, and the exit status says so."""
    config = tmp_path / "config"
    config.mkdir()
    off = {"ServerApp": {"jpserver_extensions": {"jupyter_session_user": False}}}
    (config / "jupyter_server_config.json").write_text(json.dumps(off), encoding="utf-8")
    done = check(tmp_path, "--check", JUPYTER_CONFIG_PATH=str(config))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT every row is right." in done.stdout


def test_a_port_in_use(tmp_path):
    """The error names the option, also if only the other loopback address is in use."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as taken:
            taken.bind((host, 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = check(tmp_path, "--no-browser", "--port", str(port))
        assert done.returncode == 2
        assert f"port {port} is in use" in done.stderr
        assert "--port" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_only_this_machine_reaches_it(demo):
    """The server listens on 127.0.0.1 alone, and no other program can listen at ``localhost``."""
    port = int(demo.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        pass
    with pytest.raises(OSError, match="refused"), socket.create_connection(("::1", port)):
        pass
    with pytest.raises(OSError, match="in use"):
        _guard(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; names the address that others would use
        outside = probe.getsockname()[0]
    if outside != "127.0.0.1":
        with pytest.raises(OSError, match="refused"), socket.create_connection((outside, port)):
            pass


def test_the_command_lines_have_no_key(demo):
    """Other accounts see command lines; the key is in none."""
    shown = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, check=True, text=True
    ).stdout
    assert "TourIdentityProvider.key_file" in shown
    assert demo.key not in shown


async def test_nobody_without_the_key(demo):
    """Without the key, no page, link or form of the demo logs a browser in or ends a login."""
    stranger = Person(demo.url)
    for path in ("", "/as/alice", "/as/alice?to=notebook&key=", "/as/bob?key=wrong"):
        assert (await stranger.fetch(PAGE + path)).code == 403
    await stranger.fetch("login")
    knower = Person(demo.url)
    await knower.fetch(f"{PAGE}?key={demo.key}")
    await knower.fetch(PAGE)
    xsrf = knower.cookies["_xsrf"]
    stranger.cookies["_xsrf"] = xsrf  # not even a form of our own
    form = {"username": "alice", "_xsrf": xsrf}
    assert (await stranger.fetch("login", method="POST", form=form)).code == 403
    end = await stranger.fetch(f"{PAGE}/end/alice", method="POST", form={"_xsrf": xsrf})
    assert end.code == 403
    assert (await stranger.fetch("api/kernels")).code == 403
    assert not any("username-127" in name for name in stranger.cookies)
    # With the key, and without a form of the page: a page of another site.
    for path in (f"{PAGE}/end/alice", "login"):
        knower.cookies.pop("_xsrf", None)  # an answer may have set it again
        assert (await knower.fetch(path, method="POST", form={"username": "bob"})).code == 403
    assert (await knower.fetch(f"{PAGE}/as/bob?to=notebook")).code == 403


async def test_links_lead_to_the_demos_pages_alone(demo):
    """A link logs the named user in; it leads to a page of this server, or else to the notebook."""
    other_sites = ("https://example.org", "//example.org/a", "/%5Cexample.org/a", "%5C%5Ca.org/b")
    for name in ("alice", "bob"):
        person = Person(demo.url)
        for to in other_sites:
            answer = await person.fetch(f"{PAGE}/as/{name}?to={to}&key={demo.key}")
            assert answer.headers["Location"] == f"/lab/workspaces/{name}/tree/whoami.ipynb"
        answer = await person.fetch(f"{PAGE}/as/{name}?to=voila/render/a.ipynb&key={demo.key}")
        assert answer.headers["Location"] == "/voila/render/a.ipynb"
        assert (await person.json("api/me"))["identity"]["username"] == name


async def test_a_login_ends_only_for_its_user(demo):
    """The button ends the logins that a user has; the user's next login, and others', go on."""
    alice, bob = Person(demo.url), Person(demo.url)
    for name, person in (("alice", alice), ("bob", bob)):
        await person.fetch(f"{PAGE}/as/{name}?key={demo.key}")
        await person.fetch(PAGE)
    before = (await bob.json("api/session-user/me"))["expiry_source"]
    form = {"_xsrf": bob.cookies["_xsrf"]}
    assert (await bob.fetch(f"{PAGE}/end/alice", method="POST", form=form)).code == 303
    anew = Person(demo.url)
    await anew.fetch(f"{PAGE}/as/alice?key={demo.key}")
    sources = [
        (await person.json("api/session-user/me"))["expiry_source"] for person in (alice, anew, bob)
    ]
    assert sources == ["custom", before, before]
    assert before != "custom"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left(tmp_path, number):
    """Ctrl-C and SIGTERM end the server and remove its directory."""
    with demo_running(tmp_path) as running:
        port = int(running.url.rstrip("/").rpartition(":")[2])
        assert running.home.stat().st_mode & 0o077 == 0
        assert running.stop(number) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port)):
        pass


async def test_a_normal_server_has_no_buttons(server):
    """Another server, even with the demo users, has neither the page nor its links."""
    alice = Person(server.url)
    await alice.log_in(servers.PASSWORDS["alice"], "alice")
    for path in ("", "/as/bob?key=", "/tour.js"):
        assert (await alice.fetch(PAGE + path)).code == 404


@pytest.mark.parametrize(
    ("ip", "key", "said"),
    [
        ("0.0.0.0", "k", "listen beyond this machine"),  # noqa: S104 - nothing listens here
        ("", "k", "listen beyond this machine"),
        ("example.org", "k", "listen beyond this machine"),
        ("127.0.0.1", "", "has no key"),
    ],
)
def test_the_provider_refuses_an_open_server(ip, key, said):
    """Without a key, or on other addresses, a server with the buttons does not start."""
    app = ServerApp(ip=ip)
    with pytest.raises(ConfigurationError, match=said):
        TourIdentityProvider(parent=app, demo=True, key=key, token="")
    TourIdentityProvider(parent=app, demo=True, key="k", remote=True)


async def test_binder_shows_two_users(need):
    """With Binder's configuration, its link leads to the page, whose links log two browsers in."""
    need(importlib.util.find_spec("jupyterlab"), "jupyterlab is missing")
    config = (ROOT / "binder" / "jupyter_server_config.py").read_text(encoding="utf-8")
    far = {"Host": "hub.example.org"}
    with servers.own_server(
        "--ServerApp.base_url=/user/demo/",
        "--IdentityProvider.token=secret-of-binder",
        "--ServerApp.allow_remote_access=True",
        config={"jupyter_server_config.py": config},
        extensions=(servers.EXTENSION, "jupyterlab"),
    ) as running:
        visitor = Person(running.url, far)
        sent = await visitor.fetch("lab?token=secret-of-binder")
        sent = await visitor.fetch(sent.headers["Location"].removeprefix("/user/demo/"))
        assert sent.headers["Location"] == f"/user/demo/{PAGE}"
        page = (await visitor.fetch(PAGE)).body.decode()
        assert "private window" in page
        people = {name: Person(running.url, far) for name in ("alice", "bob")}
        for name, person in people.items():
            link = f"{PAGE}/as/{name}?to=notebook&key=secret-of-binder"
            assert f"http://hub.example.org/user/demo/{link.replace('&', '&amp;')}" in page
            answer = await person.fetch(link)
            assert answer.headers["Location"].endswith("/tree/examples/whoami.ipynb")
            await person.fetch(PAGE)
        kernel_id = await people["alice"].start_kernel()
        for name, person in people.items():
            async with servers.opened(person, kernel_id) as cells:
                assert await servers.username(cells) == name
