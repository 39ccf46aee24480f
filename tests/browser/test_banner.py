"""``SessionBanner()`` in a cell of JupyterLab and Notebook 7, also on a kernel that two share."""

from __future__ import annotations

import re

import pytest
from banners import AXE, CONTRASTS, axe_violations, banner, end_kernel, fill_form, quiet, sign_out
from browsing import PATIENCE_MS, Desk, jupyter_lab, notebook_text

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("pages_closed")]

MAKE = """
from jupyter_session_user import SessionBanner
heard = []
banner = SessionBanner()
banner.observe(lambda change: heard.append(change["new"]), "state")
banner
"""
CELLS = (MAKE, "banner", "print(banner.state, *heard)")
NOTEBOOK = notebook_text(*CELLS)
FILES = {"cells.ipynb": NOTEBOOK}
APPS = {"lab": "lab?reset", "notebook 7": "notebooks/{file}?reset"}
BOTH_APPS = pytest.mark.parametrize("app", APPS)


@pytest.fixture(scope="module", autouse=True)
def _anywidget(need):
    import importlib.util

    need(importlib.util.find_spec("anywidget"), "anywidget is missing")


@pytest.fixture(scope="module")
def lab(_everything, tmp_path_factory):
    """Run a JupyterLab in which each test has its own logins, and a notebook of its own."""
    files = {f"work{n}.ipynb": NOTEBOOK for n in range(10)}
    with jupyter_lab(tmp_path_factory.mktemp("lab"), files=files) as running:
        yield running


@pytest.fixture(scope="module")
def _notebooks():
    return iter(f"work{n}.ipynb" for n in range(10))


@pytest.fixture
def file(_notebooks):
    """Give each test another notebook."""
    return next(_notebooks)


def at_work(chromium, lab, name, file, app="lab"):
    """Return somebody with the notebook open, and the id of its kernel."""
    desk = Desk.of(chromium.new_context(), lab, name, APPS[app].format(file=file))
    return desk, desk.open(file) if app == "lab" else desk.kernel()


@BOTH_APPS
def test_two_people_on_one_kernel(chromium, lab, file, expect, app):
    """Alice signs out: her banner says so, bob's does not, and he sees what became of hers.

    She logs in again by its button, in a window that closes itself, and goes on.
    """
    (alice, kernel), (bob, bobs) = (at_work(chromium, lab, n, file, app) for n in ("alice", "bob"))
    assert kernel == bobs
    alice.run(0)
    bob.run(1)
    for desk in (alice, bob):
        expect(quiet(desk.page)).to_have_count(1)
    sign_out(alice.page.context, lab)
    ended = banner(alice.page, "signed_out")
    expect(ended.get_by_role("status")).to_contain_text("You are logged out.")
    bob.run(2)
    expect(bob.output(2)).to_contain_text("signed_out signed_out")
    expect(quiet(bob.page)).to_have_count(1)
    with alice.page.expect_popup() as opened:
        ended.get_by_role("button", name="Log in again").click()
    popup = opened.value
    fill_form(popup, "alice")
    if not popup.is_closed():
        popup.wait_for_event("close")
    expect(quiet(alice.page)).to_have_count(1)
    alice.page.wait_for_function(
        "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".connectionStatus === 'connected'"
    )
    alice.run(2)
    expect(alice.output(2)).to_contain_text("active signed_out")


@BOTH_APPS
def test_kernel_ended(chromium, lab, file, expect, need, app):
    """The kernel is shut down elsewhere: the banner says what to do about it, with no button.

    Readable in both themes, and accessible.
    """
    alice, kernel = at_work(chromium, lab, "alice", file, app)
    alice.run(0)
    quiet(alice.page).wait_for(state="attached")
    end_kernel(alice.page, kernel)
    ended = banner(alice.page, "kernel_ended")
    expect(ended.get_by_role("status")).to_contain_text("Restart it to go on")
    expect(ended.get_by_role("button")).to_have_count(0)
    for scheme in ("dark", "light"):
        theme = f"JupyterLab {scheme.title()}"
        alice.page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
        )
        expect(ended).to_have_attribute("data-theme", scheme)
        assert min(alice.page.evaluate(CONTRASTS)) >= 4.5
    need(AXE.exists(), f"axe-core is missing: {AXE}")
    assert axe_violations(alice.page) == []


@pytest.mark.usefixtures("_everything")
@BOTH_APPS
def test_server_gone(chromium, tmp_path, expect, app):
    """The server ends: it cannot be reached."""
    with jupyter_lab(tmp_path, files=FILES) as server:
        alice, _ = at_work(chromium, server, "alice", "cells.ipynb", app)
        alice.run(0)
        quiet(alice.page).wait_for(state="attached")
        server.process.terminate()
        away = banner(alice.page, "unreachable")
        expect(away.get_by_role("button")).to_have_text(["Try now"])


@pytest.mark.usefixtures("_everything")
def test_with_a_token_no_cookie_is_needed(chromium, tmp_path, expect):
    """A server with a token, and no cookie any more: JupyterLab works, and there is no banner."""
    token = "--IdentityProvider.token=a-token"
    with jupyter_lab(tmp_path, token, people=False, files=FILES) as server:
        page = chromium.new_context().new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(server.url + "lab?reset&token=a-token")
        page.wait_for_function("window.jupyterapp?.restored")
        page.evaluate("jupyterapp.restored")
        desk = Desk("somebody", page)
        desk.open("cells.ipynb")
        desk.run(0)
        quiet(page).wait_for(state="attached")
        page.context.clear_cookies(name=re.compile("^username-"))
        with page.expect_response(lambda r: r.url.endswith("/me")) as asked:
            pass
        assert asked.value.status == 200
        expect(quiet(page)).to_have_count(1)


def test_the_extension_of_voilas_pages_keeps_out(chromium, lab, file, expect):
    """JupyterLab loads Voila's extension as well; it does nothing there."""
    alice, _ = at_work(chromium, lab, "alice", file)
    alice.run(0)
    quiet(alice.page).wait_for(state="attached")
    assert alice.page.evaluate("'jupyter-session-user-voila' in window._JUPYTERLAB")
    expect(alice.page.locator(".jsu-page")).to_have_count(0)


def test_words_that_code_chooses(chromium, lab, file, expect):
    """``texts`` replaces words, later too; nothing in them is taken for HTML."""
    alice, _ = at_work(chromium, lab, "alice", file)
    alice.run(0)
    quiet(alice.page).wait_for(state="attached")
    evil = "<img src=x onerror=document.title='evil'>"
    alice.page.evaluate(
        """async text => {
            const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
            await kernel.requestExecute({
                code: `banner.texts = {"signed_out": ${JSON.stringify(text)}, ` +
                      `"log_in": "Anmelden"}`,
            }).done;
        }""",
        evil,
    )
    sign_out(alice.page.context, lab)
    ended = banner(alice.page, "signed_out")
    expect(ended.get_by_role("status")).to_have_text(evil)
    expect(ended.get_by_role("button")).to_have_text(["Anmelden"])
    assert alice.page.title() != "evil"
