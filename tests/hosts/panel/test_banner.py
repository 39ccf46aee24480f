"""``SessionBanner.panel()`` on the pages of Panel's previews."""

from __future__ import annotations

import pytest
import servers
from banners import CONTRASTS, banner, end_kernel, quiet, sign_in, sign_out
from browsing import log_in
from previews import EXTENSION, RENDER

pytestmark = pytest.mark.browser

APP = """
import os
import panel as pn
from ipykernel import get_connection_file
from jupyter_session_user import SessionBanner, get_current_user
pn.extension()
banner = SessionBanner.panel(texts={"label": "Anmeldung"})
note = pn.pane.Str("")
def told(event):
    note.object += f" {event.new}"
banner.param.watch(told, "state")
pn.Column(
    banner,
    f"# App of {get_current_user().username}",
    os.path.basename(get_connection_file())[len("kernel-"):-len(".json")],
    pn.pane.Str("told:"), note,
).servable()
"""
URL = RENDER + "app.py"


@pytest.fixture
def server(panel_installed):
    """Run a server for one test: what ends a login lasts."""
    with servers.own_server(
        *servers.DEMO, extensions=(servers.EXTENSION, EXTENSION), files={"app.py": APP}
    ) as running:
        yield running


def app_of(chromium, server, name):
    """Open the preview in a browser of somebody's own."""
    page = log_in(chromium.new_context(), server, name, URL)
    page.get_by_role("heading", name=f"App of {name}").wait_for()
    quiet(page).wait_for(state="attached")
    return page


def test_signed_out_and_in_again(chromium, server, expect):
    """Alice's app says so, in Python too, bob's does not; back again she has to reload."""
    alice, bob = (app_of(chromium, server, name) for name in ("alice", "bob"))
    sign_out(alice.context, server)
    expect(banner(alice, "ended").get_by_role("status")).to_contain_text("You are signed out.")
    expect(alice.get_by_text("ended", exact=True)).to_be_visible()
    assert min(alice.evaluate(CONTRASTS)) >= 4.5
    expect(quiet(bob)).to_have_count(1)
    sign_in(alice.context, server, "alice")
    stale = banner(alice, "stale")
    expect(stale.get_by_role("status")).to_contain_text("Reload this page to go on.")
    stale.get_by_role("button", name="Reload the page").click()
    expect(quiet(alice)).to_have_count(1)
    expect(alice.get_by_role("heading", name="App of alice")).to_be_visible()


def test_kernel_ended(chromium, server, expect):
    """The app's kernel is shut down: reload starts another one."""
    alice = app_of(chromium, server, "alice")
    kernel = alice.get_by_text("-").first.inner_text()
    end_kernel(alice, kernel)
    ended = banner(alice, "kernel_ended")
    expect(ended.get_by_role("status")).to_contain_text("This app has ended.")
    ended.get_by_role("button", name="Reload the page").click()
    expect(quiet(alice)).to_have_count(1)


def test_server_gone(chromium, server, expect):
    """The server ends: it cannot be reached; in the dark as well, readable."""
    alice = app_of(chromium, server, "alice")
    server.process.terminate()
    away = banner(alice, "unreachable")
    expect(away).to_be_visible()
    expect(away).to_have_attribute("aria-label", "Anmeldung")
    alice.evaluate("document.body.style.background = '#111'")
    expect(away).to_have_attribute("data-theme", "dark")
    assert min(alice.evaluate(CONTRASTS)) >= 4.5
