"""A private Python environment, in which the command line can write any file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(sysconfig.get_path("purelib"))


@dataclass(frozen=True)
class Machine:
    """A machine with one Python environment and one user.

    Attributes:
        prefix: The environment.
        home: The user's home; ``config`` and ``data`` are below it.
        env: Variables of the process that the user starts.
    """

    prefix: Path
    home: Path
    env: dict[str, str]

    @property
    def python(self) -> str:
        """Return the environment's Python."""
        return str(self.prefix / "bin" / "python")

    @property
    def system_file(self) -> Path:
        """Return the ``voila.json`` of the environment."""
        return self.prefix / "etc" / "jupyter" / "voila.json"

    @property
    def user_file(self) -> Path:
        """Return the user's ``voila.json``."""
        return self.home / "config" / "voila.json"

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``jupyter session-user`` as the machine's user."""
        return subprocess.run(
            [self.python, "-m", "jupyter_session_user.cli.main", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            cwd=self.home,
            env={**os.environ, **self.env, **env},
        )

    def labextension(self, *arguments: str) -> None:
        """Run ``jupyter labextension`` as the machine's user; its script is in another prefix."""
        subprocess.run(
            [self.python, "-m", "jupyterlab.labextensions", *arguments],
            capture_output=True,
            check=True,
            timeout=100,
            cwd=self.home,
            env={**os.environ, **self.env},
        )

    def doctor(self, **env: str) -> tuple[dict[str, tuple[str, str]], int]:
        """Return the findings of ``doctor --json``, by name, and its exit status."""
        result = self.run("doctor", "--json", **env)
        assert not result.stderr, result.stderr
        findings = json.loads(result.stdout)
        return {f["what"]: (f["verdict"], f["text"]) for f in findings}, result.returncode

    def enable_server(self) -> None:
        """Write the files that installing the wheel writes."""
        enabled = {"ServerApp": {"jpserver_extensions": {"jupyter_session_user": True}}}
        path = self.prefix / "etc/jupyter/jupyter_server_config.d/jupyter_session_user.json"
        write(path, json.dumps(enabled))

        labextension = self.prefix / "share/jupyter/labextensions/jupyter-session-user"
        labextension.parent.mkdir(parents=True, exist_ok=True)
        if not labextension.exists():
            installed = Path(sys.prefix, *labextension.relative_to(self.prefix).parts)
            labextension.symlink_to(installed)

    def install_voila_file(self) -> None:
        """Write the file that the wheel installs for Voila."""
        source = ROOT / "jupyter_session_user" / "_data" / "jupyter-config" / "voila.py.txt"
        write(self.system_file.with_name("voila.py"), source.read_text())

    def add_kernel(self, name: str, *argv: str, language: str = "python", **rest: Any) -> None:
        """Install a kernelspec for the user."""
        spec = {"argv": list(argv), "display_name": name, "language": language, **rest}
        write(self.home / "data" / "kernels" / name / "kernel.json", json.dumps(spec))


def write(path: Path, text: str) -> None:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def bare_environment(prefix: Path) -> Path:
    """Make an environment without any package; return its Python."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
    subprocess.run(command, check=True, timeout=100)
    return prefix / "bin" / "python"


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes an environment with all packages except the hidden ones."""
    known: dict[tuple[str, ...], Path] = {}

    def make(*hidden: str) -> Path:
        if hidden not in known:
            prefix = known[hidden] = tmp_path_factory.mktemp("env")
            bare_environment(prefix)
            site = next(prefix.glob("lib/python*/site-packages"))
            for entry in SITE.iterdir():
                if not hidden or not entry.name.startswith(hidden):
                    (site / entry.name).symlink_to(entry)
        return known[hidden]

    return make


@pytest.fixture
def machine(tmp_path: Path, environments: Callable[..., Path]) -> Callable[..., Machine]:
    """Return a function that makes a machine without configuration."""

    def make(*hidden: str) -> Machine:
        prefix, home = environments(*hidden), tmp_path / "home"
        shutil.rmtree(prefix / "etc", ignore_errors=True)
        shutil.rmtree(prefix / "share" / "jupyter" / "labextensions", ignore_errors=True)
        home.mkdir()
        env = {
            "HOME": str(home),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTER_CONFIG_PATH": "",
            "JUPYTER_PATH": "",
            "PYTHONPATH": "",
        }
        return Machine(prefix, home, env)

    return make


@pytest.fixture
def fake_release(tmp_path: Path) -> Callable[[str, str], str]:
    """Return a function that makes a release look installed; it returns an entry for the path."""

    def make(name: str, version: str) -> str:
        folder = tmp_path / f"old-{name}"
        info = folder / f"{name}-{version}.dist-info"
        write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return str(folder)

    return make


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """Return the Python of an environment without any package."""
    return str(bare_environment(tmp_path / "bare"))
