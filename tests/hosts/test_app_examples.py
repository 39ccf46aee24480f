"""The examples of the app hosts, in Chromium, with two visitors side by side."""

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
#: As in the docs, with a port from the system, and without opening a browser.
COMMANDS = {
    "dash": ("-m", "gunicorn", "visitors:server", "--bind", "127.0.0.1:{port}"),
    "django": ("visitors.py", "runserver", "127.0.0.1:{port}", "--noreload"),
    "gradio": ("visitors.py",),
    "fastapi": ("-m", "uvicorn", "visitors:app", "--port", "{port}"),
    "marimo": (
        *("-m", "marimo", "run", "visitors.py", "--headless", "--no-token"),
        *("--host", "127.0.0.1", "--port", "{port}"),
    ),
    "nicegui": ("visitors.py",),
    "shiny": ("-m", "shiny", "run", "visitors.py", "--port", "{port}"),
    "streamlit": (
        *("-m", "streamlit", "run", "visitors.py", "--server.address", "127.0.0.1"),
        *("--server.port", "{port}", "--server.headless", "true"),
        *("--browser.gatherUsageStats", "false"),
    ),
}
READY = {
    "dash": "/",
    "django": "/",
    "fastapi": "/",
    "gradio": "/",
    "marimo": "/health",
    "nicegui": "/",
    "shiny": "/",
    "streamlit": "/_stcore/health",
}
#: For commands without an option for the port.
ENV = {"GRADIO_SERVER_PORT": "{port}", "GRADIO_ANALYTICS_ENABLED": "False"}
CLICKED = {"Alice Adams": "Alice Adams (alice) clicked.", "Bob Brown": "Bob Brown (bob) clicked."}
OWN = {"Alice Adams": "Clean room", "Bob Brown": "Microscope"}


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


@pytest.fixture(params=sorted(COMMANDS))
def example(request, need, monkeypatch) -> Iterator[tuple[str, AppServer]]:
    """Run one of the examples."""
    name = request.param
    need(importlib.util.find_spec(name), f"{name} is missing")
    files = {
        path.name: path.read_text(encoding="utf-8").replace('"8080"', '"{port}"')
        for path in (EXAMPLES / name).glob("*.py")
    }
    if name == "nicegui":  # otherwise it serves on a port of pytest
        monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    command = (sys.executable, *COMMANDS[name])
    with app_server(*command, files=files, env=ENV, ready=READY[name]) as running:
        yield name, running


def sign_in(kind, page, name):
    """Sign in as a user, in the way of each example."""
    if kind == "gradio":
        username = name.split()[0].lower()
        page.get_by_label("username").fill(username)
        page.get_by_label("password").fill(username)
        page.get_by_role("button", name="Login").click()
        return
    page.get_by_text("Who are you?").first.wait_for()
    if kind == "marimo":
        page.locator("select").select_option(label=name)
    else:
        page.get_by_text(name).click()


def test_two_visitors(chromium, example):
    """Each visitor sees a greeting and their own rows only, and the button shows their name."""
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
