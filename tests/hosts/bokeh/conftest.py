"""Bokeh's and Panel's servers, shared within a file of tests where possible."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "browser"))

import browsing
import serving


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Close the visitors of a test at its end, in its own event loop."""
    test = pyfuncitem.obj
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def and_leave(**arguments):
            try:
                await test(**arguments)
            finally:
                await serving.leave()

        pyfuncitem.obj = and_leave


@pytest.fixture(scope="session", autouse=True)
def tools(need):
    """Skip if Bokeh or Panel is missing."""
    need(importlib.util.find_spec("pyviz_comms"), "panel is missing")


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Start servers for a module's tests: the same one for the same arguments."""
    running, stack = {}, serving.contextlib.ExitStack()

    def start(tool, app, *arguments, **options):
        key = (tool, str(app), arguments, tuple(sorted(options.items())))
        if key not in running:
            folder = tmp_path_factory.mktemp(tool)
            running[key] = stack.enter_context(
                serving.serve(folder, tool, app, *arguments, **options)
            )
        return running[key]

    with stack:
        yield start


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser
