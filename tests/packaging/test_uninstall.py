"""The wheel in a fresh environment with JupyterLab and Voila: installed, used, and uninstalled.

What the package does works at once, without another command; and nothing of it is left at the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from app_servers import app_server

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
IDENTITY = "header_identity.HeaderIdentityProvider"
PAGE = """
try:
    from jupyter_session_user import get_current_user
    print(f"<here {get_current_user(default='unknown')} here>")
except ImportError:
    print("<here not installed here>")
"""
CELL = {"cell_type": "code", "id": "a", "source": PAGE, "metadata": {}, "outputs": []}
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}}
NOTEBOOK = json.dumps(
    {
        "cells": [{**CELL, "execution_count": None}],
        "metadata": KERNEL,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)
USERS = ("alice", "bob")
FOLDERS = ("config", "data", "runtime")


class Place:
    """A fresh environment, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.prefix, self.home = folder / "env", folder / "home"
        self.home.mkdir()
        venv.create(self.prefix, with_pip=True)
        self.env = {
            "HOME": str(self.home),
            **{f"JUPYTER_{name.upper()}_DIR": str(self.home / name) for name in FOLDERS},
            "IPYTHONDIR": str(self.home / "ipython"),
            "JUPYTER_PLATFORM_DIRS": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONPATH": str(SUPPORT),  # the identity provider; this package is not in it
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python."""
        return subprocess.run(
            [str(self.prefix / "bin" / "python"), *arguments],
            cwd=self.home,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def session_user(self, *arguments: str) -> str:
        """Run ``jupyter session-user``; return what it prints."""
        done = self.run("-m", "jupyter", "session-user", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self) -> dict[str, str]:
        """Return all files of the environment and of Jupyter's folders, with their hashes.

        Python's cache, IPython's history and npm's logs are left out: each start writes to them.
        """
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in (self.prefix, *(self.home / name for name in FOLDERS))
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def voila(self) -> list[str]:
        """Return what a page of standalone Voila says to alice and to bob."""
        command = ("-m", "voila", "page.ipynb", "--no-browser", "--port={port}")
        with app_server(
            *(str(self.prefix / "bin" / "python"), *command),
            f"--Voila.identity_provider_class={IDENTITY}",
            files={"page.ipynb": NOTEBOOK},
            env=self.env,
            ready="/static/none",
        ) as server:
            return [self._page(server, user) for user in USERS]

    def lab(self) -> list[str]:
        """Return what JupyterLab, its server and Voila in it say to alice and to bob."""
        options = ("--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1")
        with app_server(
            *(str(self.prefix / "bin" / "python"), "-m", "jupyterlab", *options),
            "--ServerApp.port={port}",
            f"--ServerApp.identity_provider_class={IDENTITY}",
            files={"page.ipynb": NOTEBOOK},
            env=self.env,
            ready="/api",
        ) as server:
            for path in ("/lab", "/api/status"):
                with server.connect() as connection:
                    connection.request("GET", path, headers={"X-User": "alice"})
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 200, (path, server.log_text())
            return [self._page(server, user, "/voila/render/page.ipynb") for user in USERS]

    @staticmethod
    def _page(server, user: str, path: str = "/") -> str:
        with server.connect() as connection:
            connection.request("GET", path, headers={"X-User": user})
            text = connection.getresponse().read().decode()
        found = re.search(r"&lt;here (.*?) here&gt;", text)
        assert found, f"{text}\n{server.log_text()}"
        return found[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel without a network: the test environment has the build tools."""
    folder = tmp_path_factory.mktemp("wheel")
    run = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True, timeout=200)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def place(tmp_path_factory, need):
    """Return a fresh environment with JupyterLab and Voila."""
    fresh = Place(tmp_path_factory.mktemp("place"))
    asked = fresh.run("-m", "pip", "install", "--quiet", "jupyterlab", "voila")
    need(asked.returncode == 0, f"pip cannot install here: {asked.stderr[-200:]}")
    return fresh


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_installed_used_and_uninstalled(place, wheel):
    """Two visitors have their names right after ``pip install``; at the end no file differs."""
    nobody = ["not installed"] * 2
    assert place.voila() == place.lab() == nobody  # writes what Jupyter itself keeps
    before = place.files()

    assert place.run("-m", "pip", "install", "--quiet", str(wheel)).returncode == 0
    assert place.voila() == place.lab() == ["Alice", "Bob"]
    place.session_user("disable", "voila", "--user")
    assert place.voila() == ["unknown"] * 2
    place.session_user("enable", "voila", "--user")
    assert place.voila() == ["Alice", "Bob"]

    # Everything at once: the user forgets both to enable again, and to purge.
    place.session_user("disable", "voila", "--sys-prefix")
    assert "jupyter session-user purge --yes" in place.session_user("purge")
    assert place.run("-m", "pip", "uninstall", "--yes", "jupyter-session-user").returncode == 0
    assert place.voila() == place.lab() == nobody
    left = {path for path in place.files().items() if path not in before.items()}
    assert {Path(path).name.partition(".sqlite3")[0] for path, _ in left} == {"ended", "voila.json"}

    assert place.run("-m", "pip", "install", "--quiet", str(wheel)).returncode == 0
    assert place.voila() == ["unknown"] * 2
    told = place.session_user("purge", "--yes")
    assert all(path in told for path, _ in left if path.endswith(("voila.json", "session-user")))
    assert place.session_user("purge").startswith("nothing to remove")
    assert place.run("-m", "pip", "uninstall", "--yes", "jupyter-session-user").returncode == 0
    assert place.files() == before
    assert place.voila() == place.lab() == nobody


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_voila_json_that_names_a_class_is_why_the_wheel_has_a_script(place, wheel):
    """The obvious file, which names our class, ends Voila after an uninstall; ours does not."""
    obvious = place.prefix / "etc" / "jupyter" / "voila.json"
    name = "jupyter_session_user.server.voila.SessionUserKernelManager"
    obvious.write_text(json.dumps({"VoilaConfiguration": {"multi_kernel_manager_class": name}}))
    try:
        with pytest.raises(RuntimeError, match=r"could not be imported|ModuleNotFoundError"):
            place.voila()
    finally:
        obvious.unlink()
    # What another Python finds of a file that pip has not removed, as in ~/.local/etc/jupyter.
    script = obvious.with_name("voila.py")
    script.write_bytes(
        (ROOT / "jupyter_session_user" / "_data" / "jupyter-config" / "voila.py.txt").read_bytes()
    )
    try:
        assert place.voila() == ["not installed"] * 2
    finally:
        script.unlink()
