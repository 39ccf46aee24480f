"""A server with Panel's previews only; one Chromium per file of tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "browser"))
sys.path.insert(0, str(Path(__file__).parent))

import browsing
import previews
import servers
from local_server import LocalServer


@pytest.fixture(scope="session")
def panel_installed(need):
    """Skip without Panel; this folder has its name, hence the longer one."""
    need(importlib.util.find_spec("pyviz_comms"), "panel is missing")


@pytest.fixture(scope="module")
def chromium(need, panel_installed):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


@pytest.fixture(scope="session")
def server(panel_installed) -> Iterator[LocalServer]:
    """Run a server with the demo people, our extension, and Panel's."""
    with servers.own_server(
        *servers.DEMO,
        "--JupyterSessionUser.share_cookies=locale",
        extensions=(servers.EXTENSION, previews.EXTENSION),
        files=previews.files(),
    ) as running:
        yield running
