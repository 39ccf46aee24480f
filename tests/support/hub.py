"""A real JupyterHub with configurable-http-proxy, and people with browsers of their own."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from node_programs import node_program, npm_program
from people import Person

__all__ = [
    "ADMIN_TOKEN",
    "PASSWORD",
    "ROBOT_TOKEN",
    "Hub",
    "HubPerson",
    "code_block",
    "hub_running",
    "proxy_program",
    "self_signed",
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
c.JupyterHub.bind_url = {url!r}
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.command = {proxy!r}
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
_WITH_TLS = """
c.JupyterHub.ssl_key, c.JupyterHub.ssl_cert = {key!r}, {certificate!r}
"""
_PROXY_ELSEWHERE = """
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = {secret!r}
"""


class Hub:
    """A running Hub.

    Attributes:
        url: The public base address, with a slash at the end.
        home: Its folder; each person's server has a folder of the person's name in it.
        log: What the Hub and its servers print.
        certificate: The file with the certificate that its browsers trust; None for plain HTTP.
    """

    def __init__(
        self, url: str, home: Path, command: list[str], certificate: str | None = None
    ) -> None:
        self.url, self.home, self.log = url, home, home / "hub.log"
        self.certificate = certificate
        self.trust: Any = ssl.create_default_context(cafile=certificate) if certificate else True
        self._command = command

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("a") as sink:
            self.process = subprocess.Popen(
                self._command,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if self._is_healthy():
                    return
            assert self.process.poll() is None and time.monotonic() < end, self.log_text()[-3000:]
            time.sleep(0.2)

    def _is_healthy(self) -> bool:
        answer = httpx.get(f"{self.url}hub/health", verify=self.trust)
        return answer.status_code == httpx.codes.OK

    def stop(self) -> None:
        """End it, with the proxy that it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            # It ends its services first, which may take a busy machine half a minute.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)

    def stop_servers(self) -> None:
        """End the servers of all people."""
        with contextlib.suppress(httpx.HTTPError):
            for user in self.api("GET", "users", params={"state": "active"}).json():
                for name in user["servers"]:
                    self.api("DELETE", f"users/{user['name']}/servers/{name}", check=False)

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
        options.setdefault("timeout", 90)
        response = httpx.request(
            method, f"{self.url}hub/api/{path}", headers=headers, verify=self.trust, **options
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
    """A browser that logs in at the Hub, and works on a server: alice's, without another.

    Args:
        hub: The Hub.
        name: The username.
        server: The server's path.
    """

    def __init__(self, hub: Hub, name: str, server: str = "user/alice/") -> None:
        super().__init__(f"{hub.url}{server}")
        self.hub, self.name = hub, name
        self.browser = httpx.Client(follow_redirects=True, timeout=90, verify=hub.trust)
        if hub.certificate:
            self.connection["ca_certs"] = hub.certificate

    def at(self, server: str) -> HubPerson:
        """Return the same browser at another server."""
        there = HubPerson(self.hub, self.name, server)
        there.browser.close()
        there.browser = self.browser
        there.open()
        return there

    def enter(self) -> HubPerson:
        """Log in at the Hub, and open the server."""
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

    def open(self, path: str = "tree") -> httpx.Response:
        """Open a page of the server, as a browser does: through the Hub's OAuth pages."""
        page = self.browser.get(f"{self.url}{path}")
        if "/oauth2/authorize" in str(page.url):
            form = {"_xsrf": self.cookie("_xsrf", "/hub/"), "scopes": _scopes(page.text)}
            page = self.browser.post(str(page.url), data=form)
        self.cookies = {each.name: each.value or "" for each in reversed(self.sent())}
        return page

    def sent(self) -> list[Cookie]:
        """Return the cookies that this browser sends: those of longer paths first (RFC 6265)."""
        path = urlsplit(self.url).path
        cookies = [each for each in self.browser.cookies.jar if path.startswith(each.path)]
        return sorted(cookies, key=lambda each: -len(each.path))

    def _cookie_header(self) -> dict[str, str]:
        """Return all of them: two servers of a user have cookies with the same names."""
        pairs = "; ".join(f"{each.name}={each.value}" for each in self.sent())
        return {"Cookie": pairs} if pairs else {}

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
    return npm_program("proxy", "configurable-http-proxy")


def code_block(page: Path, title: str) -> str:
    """Return the block of code of a page of the documentation that has this text in it."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if title in block]
    return str(found)


def self_signed(folder: Path) -> tuple[str, str]:
    """Make a key and a certificate for 127.0.0.1, and return their files."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=digitalSignature"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return str(key), str(certificate)


def _scopes(page: str) -> list[str]:
    return re.findall(r'name="scopes"[^>]*value="([^"]+)"', page)


@contextlib.contextmanager
def hub_running(
    home: Path,
    *arguments: str,
    extra: str = "",
    certificate: tuple[str, str] | None = None,
    own_proxy: bool = True,
) -> Iterator[Hub]:
    """Run a Hub for as long as the block lasts; alice's server is up.

    Args:
        home: An empty folder.
        arguments: Command line of each person's server.
        extra: The end of the Hub's configuration.
        certificate: Files of the key and the certificate, for HTTPS.
        own_proxy: Whether the Hub starts its proxy; it runs beside the Hub otherwise.
    """
    ports = dict(zip(("public", "hub", "api"), _free_ports(3), strict=True))
    for name in _PEOPLE:
        (home / name).mkdir()
    url = f"http{'s' if certificate else ''}://127.0.0.1:{ports['public']}/"
    config = home / "jupyterhub_config.py"
    secret = secrets.token_hex(16)
    parts = [_configuration(home, url, ports, arguments)]
    if certificate:
        parts.append(_WITH_TLS.format(key=certificate[0], certificate=certificate[1]))
    if not own_proxy:
        parts.append(_PROXY_ELSEWHERE.format(secret=secret))
    config.write_text("".join([*parts, extra]))
    command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
    running = Hub(url, home, command, certificate[1] if certificate else None)
    with contextlib.nullcontext() if own_proxy else _proxy_running(home, ports, secret):
        try:
            running.start()
            running.api("POST", "users/alice/server")
            yield running
        finally:
            running.stop_servers()
            running.stop()


def _configuration(home: Path, url: str, ports: dict[str, int], arguments: tuple[str, ...]) -> str:
    root = str(Path(__file__).parents[2])
    return _CONFIG.format(
        example=str(EXAMPLE),
        url=url,
        hub=ports["hub"],
        api=ports["api"],
        proxy=_proxy_command(),
        password=PASSWORD,
        token=ADMIN_TOKEN,
        robot=ROBOT_TOKEN,
        home=str(home),
        arguments=list(arguments),
        environment={
            "PYTHONPATH": os.pathsep.join((root, f"{root}/tests/support")),
            "JUPYTER_PREFER_ENV_PATH": "1",
        },
    )


@contextlib.contextmanager
def _proxy_running(home: Path, ports: dict[str, int], secret: str) -> Iterator[None]:
    """Run the proxy by itself, as on Kubernetes."""
    hub = f"http://127.0.0.1:{ports['hub']}/hub"
    command = [
        *(*_proxy_command(), "--ip", "127.0.0.1", "--port", str(ports["public"])),
        *("--api-ip", "127.0.0.1", "--api-port", str(ports["api"])),
        *("--default-target", hub, "--error-target", f"{hub}/error"),
    ]
    with (home / "proxy.log").open("w") as sink:
        process = subprocess.Popen(
            command,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": secret},
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _proxy_command() -> list[str]:
    """Return the command of the proxy."""
    program, node = proxy_program(), node_program()
    assert program is not None
    return [node, program] if node else [program]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
