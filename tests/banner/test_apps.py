"""The banner in apps without a Jupyter server: it shows each visitor the state that code sets."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from app_servers import app_server

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

import browsing

pytestmark = pytest.mark.browser

MARIMO = """
import marimo
app = marimo.App()

@app.cell
def _():
    import marimo as mo
    from jupyter_session_user import SessionBanner
    banner = SessionBanner()
    end = mo.ui.button(label="End it", on_click=lambda _: setattr(banner, "state", "expired"))
    mo.vstack([end, mo.ui.anywidget(banner)])
    return
"""
PANEL = """
import panel as pn
from jupyter_session_user import SessionBanner
pn.extension()
banner, end = SessionBanner.panel(), pn.widgets.Button(name="End it")
end.on_click(lambda event: setattr(banner, "state", "expired"))
pn.Column(end, banner).servable()
"""
# Tornado accepts a page's own address without a setting only since 6.5.
_SERVE = "panel serve app.py --address 127.0.0.1 --allow-websocket-origin 127.0.0.1:{port}"
APPS = {
    "marimo": (MARIMO, "marimo run app.py --headless --no-token --host 127.0.0.1", "/"),
    "panel": (PANEL, _SERVE, "/app"),
}


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


@pytest.mark.parametrize("host", APPS)
def test_it_shows_what_code_says_and_to_nobody_else(chromium, need, host):
    """The banner is hidden; when one visitor's login ends, the other page shows nothing."""
    from playwright.sync_api import expect

    need(importlib.util.find_spec(host), f"{host} is missing")
    text, words, path = APPS[host]
    command = (sys.executable, "-m", *words.split(), "--port", "{port}")
    with app_server(*command, files={"app.py": text}, ready=path) as running:
        pages = [chromium.new_context().new_page() for _ in range(2)]
        for page in pages:  # one after the other: see tests/hosts/marimo
            page.goto(f"http://{running.host}{path}")
            expect(page.get_by_text("End it")).to_be_visible()
            expect(page.get_by_role("status")).to_have_text("")
        pages[0].get_by_text("End it").click()
        shown = "Your login has expired. Reload the page to log in again."
        expect(pages[0].get_by_role("status")).to_have_text(shown)
        expect(pages[1].get_by_role("status")).to_have_text("")
