"""The banner on the pages of Panel's previews, for apps that do not know this package."""

from __future__ import annotations

import pytest
import servers
from banners import AXE, axe_violations, banner, end_kernel, quiet, sign_in, sign_out
from browsing import log_in
from previews import EXTENSION, RENDER

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("pages_closed")]

APP = """
import os
import panel as pn
from ipykernel import get_connection_file
pn.extension()
pn.Column(
    "# An app",
    os.path.basename(get_connection_file())[len("kernel-"):-len(".json")],
).servable()
"""
#: The same with a banner of its own.
OWN = APP + "from jupyter_session_user import SessionBanner\nSessionBanner.panel().servable()\n"
RELOAD = "Reload the page"


def previews_on(*arguments):
    """Run a server with previews, ours, and a login form for alice and bob."""
    return servers.own_server(
        *servers.DEMO,
        *arguments,
        extensions=(servers.EXTENSION, EXTENSION),
        files={"app.py": APP, "own.py": OWN},
    )


@pytest.fixture(scope="module")
def server(panel_installed):
    """Run a server for the tests that leave it up: each of them begins with new logins."""
    with previews_on() as running:
        yield running


def app_of(chromium, server, name, file="app.py"):
    """Open the preview in a user's own browser."""
    page = log_in(chromium.new_context(), server, name, RENDER + file)
    page.get_by_role("heading", name="An app").wait_for()
    return page


def test_logged_out_and_another_user(chromium, server, expect, need):
    """Alice's page says that she is logged out, and then whose page it is; bob's says nothing."""
    need(AXE.exists(), f"axe-core is missing: {AXE}")
    alice, bob = (app_of(chromium, server, name) for name in ("alice", "bob"))
    for page in (alice, bob):
        expect(quiet(page)).to_have_count(1)
    sign_out(alice.context, server)
    over = banner(alice, "signed_out")
    expect(over.get_by_role("status")).to_contain_text("You are logged out.")
    expect(over.get_by_role("button")).to_have_text([RELOAD])
    for width in (1280, 400):
        alice.set_viewport_size({"width": width, "height": 700})
        assert axe_violations(alice) == []
    expect(quiet(bob)).to_have_count(1)
    sign_in(alice.context, server, "bob")
    changed = banner(alice, "user_changed")
    expect(changed.get_by_role("status")).to_contain_text("This page belongs to Alice Adams.")
    changed.get_by_role("button", name=RELOAD).click()
    expect(quiet(alice)).to_have_count(1)


def test_kernel_ended(chromium, server, expect):
    """The page knows its kernel: the app has ended, and a reload starts another one."""
    alice, bob = (app_of(chromium, server, name) for name in ("alice", "bob"))
    end_kernel(alice, alice.get_by_text("-").first.inner_text())
    ended = banner(alice, "kernel_ended")
    expect(ended.get_by_role("status")).to_contain_text("This app has ended.")
    expect(quiet(bob)).to_have_count(1)
    ended.get_by_role("button", name=RELOAD).click()
    expect(quiet(alice)).to_have_count(1)


def test_an_app_with_a_banner_of_its_own_shows_one(chromium, server, expect):
    """The page's banner speaks; the component stays hidden."""
    alice = app_of(chromium, server, "alice", "own.py")
    expect(quiet(alice)).to_have_count(2)
    sign_out(alice.context, server)
    expect(banner(alice, "signed_out")).to_have_count(1)
    expect(quiet(alice)).to_have_count(1)


def test_switched_off(chromium, panel_installed, expect):
    """Without the setting, the page is as the kernel made it."""
    with previews_on("--JupyterSessionUser.page_banner=False") as server:
        alice = app_of(chromium, server, "alice")
        sign_out(alice.context, server)
        alice.wait_for_timeout(3000)
        expect(alice.locator(".jsu-banner")).to_have_count(0)
        expect(alice.locator("script[src*=preview_banner]")).to_have_count(0)
