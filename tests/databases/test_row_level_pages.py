"""The pages of ``examples/row_level_security`` in Chromium, with two visitors side by side."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator

import pytest
from app_servers import AppServer, app_server
from row_level import EVERY, EXAMPLE, ORDERS
from servers import ROOT

sys.path.insert(0, str(ROOT / "tests" / "browser"))

import browsing

pytestmark = pytest.mark.browser

PASSWORDS = {"alice": "a", "bob": "b"}
PANEL = (
    *("-m", "panel", "serve", str(EXAMPLE / "orders_app.py"), "--address", "127.0.0.1"),
    *("--port", "{port}", "--allow-websocket-origin", "127.0.0.1:{port}"),
    *("--basic-auth", "people.json", "--cookie-secret", "a secret of the tests, long enough"),
)


@pytest.fixture(scope="module")
def panel(orders, need) -> Iterator[AppServer]:
    """Run the Panel app as its page of the documentation does."""
    need(importlib.util.find_spec("panel"), "panel is missing")
    files = {"people.json": json.dumps(PASSWORDS)}
    env = {"ORDERS_URL": orders.app_url}
    with app_server(sys.executable, *PANEL, files=files, env=env, ready="/login") as running:
        yield running


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


def test_the_button_of_the_voila_page(example, chromium):
    """A click asks the database again, as the user of the click."""
    from playwright.sync_api import expect

    with contextlib.ExitStack() as stack:
        pages = {}
        for name in ORDERS:
            context = chromium.new_context()
            stack.callback(context.close)
            pages[name] = browsing.log_in(context, example, name, "voila/render/dashboard.ipynb")
        for page in pages.values():
            page.get_by_role("button", name="Ask again").click()
        for name, page in pages.items():
            for item in EVERY:  # in the page, and in the answer
                expect(page.get_by_text(item, exact=True)).to_have_count(2 * (item in ORDERS[name]))


def test_the_panel_app_without_a_kernel(panel, chromium):
    """Two visitors at the same time, in one process with one pool: each sees the own orders."""
    from playwright.sync_api import expect

    with contextlib.ExitStack() as stack:
        pages = {}
        for name, password in PASSWORDS.items():
            context = chromium.new_context()
            stack.callback(context.close)
            page = pages[name] = context.new_page()
            page.goto(f"http://{panel.host}/orders_app")
            page.locator("[name=username]").fill(name)
            page.locator("[name=password]").fill(password)
            page.locator("[type=submit]").click()
        for _ in range(2):
            for name, page in pages.items():
                expect(page.get_by_role("heading", name=f"Orders of {name}")).to_be_visible()
                for item in EVERY:
                    expect(page.get_by_text(item, exact=True)).to_have_count(
                        int(item in ORDERS[name])
                    )
            for page in pages.values():
                page.get_by_role("button", name="Refresh").click()
    assert "Traceback" not in panel.log_text()
