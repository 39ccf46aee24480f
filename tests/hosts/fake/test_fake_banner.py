"""A made-up user is loud: the banner of a page that is shown to one says so, and no other does."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
import servers
from app_servers import app_server
from banners import AXE, CONTRASTS, axe_violations, banner, need_page_banner

sys.path.insert(0, str(Path(__file__).parents[2] / "browser"))
sys.path.insert(0, str(Path(__file__).parents[1] / "voila"))

import browsing
from voila_pages import voila

from jupyter_session_user import SessionBanner
from jupyter_session_user.testing import fake_user

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("pages_closed")]

VARIABLE = "JUPYTER_SESSION_USER_FAKE"
SAYS = f"Made-up user “ada” ({VARIABLE}). This is not a login."
CELL = "from jupyter_session_user import SessionBanner, get_session\nSessionBanner()"
MARIMO = """
import marimo
app = marimo.App()

@app.cell
def _():
    import marimo as mo
    from jupyter_session_user import SessionBanner
    mo.vstack([mo.md("The page"), mo.ui.anywidget(SessionBanner())])
    return
"""
PANEL = """
import panel as pn
from jupyter_session_user import SessionBanner
pn.extension()
pn.Column("The page", SessionBanner.panel()).servable()
"""
_SERVE = "panel serve app.py --address 127.0.0.1 --allow-websocket-origin 127.0.0.1:{port}"
_LOGIN = " --basic-auth passwords.json --cookie-secret secret"
_MARIMO_RUN = "marimo run app.py --headless --no-token --host 127.0.0.1"


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


def serving(words, text, **env):
    """Run an app."""
    command = (sys.executable, "-m", *words.split(), "--port", "{port}")
    files = {"app.py": text, "passwords.json": '{"bob": "bob", "alice": "alice"}'}
    ready = "/app" if words.startswith("panel") else "/"
    return app_server(*command, files=files, env=env, ready=ready)


def pages_of(chromium, url):
    """Open a page in the browsers of two visitors."""
    pages = [chromium.new_context().new_page() for _ in range(2)]
    for page in pages:
        page.goto(url)
        page.get_by_text("The page").wait_for()
    return pages


def is_loud(page, expect, text=SAYS):
    """Expect the one banner, without a button that hides it."""
    note = banner(page, "made_up")
    expect(note).to_have_count(1)
    expect(note.locator(".jsu-text")).to_have_text(text)
    expect(note.locator("button, a")).to_have_count(0)


@pytest.mark.parametrize(
    ("host", "words", "text"),
    [("panel", _SERVE, PANEL), ("marimo", _MARIMO_RUN, MARIMO)],
    ids=["panel serve", "marimo"],
)
def test_apps(chromium, need, expect, host, words, text):
    """Each visitor of an app without a login sees it; readable in light and dark."""
    need(importlib.util.find_spec(host), f"{host} is missing")
    need(AXE.exists(), f"axe-core is missing: {AXE}")
    path = "/app" if host == "panel" else "/"
    with serving(words, text, **{VARIABLE: "ada <b>"}) as running:
        for page in pages_of(chromium, f"http://{running.host}{path}"):
            is_loud(page, expect, SAYS.replace("ada", "ada <b>"))
            for color in ("white", "#111111"):
                page.evaluate("c => { document.body.style.backgroundColor = c; }", color)
                assert min(page.evaluate(CONTRASTS)) >= 4.5
            assert axe_violations(page) == []
            picture(page, f"made-up-{host}")


def test_a_visitor_who_has_logged_in(chromium, need, expect):
    """Where visitors log in, the variable names none of them, and no banner says it does."""
    need(importlib.util.find_spec("panel"), "panel is missing")
    with serving(_SERVE + _LOGIN, PANEL, **{VARIABLE: "ada"}) as running:
        for name in ("alice", "bob"):
            page = chromium.new_context().new_page()
            page.goto(f"http://{running.host}/app")
            page.locator("[name=username]").fill(name)
            page.locator("[name=password]").fill(name)
            page.locator("[type=submit]").click()
            page.get_by_text("The page").wait_for()
            banner(page, "active").wait_for(state="attached")
            expect(banner(page, "made_up")).to_have_count(0)


# ipywidgets 8.1.0 calls a method that traitlets deprecates.
@pytest.mark.filterwarnings("ignore:Deprecated in traitlets 4.1:DeprecationWarning")
def test_a_block_of_fake_user(need):
    """The banner names what makes the user up; one that is made outside of the block is quiet."""
    need(importlib.util.find_spec("anywidget"), "anywidget is missing")
    with fake_user("ada"):
        hers = SessionBanner()
    with fake_user("eve"):
        other = SessionBanner()
    assert hers.made_up == {"user": "ada", "by": "fake_user"}
    assert other.made_up == {"user": "eve", "by": "fake_user"}
    assert SessionBanner().made_up == {}


def test_standalone_voila(chromium, need, expect, monkeypatch):
    """Where Voila's visitors have no names, its page says so once, at the top."""
    need(importlib.util.find_spec("voila"), "voila is missing")
    need(importlib.util.find_spec("anywidget"), "anywidget is missing")
    need_page_banner(need)
    monkeypatch.setenv(VARIABLE, "ada")
    files = {"page.ipynb": browsing.notebook_text("print('The page')", CELL)}
    with voila(files=files, ours=False) as server:
        for page in pages_of(chromium, server.url):
            is_loud(page, expect)
            expect(
                page.locator(".jsu-page").locator(".jsu-banner[data-state=made_up]")
            ).to_have_count(1)
            picture(page, "made-up-voila")


@pytest.mark.parametrize("ours", [False, True], ids=["without the extension", "with it"])
def test_jupyterlab(chromium, need, expect, tmp_path, ours):
    """On a server without the extension the cell's banner says so; else alice and bob are real."""
    need(importlib.util.find_spec("jupyterlab"), "jupyterlab is missing")
    need(importlib.util.find_spec("anywidget"), "anywidget is missing")
    files = {"page.ipynb": browsing.notebook_text(CELL)}
    options = {"chip": ours, "files": files, "env": {VARIABLE: "ada"}}
    with browsing.jupyter_lab(tmp_path, **options) as server:
        for name in servers.PASSWORDS:
            desk = browsing.Desk.of(chromium.new_context(), server, name)
            desk.open("page.ipynb")
            desk.run(0)
            if ours:
                banner(desk.page, "active").wait_for(state="attached")
                expect(banner(desk.page, "made_up")).to_have_count(0)
            else:
                is_loud(desk.page, expect)
                picture(desk.page, f"made-up-lab-{name}")


def picture(page, name):
    """Save what the page looks like, on demand."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder, f"{name}.png"))
