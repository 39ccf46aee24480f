"""A service needs consent: the banner of the visitor's own preview says so."""

from __future__ import annotations

import pytest
from banners import banner
from browsing import log_in
from exchange_server import entry, token_server
from previews import EXTENSION, RENDER

pytestmark = pytest.mark.browser

APP = """
import panel as pn
import jupyter_session_user as j
pn.extension()
said = pn.pane.Str("")
button = pn.widgets.Button(name="Ask")

def ask(event):
    try:
        said.object = f"got {j.get_access_token('trino')[:0]}"
    except j.SessionUserError as error:
        said.object = error.code

button.on_click(ask)
pn.Column("# An app", button, said).servable()
"""
OWN = APP + "from jupyter_session_user import SessionBanner\nSessionBanner.panel().servable()\n"
LINK = "https://login.example.org/consent"


@pytest.fixture(scope="module")
def server(panel_installed, running_provider):
    """Run a server with previews, and a service at a provider."""
    entries = {"trino": entry(running_provider, login_url=LINK)}
    options = {"extensions": (EXTENSION,), "files": {"app.py": APP, "own.py": OWN}}
    with token_server(running_provider, entries=entries, **options) as running:
        yield running


@pytest.mark.parametrize("app", ["app.py", "own.py"])
def test_two_visitors(chromium, server, provider, expect, app):
    """Alice's page says it once, also with a banner of the app's own; bob's says nothing."""
    contexts = [chromium.new_context() for _ in range(2)]
    try:
        alice, bob = (
            log_in(each, server, name, RENDER + app)
            for each, name in zip(contexts, ("alice", "bob"), strict=True)
        )
        provider.faults(error="consent_required", only=["alice"])
        for page, answer in ((alice, "consent_required"), (bob, "got")):
            page.get_by_role("button", name="Ask").click()
            expect(page.get_by_text(answer)).to_be_visible()
        note = banner(alice, "consent")
        expect(note).to_have_count(1)
        expect(note.locator(".jsu-text")).to_have_text("The service “trino” needs your consent.")
        expect(note.get_by_role("link", name="Give consent")).to_have_attribute("href", LINK)
        provider.faults()
        alice.get_by_role("button", name="Ask").click()
        expect(note).to_have_count(0)
        expect(banner(bob, "consent")).to_have_count(0)
    finally:
        for context in contexts:
            context.close()
