"""A real nginx in front of Jupyter Servers, with a configuration of the documentation."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["documented", "nginx_program", "nginx_running", "nginx_serving"]

_ATTEMPTS = 3
_PATIENCE_S = 10.0

# The rest is the configuration in the documentation, with other addresses.
_CONFIG = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
access_log off;
{temporary}
{documented}
}}
"""
_DOCS = Path(__file__).parents[2] / "docs"
_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_program() -> str | None:
    """Return the path of nginx; None if it is missing."""
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or shutil.which("nginx")


def documented(page: str) -> str:
    """Return the configuration on a page of the documentation."""
    return (_DOCS / page).read_text().partition("```nginx\n")[2].partition("```")[0]


def nginx_running(
    program: str, folder: Path, servers: Mapping[str, str]
) -> AbstractContextManager[str]:
    """Run nginx in front of several servers, each at a path of its own.

    Args:
        program: The program.
        folder: A private folder for all of its files.
        servers: Address of the server at each path, such as ``/a/``.
    """
    return nginx_serving(program, folder, lambda port: _several(port, servers))


@contextmanager
def nginx_serving(program: str, folder: Path, config: Callable[[int], str]) -> Iterator[str]:
    """Run nginx for the block, and return its address, with a slash at the end.

    Args:
        program: The program.
        folder: A private folder for all of its files.
        config: Returns the configuration for a port.

    Raises:
        RuntimeError: It does not answer; with its log. Or the documentation has no configuration.
    """
    for attempt in range(_ATTEMPTS):  # another process may take a free port before nginx does
        port = _free_port()
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in _KINDS)
        text = _CONFIG.format(folder=folder, temporary=temporary, documented=config(port))
        (folder / "nginx.conf").write_text(text)
        command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if _is_up(process, port):
                yield f"http://127.0.0.1:{port}/"
                return
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE_S)
            process.kill()
            process.wait()
        if attempt == _ATTEMPTS - 1:
            raise RuntimeError(f"nginx does not answer:\n{(folder / 'error.log').read_text()}")


def _several(port: int, servers: Mapping[str, str]) -> str:
    locations = [
        f"location {path} {{ proxy_pass http://{urlsplit(url).netloc}; }}"
        for path, url in servers.items()
    ]
    page = documented("scaling.md")
    text, places = re.subn(r"( *location .*\n)+", "\n".join(locations) + "\n", page)
    text, ports = re.subn(r"listen 80;", f"listen 127.0.0.1:{port};", text)
    if (places, ports) != (1, 1):
        raise RuntimeError("scaling.md has no configuration of nginx with locations and a port")
    return text


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
