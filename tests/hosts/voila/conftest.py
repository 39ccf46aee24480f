"""One Chromium per file of tests, and the functions that drive it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "browser"))

import browsing


@pytest.fixture(scope="session")
def _voila(need):
    """Skip without Voila or its widgets."""
    need(importlib.util.find_spec("voila"), "voila is missing")
    need(importlib.util.find_spec("ipywidgets"), "ipywidgets is missing")


@pytest.fixture(scope="module")
def chromium(need, _voila):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser
