"""The wheel in new environments: it installs alone, and errors name what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import real_gateways as gateways
from local_server import local_server

ROOT = Path(__file__).parents[2]

ASK = "import jupyter_session_user as j; print(j.get_current_user(default='nobody'))"
IN_A_KERNEL = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
try:
    reply = client.execute_interactive("import jupyter_session_user as j; j.get_current_user()")
    print(reply["content"]["ename"], reply["content"]["evalue"])
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""
IN_STREAMLIT = """
from streamlit.testing.v1 import AppTest
app = '''
import streamlit as st
import jupyter_session_user as j
st.text(repr(j.get_current_user(default="nobody")))
'''
print(AppTest.from_string(app).run(timeout=60).text[0].value)
"""


class Environment:
    """A fresh virtual environment with the wheel."""

    def __init__(self, folder: Path, wheel: Path, need, *packages: str) -> None:
        venv.create(folder, with_pip=True)
        self.python = folder / "bin" / "python"
        self.before = self.names()
        asked = self.run("-m", "pip", "install", "--quiet", str(wheel), *packages, check=False)
        need(asked.returncode == 0, f"pip cannot install here: {asked.stderr[-200:]}")

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run its Python, outside of any checkout of this project."""
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.python.parent,
            env={**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "JUPYTER_PLATFORM_DIRS": "1"},
            capture_output=True,
            text=True,
            check=check,
            timeout=110,
        )

    def names(self) -> set[str]:
        """Return the names of the packages in it."""
        listed = self.run("-m", "pip", "list", "--format", "json").stdout
        return {package["name"] for package in json.loads(listed)}


class BesideEnterpriseGateway(Environment):
    """A fresh environment that sees all packages of Enterprise Gateway's, except this one.

    pip counts them as installed, and cannot change them.
    """

    def __init__(self, folder: Path) -> None:
        python = gateways.enterprise_python()
        subprocess.run([str(python), "-m", "venv", str(folder / "venv")], check=True, timeout=100)
        self.python = folder / "venv" / "bin" / "python"
        (theirs,) = python.parents[1].glob("lib/python*/site-packages")
        (ours,) = (folder / "venv").glob("lib/python*/site-packages")
        seen = folder / "seen"
        seen.mkdir()
        for entry in theirs.iterdir():
            if "jupyter_session_user" not in entry.name:
                (seen / entry.name).symlink_to(entry)
        (ours / "seen.pth").write_text(f"{seen}\n", encoding="utf-8")

    def versions(self) -> dict[str, str]:
        """Return the version of each package."""
        listed = json.loads(self.run("-m", "pip", "list", "--format", "json").stdout)
        return {one["name"].replace("-", "_"): one["version"] for one in listed}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel without a network: the test environment has the build tools."""
    folder = tmp_path_factory.mktemp("wheel")
    run = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True, timeout=100)
    return next(folder.glob("*.whl"))


def test_alone(tmp_path, wheel, need):
    """The wheel installs no other package; a script gets the default, the command line a hint."""
    alone = Environment(tmp_path, wheel, need)
    assert alone.names() - alone.before == {"jupyter-session-user"}
    assert alone.run("-W", "error", "-c", ASK).stdout.strip() == "nobody"
    command = alone.run("-c", "from jupyter_session_user.cli import run; exit(run())", check=False)
    assert command.returncode == 2
    assert command.stderr.rstrip().endswith("pip install 'jupyter-session-user[server]'")
    assert "Traceback" not in command.stderr


def test_with_ipykernel_alone(tmp_path, wheel, need):
    """A kernel's environment gets no Jupyter Server; the error there says that no server stamps."""
    kernel = Environment(tmp_path, wheel, need, "ipykernel")
    assert "jupyter_server" not in {name.replace("-", "_") for name in kernel.names()}
    said = kernel.run("-c", IN_A_KERNEL).stdout
    assert said.startswith("IdentityUnavailable"), said


def test_with_streamlit_alone(tmp_path, wheel, need):
    """A Streamlit app without Jupyter gets its user."""
    app = Environment(tmp_path, wheel, need, "streamlit")
    assert not {name for name in app.names() if name.startswith(("jupyter_", "jupyter-server"))}
    said = app.run("-W", "ignore", "-c", IN_STREAMLIT).stdout
    assert said.strip(), said


def test_beside_enterprise_gateway(tmp_path, wheel, need):
    """The wheel changes nothing that Enterprise Gateway needs, which still starts."""
    reason = gateways.missing("enterprise_gateway")
    need(not reason, reason)
    gateway = BesideEnterpriseGateway(tmp_path)
    before = gateway.versions()
    assert before["jupyter_server"].startswith("1.")
    gateway.run("-m", "pip", "install", "--quiet", str(wheel))
    after = gateway.versions()
    assert after.pop("jupyter_session_user") and after == before
    command = (str(gateway.python), "-m", "gateway_program", "enterprise_gateway")
    with local_server(command=command, env={"PYTHONPATH": str(ROOT / "tests/support")}) as running:
        assert "Enterprise Gateway" in running.log_text()


@pytest.mark.parametrize(("version", "is_refused"), [("2.15.0", True), ("2.16.0", False)])
def test_an_old_server_is_refused(tmp_path, version, is_refused):
    """The extension checks the version of Jupyter Server, and names the upgrade."""
    info = tmp_path / f"jupyter_server-{version}.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: jupyter_server\nVersion: {version}\n"
    (info / "METADATA").write_text(text, encoding="utf-8")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; "
        "import jupyter_session_user as j; j._jupyter_server_extension_points()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode != 0) is is_refused, done.stderr
    if is_refused:
        assert done.stderr.rstrip().endswith("pip install --upgrade 'jupyter-server>=2.16'")
