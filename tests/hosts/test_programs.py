"""Programs without a user: each has the reason that leads to its fix."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from app_servers import app_server
from needs import need
from servers import DEMO, ROOT, WHO, opened, own_server, people_on, username

CELL = {
    "cell_type": "code",
    "source": WHO,
    "metadata": {},
    "outputs": [],
    "id": "a",
    "execution_count": None,
}
NOTEBOOK = json.dumps({"cells": [CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def run(folder: Path, *command: str) -> str:
    """Run Python in a folder, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_NO_CONFIG": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def script(folder: Path) -> str:
    """Run a plain script."""
    return run(folder, "-c", WHO)


def execute(folder: Path) -> str:
    """Run a notebook with ``jupyter execute``."""
    (folder / "page.ipynb").write_text(NOTEBOOK)
    run(folder, "-m", "jupyter", "execute", "--inplace", "page.ipynb")
    return (folder / "page.ipynb").read_text()


def nbconvert(folder: Path) -> str:
    """Run a notebook with ``jupyter nbconvert``."""
    (folder / "page.ipynb").write_text(NOTEBOOK)
    return run(folder, "-m", "nbconvert", "--to=markdown", "--execute", "--stdout", "page.ipynb")


def voila(folder: Path) -> str:
    """Open a page of standalone Voila without our configuration."""
    need(importlib.util.find_spec("voila"), "voila is missing")
    command = (sys.executable, "-m", "voila", "page.ipynb", "--no-browser", "--port={port}")
    env = {"JUPYTER_NO_CONFIG": "1", "JUPYTER_CONFIG_DIR": str(folder)}
    files = {"page.ipynb": NOTEBOOK}
    with (
        app_server(*command, files=files, env=env, ready="/static/none") as server,
        server.connect() as connection,
    ):
        connection.request("GET", "/")
        return connection.getresponse().read().decode()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (script, "not_in_kernel"),
        (execute, "headless"),
        (nbconvert, "headless"),
        (voila, "voila_not_enabled"),
    ],
)
def test_a_program_without_users(tmp_path, program, reason):
    """The program has its own reason, and no other reason."""
    assert set(re.findall(r"nobody: (\w+)", program(tmp_path))) == {reason}


async def test_a_server_without_the_extension():
    """Two users are logged in, and the error names the missing installation."""
    with own_server(*DEMO, extensions=()) as running:
        alice, bob = await people_on(running)
        kernel = await alice.start_kernel()
        async with opened(alice, kernel) as hers, opened(bob, kernel) as his:
            for socket in (hers, his):
                assert await username(socket) == "nobody: server_without_extension"
