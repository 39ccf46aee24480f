"""``SessionBanner.panel()`` on the pages of Panel's previews, without the banner of the page."""

from __future__ import annotations

import os
import re
import signal

import pytest
import servers
from banners import AXE, CONTRASTS, axe_violations, banner, end_kernel, quiet, sign_in, sign_out
from browsing import log_in
from previews import EXTENSION, RENDER

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("pages_closed")]

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
NEAR_END = (
    "--JupyterSessionUser.resolvers=custom",
    "--JupyterSessionUser.session_resolver=near_end.soon",
)


def previews_on(*arguments):
    """Run a server with previews, ours, and a login form for alice and bob."""
    return servers.own_server(
        *servers.DEMO,
        "--JupyterSessionUser.page_banner=False",
        *arguments,
        extensions=(servers.EXTENSION, EXTENSION),
        files={"app.py": APP},
    )


@pytest.fixture(scope="module")
def server(panel_installed):
    """Run a server for the tests that leave it up: each of them begins with new logins."""
    with previews_on() as running:
        yield running


def app_of(chromium, server, name):
    """Open the preview in a user's own browser."""
    page = log_in(chromium.new_context(), server, name, URL)
    page.get_by_role("heading", name=f"App of {name}").wait_for()
    quiet(page).wait_for(state="attached")
    return page


def test_signed_out_and_in_again(chromium, server, expect):
    """Alice's app reports the end, also in Python; bob's does not; after a login she reloads."""
    alice, bob = (app_of(chromium, server, name) for name in ("alice", "bob"))
    sign_out(alice.context, server)
    expect(banner(alice, "signed_out").get_by_role("status")).to_contain_text("You are logged out.")
    expect(alice.get_by_text("signed_out", exact=True)).to_be_visible()
    assert min(alice.evaluate(CONTRASTS)) >= 4.5
    expect(quiet(bob)).to_have_count(1)
    sign_in(alice.context, server, "alice")
    stale = banner(alice, "stale")
    expect(stale.get_by_role("status")).to_contain_text("Reload this page to go on.")
    stale.get_by_role("button", name="Reload the page").click()
    expect(quiet(alice)).to_have_count(1)
    expect(alice.get_by_role("heading", name="App of alice")).to_be_visible()


def test_login_cookie_removed(chromium, server, expect):
    """The app reports the end of the login at the first click; bob's does not."""
    alice, bob = (app_of(chromium, server, name) for name in ("alice", "bob"))
    alice.context.clear_cookies(name=re.compile("^username-"))
    alice.get_by_text("told:").click()
    over = banner(alice, "expired")
    expect(over.get_by_role("status")).to_contain_text("Your login has expired.")
    expect(quiet(bob)).to_have_count(1)
    over.get_by_role("button", name="Reload the page").click()
    expect(alice.get_by_label("Who are you?")).to_be_visible()


def test_exact_end(chromium, expect):
    """At the timeout the app reports the end by itself, also in Python; a reload asks again."""
    with previews_on("--JupyterSessionUser.absolute_timeout=45") as server:
        alice = log_in(chromium.new_context(), server, "alice", URL)
        over = banner(alice, "expired")
        expect(over.get_by_role("status")).to_contain_text("Your login has expired.")
        expect(alice.get_by_text("expiring expired")).to_be_visible()
        over.get_by_role("button", name="Reload the page").click()
        expect(alice.get_by_label("Who are you?")).to_be_visible()


def test_warning(chromium, expect):
    """Before an exact end alice sees the remaining time, and can hide it; bob has no end."""
    with previews_on(*NEAR_END) as server:
        bob = app_of(chromium, server, "bob")
        alice = log_in(chromium.new_context(), server, "alice", URL)
        warning = banner(alice, "expiring")
        expect(warning.get_by_role("status")).to_have_text(
            re.compile(r"^Your login ends in [345] min\.$")
        )
        warning.get_by_role("button", name="Hide").press("Enter")
        for page in (alice, bob):
            expect(quiet(page)).to_have_count(1)


def test_somebody_else_signs_in(chromium, server, expect):
    """Bob signs in in alice's browser: her app names its user; after a reload, it is bob's."""
    page = app_of(chromium, server, "alice")
    sign_out(page.context, server)
    banner(page, "signed_out").wait_for()
    sign_in(page.context, server, "bob")
    changed = banner(page, "user_changed")
    expect(changed.get_by_role("status")).to_contain_text("This page belongs to Alice Adams.")
    changed.get_by_role("button", name="Reload the page").click()
    expect(page.get_by_role("heading", name="App of bob")).to_be_visible()
    expect(quiet(page)).to_have_count(1)


def test_kernel_ended(chromium, server, expect):
    """The app's kernel is shut down: reload starts another one."""
    alice = app_of(chromium, server, "alice")
    kernel = alice.get_by_text("-").first.inner_text()
    end_kernel(alice, kernel)
    ended = banner(alice, "kernel_ended")
    expect(ended.get_by_role("status")).to_contain_text("This app has ended.")
    ended.get_by_role("button", name="Reload the page").click()
    expect(quiet(alice)).to_have_count(1)


def test_server_stopped_and_back(chromium, server, expect):
    """A server that does not answer cannot be reached; once it answers, the app continues."""
    alice = app_of(chromium, server, "alice")
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        expect(banner(alice, "unreachable")).to_be_visible()
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    expect(quiet(alice)).to_have_count(1)
    expect(alice.get_by_text("unreachable active")).to_be_visible()
    sign_out(alice.context, server)  # the app still receives messages
    expect(alice.get_by_text("unreachable active signed_out")).to_be_visible()


def test_server_gone(chromium, panel_installed, expect, need):
    """The server ends and cannot be reached; the banner is readable in the dark and accessible."""
    need(AXE.exists(), f"axe-core is missing: {AXE}")
    with previews_on() as server:
        alice = app_of(chromium, server, "alice")
        server.process.terminate()
        away = banner(alice, "unreachable")
        expect(away).to_be_visible()
        expect(away).to_have_attribute("aria-label", "Anmeldung")
        for width in (1280, 400):
            alice.set_viewport_size({"width": width, "height": 700})
            assert axe_violations(alice) == []
        alice.evaluate("document.body.style.background = '#111'")
        expect(away).to_have_attribute("data-theme", "dark")
        assert min(alice.evaluate(CONTRASTS)) >= 4.5
        assert axe_violations(alice) == []
