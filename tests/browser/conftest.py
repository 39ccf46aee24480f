"""One JupyterLab for the tests that change nothing in it; one Chromium per file of tests.

Playwright's loop would be in the way of other files' ``async def`` tests, hence not per session.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import browsing
from lab_notebooks import NOTEBOOKS
from local_server import LocalServer

# Pictures show what nobody can assert; they are taken on demand.
collect_ignore = [] if os.environ.get("SCREENSHOTS") else ["test_screenshots.py"]


@pytest.fixture(scope="session")
def _everything(need):
    """Skip without JupyterLab, Notebook 7, or our built extension."""
    need(importlib.util.find_spec("jupyterlab"), "jupyterlab is missing")
    need(importlib.util.find_spec("notebook"), "notebook is missing")
    built = Path(sys.prefix, "share", "jupyter", "labextensions", "jupyter-session-user")
    need(built.exists(), f"the JupyterLab extension is not installed: {built}")


@pytest.fixture(scope="module")
def chromium(need, _everything):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


@pytest.fixture(scope="session")
def lab(_everything, tmp_path_factory) -> Iterator[LocalServer]:
    """Run JupyterLab and Notebook 7, where cells go over the kernel's websocket."""
    example = browsing.ROOT / "examples" / "whoami.ipynb"
    files = {**NOTEBOOKS, "whoami.ipynb": example.read_text(encoding="utf-8")}
    with browsing.jupyter_lab(tmp_path_factory.mktemp("lab"), files=files) as running:
        yield running
