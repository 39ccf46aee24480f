"""Servers of apps other than Jupyter Server, each in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "JANE",
    "WHO",
    "AppServer",
    "app_server",
    "ask",
    "eventually",
    "free_port",
    "platform_cookie",
]

ROOT = Path(__file__).parents[2]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0

#: Seconds to wait before a test fails; no test result depends on the clock.
PATIENCE_S = 60.0

_pause = threading.Event()

#: The platform's cookie of Jane Doe, as in the platform's documentation.
JANE = (
    "ewogICAgInVzZXJfaWQiOiAiYWJjZGVmZ2hpajEyMzQ1Njc4OTAiLAog"
    "ICAgInVzZXJfZnVsbF9uYW1lIjogIkphbmUgRG9lIgp9"
)

#: For the apps: the current user, or the reason why there is none.
WHO = """
import jupyter_session_user as _jsu

def who():
    try:
        session = _jsu.get_session()
        user = _jsu.get_current_user()
    except _jsu.SessionUserError as error:
        return "nobody: " + getattr(error, "reason", error.code)
    if user.is_anonymous:
        return "anonymous"
    trust = "verified" if session.verified else "unverified"
    return f"{user.username} {trust} by {session.source}"
"""


@dataclass(frozen=True)
class AppServer:
    """A running server.

    Attributes:
        host: ``127.0.0.1:port``.
        process: Its process.
        log: What it prints.
    """

    host: str
    process: subprocess.Popen[bytes]
    log: Path

    def log_text(self) -> str:
        """Return what the server has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def connect(self) -> contextlib.closing[http.client.HTTPConnection]:
        """Return a connection that is kept alive, for a ``with`` block."""
        return contextlib.closing(http.client.HTTPConnection(self.host, timeout=60))

    def get(self, path: str, **headers: str) -> Any:
        """Return the JSON of one request on a connection of its own."""
        with self.connect() as connection:
            return ask(connection, path, **headers)

    def status(self, path: str, **headers: str) -> tuple[int, str]:
        """Return the status of a request, and the ``detail`` of its JSON."""
        with self.connect() as connection:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = json.loads(response.read())
            return response.status, body.get("detail", "") if isinstance(body, dict) else body


def ask(connection: http.client.HTTPConnection, path: str, **headers: str) -> Any:
    """Return the JSON of one request."""
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    body = response.read()
    assert response.status == http.HTTPStatus.OK, (response.status, body)
    return json.loads(body)


@contextmanager
def app_server(
    *command: str, files: Mapping[str, str], env: Mapping[str, str] | None = None, ready: str = "/"
) -> Iterator[AppServer]:
    """Run a server on 127.0.0.1 for as long as the block lasts.

    Args:
        command: What is run; ``{port}`` stands for the port.
        files: Files for its directory, by name; in these, ``{port}`` stands for the port, too.
        env: Environment variables on top of this process's; ``{port}`` stands for the port, too.
        ready: The path that answers once the server is up.
    """
    with tempfile.TemporaryDirectory(prefix="jupyter-session-user-") as name:
        home = Path(name)
        port = free_port()
        for file, text in files.items():
            (home / file).parent.mkdir(parents=True, exist_ok=True)
            (home / file).write_text(text.replace("{port}", str(port)), encoding="utf-8")
        log = home / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [word.format(port=port) for word in command],
                cwd=home,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "HOME": name,
                    "PYTHONPATH": f"{ROOT}{os.pathsep}{home}",
                    **{key: text.replace("{port}", str(port)) for key, text in (env or {}).items()},
                },
                start_new_session=True,
            )
        server = AppServer(f"127.0.0.1:{port}", process, log)
        try:
            _wait_until_up(server, ready)
            yield server
        finally:
            _stop(process)


def eventually(check: Callable[[], Any]) -> Any:
    """Return the first true answer of ``check``."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := check()):
        if time.monotonic() > deadline:
            raise TimeoutError("it never came true")
        _pause.wait(0.05)
    return answer


def free_port() -> int:
    """Return a port that the system chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def platform_cookie(username: str, name: str = "") -> str:
    """Return a Cookie header of the platform."""
    import base64

    content = json.dumps({"user_id": username, "user_full_name": name or username.title()})
    return f"numerous_user_info={base64.b64encode(content.encode()).decode()}"


def _wait_until_up(server: AppServer, ready: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended at its start:\n{server.log_text()}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            with server.connect() as connection:
                connection.request("GET", ready)
                connection.getresponse().read()
            return
        _pause.wait(0.1)
    raise RuntimeError(f"the server did not answer in time:\n{server.log_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server with its processes: workers may outlive the first."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
