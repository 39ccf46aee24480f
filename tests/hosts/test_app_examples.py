"""The examples of Streamlit, marimo and FastAPI, in Chromium, with two visitors side by side."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

import browsing
from app_servers import AppServer, app_server

pytestmark = [pytest.mark.browser]

EXAMPLES = Path(__file__).parents[2] / "examples"
#: As the docs have them, with a port that the system chose, and without a browser of their own.
COMMANDS = {
    "fastapi": ("-m", "uvicorn", "visitors:app", "--port", "{port}"),
    "marimo": (
        *("-m", "marimo", "run", "visitors.py", "--headless", "--no-token"),
        *("--host", "127.0.0.1", "--port", "{port}"),
    ),
    "streamlit": (
        *("-m", "streamlit", "run", "visitors.py", "--server.address", "127.0.0.1"),
        *("--server.port", "{port}", "--server.headless", "true"),
        *("--browser.gatherUsageStats", "false"),
    ),
}
READY = {"fastapi": "/", "marimo": "/health", "streamlit": "/_stcore/health"}
CLICKED = {"Alice Adams": "Alice Adams (alice) clicked.", "Bob Brown": "Bob Brown (bob) clicked."}
OWN = {"Alice Adams": "Clean room", "Bob Brown": "Microscope"}


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


@pytest.fixture(params=sorted(COMMANDS))
def example(request, need) -> Iterator[tuple[str, AppServer]]:
    """Run one of the examples."""
    name = request.param
    need(importlib.util.find_spec(name), f"{name} is missing")
    text = (EXAMPLES / name / "visitors.py").read_text(encoding="utf-8")
    command = (sys.executable, *COMMANDS[name])
    with app_server(*command, files={"visitors.py": text}, ready=READY[name]) as running:
        yield name, running


def sign_in(kind, page, name):
    """Say who one is, in the way of each example."""
    page.get_by_text("Who are you?").first.wait_for()
    if kind == "marimo":
        page.locator("select").select_option(label=name)
    else:
        page.get_by_text(name).click()


def test_two_visitors(chromium, example):
    """Each is greeted, sees her own rows alone, and is named by the button."""
    from playwright.sync_api import expect

    kind, server = example
    pages = {}
    for name in CLICKED:
        pages[name] = chromium.new_context().new_page()
        pages[name].goto(f"http://{server.host}/")
    for name, page in pages.items():
        sign_in(kind, page, name)
    for name, page in pages.items():
        expect(page.get_by_role("heading", name=f"Hello, {name}")).to_be_visible()
    for page in pages.values():
        page.get_by_role("button", name="Who clicks?").click()
    for name, page in pages.items():
        expect(page.get_by_text(CLICKED[name])).to_be_visible()
        for owner, thing in OWN.items():
            expect(page.get_by_text(thing)).to_have_count(int(owner == name))
        page.context.close()
