"""A real JupyterHub with configurable-http-proxy, and people with browsers of their own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from people import Person

__all__ = [
    "ADMIN_TOKEN",
    "PASSWORD",
    "ROBOT_TOKEN",
    "Hub",
    "HubPerson",
    "hub_running",
    "proxy_program",
]

PASSWORD = "a password of the tests"
#: The token of the service with which tests change users, groups and shares.
ADMIN_TOKEN = "a-token-of-the-tests-long-enough"
#: The token of a service that has carol's name.
ROBOT_TOKEN = "another-token-of-the-tests-long-enough"
PATIENCE_S = 90.0

EXAMPLE = Path(__file__).parents[2] / "examples" / "jupyterhub" / "jupyterhub_config.py"
_PEOPLE = ("alice", "bob", "carol", "root")
#: What a test changes of the example.
_CONFIG = """
c = get_config()
load_subconfig({example!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.pid_file = {home!r} + "/proxy.pid"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users |= {{"root"}}
c.Authenticator.admin_users = {{"root"}}
c.JupyterHub.services += [
    {{"name": "tests", "api_token": {token!r}}}, {{"name": "carol", "api_token": {robot!r}}},
]
c.JupyterHub.load_roles += [
    {{"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:groups", "tokens",
      "admin:servers", "access:servers"]}},
    {{"name": "robots", "services": ["carol"], "scopes": ["access:servers!user=alice"]}},
]
c.SimpleLocalProcessSpawner.home_dir_template = {home!r} + "/{{username}}"
c.Spawner.args = ["--allow-root", *{arguments!r}]
c.Spawner.environment = {environment!r}
c.Spawner.http_timeout = c.Spawner.start_timeout = 90
c.JupyterHub.db_url = "sqlite:///" + {home!r} + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = {home!r} + "/cookie_secret"
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 90}}
"""


class Hub:
    """A running Hub.

    Attributes:
        url: The public base address, with a slash at the end.
        home: Its folder; each person's server has a folder of the person's name in it.
        log: What the Hub and its servers print.
    """

    def __init__(self, url: str, home: Path, log: Path, command: list[str]) -> None:
        self.url, self.home, self.log = url, home, log
        self._command = command

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # The proxy's script asks env for node, which is in this environment.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        with self.log.open("a") as sink:
            self.process = subprocess.Popen(
                self._command,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env={**os.environ, "PATH": path},
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}hub/health").status_code == httpx.codes.OK:
                    return
            assert self.process.poll() is None and time.monotonic() < end, self.log_text()[-3000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """End it, with its proxy and the servers of all people."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        for name in _PEOPLE:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self.home / name / "server.pid").read_text()), signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the Hub alone, without an answer to anybody: its proxy and the servers go on."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def log_text(self) -> str:
        """Return what has been printed."""
        return self.log.read_text(errors="replace")

    def api(self, method: str, path: str, *, check: bool = True, **options: Any) -> httpx.Response:
        """Ask the Hub's REST API as the tests' service."""
        headers = {"Authorization": f"token {ADMIN_TOKEN}"}
        response = httpx.request(
            method, f"{self.url}hub/api/{path}", headers=headers, timeout=60, **options
        )
        if check:
            response.raise_for_status()
        return response

    def unshare(self, name: str) -> None:
        """Take away the role by which a person may use alice's server."""
        self.api("DELETE", "groups/guests/users", json={"users": [name]})

    def restore(self) -> None:
        """Make bob what he was."""
        if self.api("GET", "users/bob", check=False).status_code != httpx.codes.OK:
            self.api("POST", "users/bob")
        for group in ("guests", "team-x"):
            self.api("POST", f"groups/{group}/users", json={"users": ["bob"]})


class HubPerson(Person):
    """A browser that logs in at the Hub, and works on alice's server.

    Args:
        hub: The Hub.
        name: The username.
    """

    def __init__(self, hub: Hub, name: str) -> None:
        super().__init__(f"{hub.url}user/alice/")
        self.hub, self.name = hub, name
        self.browser = httpx.Client(follow_redirects=True, timeout=90)

    def enter(self) -> HubPerson:
        """Log in at the Hub, start alice's server if need be, and open it."""
        page = self.browser.get(f"{self.hub.url}hub/login")
        form = {
            "username": self.name,
            "password": PASSWORD,
            "_xsrf": self.cookie("_xsrf", "/hub/"),
        }
        page = self.browser.post(f"{self.hub.url}hub/login?next=/hub/home", data=form)
        assert page.status_code == httpx.codes.OK, page.text[:500]
        self.open()
        return self

    def open(self) -> httpx.Response:
        """Open alice's server, as a browser does: through the Hub's OAuth pages."""
        page = self.browser.get(f"{self.url}tree")
        if "/oauth2/authorize" in str(page.url):
            form = {"_xsrf": self.cookie("_xsrf", "/hub/"), "scopes": _scopes(page.text)}
            page = self.browser.post(str(page.url), data=form)
        self.cookies = {
            cookie.name: cookie.value or ""
            for cookie in sorted(self.browser.cookies.jar, key=lambda each: len(each.path))
            if urlsplit(self.url).path.startswith(cookie.path)
        }
        return page

    def log_out(self) -> None:
        """Log out at the Hub."""
        self.browser.get(f"{self.hub.url}hub/logout")

    def page_token(self) -> str:
        """Return the token that JupyterHub puts into JupyterLab's page."""
        found = re.search(r'"token": "([^"]+)"', self.browser.get(f"{self.url}lab").text)
        return found[1] if found else ""

    def cookie(self, name: str, path: str) -> str:
        """Return a cookie's value."""
        found = [c.value for c in self.browser.cookies.jar if (c.name, c.path) == (name, path)]
        return found[0] or "" if found else ""


def proxy_program() -> str | None:
    """Return the path of configurable-http-proxy: make installs it beside the environment."""
    own = Path(sys.prefix) / "proxy" / "node_modules" / ".bin"
    return shutil.which("configurable-http-proxy", path=f"{own}{os.pathsep}{os.environ['PATH']}")


def _scopes(page: str) -> list[str]:
    return re.findall(r'name="scopes"[^>]*value="([^"]+)"', page)


@contextlib.contextmanager
def hub_running(home: Path, *arguments: str) -> Iterator[Hub]:
    """Run a Hub for as long as the block lasts; alice's server is up.

    Args:
        home: An empty folder.
        arguments: Command line of each person's server.
    """
    proxy = proxy_program()
    public, hub, api = _free_ports(3)
    for name in _PEOPLE:
        (home / name).mkdir()
    root = str(Path(__file__).parents[2])
    text = _CONFIG.format(
        example=str(EXAMPLE),
        public=public,
        hub=hub,
        api=api,
        proxy=proxy,
        password=PASSWORD,
        token=ADMIN_TOKEN,
        robot=ROBOT_TOKEN,
        home=str(home),
        python=sys.executable,
        arguments=list(arguments),
        environment={
            "PYTHONPATH": os.pathsep.join((root, f"{root}/tests/support")),
            "JUPYTER_PREFER_ENV_PATH": "1",
        },
    )
    config = home / "jupyterhub_config.py"
    config.write_text(text)
    command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
    running = Hub(f"http://127.0.0.1:{public}/", home, home / "hub.log", command)
    running.start()
    try:
        running.api("POST", "users/alice/server")
        yield running
    finally:
        with contextlib.suppress(httpx.HTTPError):
            running.api("DELETE", "users/alice/server")
        running.stop()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
