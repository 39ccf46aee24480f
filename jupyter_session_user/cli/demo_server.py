"""The demo's JupyterLab: private directories, 127.0.0.1 alone, ended by its own process id."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_session_user.errors import ConfigurationError, SessionUserError
from jupyter_session_user.testing.demo_identity import PEOPLE

__all__ = ["DemoServer", "demo_server"]

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 15.0

_PACKAGE = Path(__file__).resolve().parents[1]
#: Beside the package in a clone; in the wheel, pyproject.toml puts them into the package.
_EXAMPLES = (_PACKAGE / "testing" / "examples", _PACKAGE.parent / "examples")
_FILES = ("whoami.ipynb", "voila/visitors.ipynb", "panel/visitors.py")

_TOUR = "jupyter_session_user.testing.tour"
_ARGUMENTS = (
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    f"--ServerApp.identity_provider_class={_TOUR}.TourIdentityProvider",
    "--TourIdentityProvider.demo=True",
    "--IdentityProvider.token=",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--JupyterSessionUser.share_cookies=demo_platform_user",
    f"--JupyterSessionUser.session_resolver={_TOUR}.ends",
    "--JupyterSessionUser.resolvers=custom",
    "--JupyterSessionUser.resolvers=signed_cookie",
)
#: Pages of other packages that run cells or keep documents in a way of their own: the demo looks
#: the same everywhere.
_OTHERS = {
    "@datalayer/jupyter-collaboration": True,
    "@datalayer/jupyter-server-nbmodel": True,
    "@jupyter/collaboration-extension": True,
    "@jupyter/docprovider-extension": True,
}
#: Without these, JupyterLab asks each new user about announcements and builds, and about the other
#: user's changes to the file. The page asks often whether a login has ended.
_LAB = {
    "default_setting_overrides.json": {
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
        "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
        "jupyter-session-user:plugin": {"pollSeconds": 10},
    },
    "page_config.json": {"buildCheck": False, "disabledExtensions": _OTHERS},
}
#: The notebook gets all of a window that is half a screen.
_CLOSED: dict[str, Any] = {"collapsed": True, "visible": True, "current": None, "widgets": []}
_LAYOUT = {"left": _CLOSED, "right": _CLOSED, "relativeSizes": [0, 1, 0]}


@dataclass(frozen=True)
class DemoServer:
    """A running server.

    Attributes:
        url: Its base address, with a slash at the end.
        key: The secret in the address of the demo's page.
        home: Its private directory.
        process: Its process.
    """

    url: str
    key: str
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def page(self) -> str:
        """The address of the demo's page."""
        return f"{self.url}session-user-demo?key={self.key}"

    def log_end(self) -> str:
        """Return the last lines of the server's log."""
        text = (self.home / "server.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-20:])

    def starter(self) -> Path:
        """Return a file that leads a browser to the page; a command line would show the key."""
        path = self.home / "open.html"
        path.write_text(
            f'<!doctype html><meta charset="utf-8"><title>Opening the demo</title>'
            f'<meta http-equiv="refresh" content="0;url={self.page}">'
            f'<p><a href="{self.page}">Open the demo</a></p>',
            encoding="utf-8",
        )
        return path


@contextmanager
def demo_server(
    port: int | None,
    progress: Callable[[], None],
    *,
    files: Mapping[str, str] | None = None,
    config: str = "",
) -> Iterator[DemoServer]:
    """Run the server for as long as the block lasts; its directories are removed at the end.

    Args:
        port: A fixed port; None lets the system choose.
        progress: Called about once a second while the server starts.
        files: Further files for the server's folder, by name.
        config: A configuration file of Jupyter Server.

    Raises:
        SessionUserError: The server did not start; with the end of its log.
    """
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(
            tempfile.TemporaryDirectory(
                prefix="jupyter-session-user-demo-", ignore_cleanup_errors=True
            )
        )
        home = Path(name)
        key = secrets.token_urlsafe(24)
        _fill(home, key)
        for path, text in (files or {}).items():
            _write(home / "work" / path, text)
        _write(home / "config" / "jupyter_server_config.py", config)
        port = stack.enter_context(_reserved(port))
        process = _start(home, port)
        stack.callback(_stop, process)
        server = DemoServer(f"http://127.0.0.1:{port}/", key, home, process)
        _wait(server, progress)
        yield server


def _fill(home: Path, key: str) -> None:
    (home / "key").write_text(key, encoding="utf-8")  # only this account can enter the directory
    examples = next((folder for folder in _EXAMPLES if folder.is_dir()), None)
    if examples is None:
        raise ConfigurationError(
            "the demo's notebook is not installed; run "
            f"'{sys.executable} -m pip install --force-reinstall --no-deps jupyter-session-user'"
        )
    for name in _FILES:
        target = home / "work" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(examples / name, target)
    for name, value in _LAB.items():
        _write(home / "config" / "labconfig" / name, json.dumps(value))
    _lay_out(home / "config" / "lab" / "workspaces")
    (home / "data").mkdir()  # needed for the signatures of older notebooks


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def _lay_out(folder: Path) -> None:
    """Save a layout for each user."""
    from jupyterlab_server.workspaces_handler import WorkspacesManager  # noqa: PLC0415 - optional

    for name in PEOPLE:
        layout = {"data": {"layout-restorer:data": _LAYOUT}, "metadata": {"id": name}}
        WorkspacesManager(str(folder)).save(name, json.dumps(layout))


@contextmanager
def _reserved(port: int | None) -> Iterator[int]:
    """Choose a port, and keep others from listening on it at ``::1``.

    Browsers try that address first for ``localhost``, and would show the key to a program of
    another account there. Nothing listens on the socket, so they go on to 127.0.0.1.
    """
    while True:
        chosen = port or _free_port()
        try:
            _probe(chosen)
            guard = _guard(chosen)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port is None:
                continue
            if error.errno == errno.EADDRINUSE:
                raise ConfigurationError(
                    f"port {port} is in use; choose another one with --port, or leave it out"
                ) from None
            guard = None  # this machine has no IPv6
        break
    try:
        yield chosen
    finally:
        if guard is not None:
            guard.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _probe(port: int) -> None:
    """Raise OSError if the server cannot listen on a port."""
    with socket.socket() as probe:
        if os.name == "posix":  # elsewhere the option lets two programs share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def _guard(port: int) -> socket.socket | None:
    if not socket.has_ipv6:
        return None
    guard = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        guard.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        guard.bind(("::1", port))
    except OSError:
        guard.close()
        raise
    return guard


def _start(home: Path, port: int) -> subprocess.Popen[bytes]:
    own = (
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={home / 'work'}",
        f"--TourIdentityProvider.key_file={home / 'key'}",
    )
    directories = {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "0",  # the private configuration counts
    }
    with (home / "server.log").open("wb") as out:
        return subprocess.Popen(  # noqa: S603 - our own words alone
            [sys.executable, "-m", "jupyterlab", *_ARGUMENTS, *own],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **directories},
            start_new_session=True,  # Ctrl-C is for the command, which ends the server
        )


def _wait(server: DemoServer, progress: Callable[[], None]) -> None:
    start = time.monotonic()
    seconds = 0
    while time.monotonic() < start + START_TIMEOUT_S:
        if server.process.poll() is not None:
            raise SessionUserError(
                f"JupyterLab ended at its start; its log ends with:\n{server.log_end()}"
            )
        if _answers(server):
            return
        time.sleep(0.1)
        if time.monotonic() - start > seconds:
            seconds += 1
            progress()
    raise SessionUserError(f"JupyterLab did not answer in time; its log:\n{server.log_end()}")


def _answers(server: DemoServer) -> bool:
    """Tell whether our own server answers: another process may have taken the port meanwhile."""
    if "is running at" not in server.log_end():
        return False
    try:
        with urllib.request.urlopen(f"{server.url}api", timeout=1):  # noqa: S310 - our own
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end its kernels and itself; kill it if it does not."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
