"""A private Jupyter Server: own directories, a free port, ended by its own id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LocalServer", "local_server"]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0

_ATTEMPTS = 3
#: The text that Jupyter Server prints when its port is taken.
_TAKEN = "is already in use"
#: The texts that Jupyter Server and Voila, or Kernel Gateway, print once they listen.
_LISTENING = ("running at", "available at")


@dataclass(frozen=True)
class LocalServer:
    """A running server.

    Attributes:
        url: Its base address, with a slash at the end.
        process: Its process.
        home: Its private directory; ``work`` below it is what the server shows.
        log: Its output.
    """

    url: str
    process: subprocess.Popen[bytes]
    home: Path
    log: Path

    def log_text(self) -> str:
        """Return what the server has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def local_server(
    *arguments: str,
    command: Sequence[str] = (sys.executable, "-m", "jupyter_server"),
    files: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[LocalServer]:
    """Run a server on 127.0.0.1 for as long as the block lasts.

    Args:
        arguments: Command line, after the standard ones.
        command: The command line.
        files: Files for the server's directory, by name.
        config: Files for its configuration directory, by relative path.
        env: Environment variables on top of this process's.
        port: A fixed port; None lets the system choose.

    Raises:
        RuntimeError: The server ended, or did not answer in time; with its log.
    """
    with tempfile.TemporaryDirectory(prefix="jupyter-session-user-") as name:
        home = Path(name)
        _write(home / "work", files or {})
        _write(home / "config", config or {})
        _write(home / "data", {})  # needed for the signatures of older notebooks
        server = _started(home, arguments, command, env or {}, port)
        try:
            yield server
        finally:
            _stop(server.process)


def _started(
    home: Path,
    arguments: Sequence[str],
    command: Sequence[str],
    env: Mapping[str, str],
    port: int | None,
) -> LocalServer:
    """Return a server that is up; another process may take a free port before it is bound."""
    attempts = _ATTEMPTS if port is None else 1
    while True:
        attempts -= 1
        server = _start(home, arguments, command, env, port or _free_port())
        try:
            _wait_until_up(server)
        except BaseException:  # also on Ctrl-C: no process stays behind
            _stop(server.process)
            if not attempts or _TAKEN not in server.log_text():
                raise
        else:
            return server


def _start(
    home: Path,
    arguments: Sequence[str],
    command: Sequence[str],
    env: Mapping[str, str],
    port: int,
) -> LocalServer:
    log = home / "server.log"
    options = (
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={home / 'work'}",
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *options, *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_private_directories(home), **env},
            start_new_session=True,
        )
    base_url = next((a.split("=", 1)[1] for a in arguments if "base_url=" in a), "/")
    return LocalServer(f"http://127.0.0.1:{port}{base_url}", process, home, log)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _private_directories(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(server: LocalServer) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended at its start:\n{server.log_text()}")
        # Another process may have taken the port meanwhile, and would answer.
        if any(text in server.log_text() for text in _LISTENING) and _answers(server):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not answer in time:\n{server.log_text()}")


def _answers(server: LocalServer) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}login", timeout=1):  # noqa: S310 - our own
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end its kernels and itself; kill it if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
