"""A service needs consent: the banner of the visitor's own page says so, with a link."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from banners import AXE, CONTRASTS, axe_violations, banner, fill_form, need_page_banner, quiet
from browsing import log_in, notebook_text
from exchange_server import entry, token_server

pytestmark = pytest.mark.browser

CELL = """
import ipywidgets as widgets
import jupyter_session_user as j
from jupyter_session_user.kernel import access_tokens

said = widgets.Label("")

def button(service):
    made = widgets.Button(description=f"Ask {service}")
    @made.on_click
    def _(_):
        access_tokens._kept.clear()
        try:
            said.value = f"{service}: got {j.get_access_token(service)[:0]}"
        except j.SessionUserError as error:
            said.value = f"{service}: {error.code}"
    return made

widgets.VBox([button("trino"), button("mail"), said])
"""
PAGE = "voila/render/page.ipynb"
NEEDS = "The service “{}” needs your consent."


@pytest.fixture(scope="module", autouse=True)
def _extension(need):
    need_page_banner(need)


@pytest.fixture(scope="module")
def server(running_provider):
    """Run Voila as server extension, with services at a provider."""
    page = f"{running_provider.url}/.well-known/openid-configuration"
    entries = {
        "trino": entry(running_provider, login_url=page),
        "mail": entry(running_provider),
    }
    options = {
        "extensions": ("voila.server_extension",),
        "files": {"page.ipynb": notebook_text(CELL)},
    }
    with token_server(running_provider, entries=entries, **options) as running:
        yield running


@contextlib.contextmanager
def pages(browser, server):
    """Open the page for alice and bob, each in a browser of their own."""
    contexts = [browser.new_context() for _ in range(2)]
    try:
        opened = [
            log_in(each, server, n, PAGE)
            for each, n in zip(contexts, ("alice", "bob"), strict=True)
        ]
        for page in opened:
            page.get_by_role("button", name="Ask trino").wait_for()
        yield opened
    finally:
        for context in contexts:
            context.close()


def ask(page, service):
    """Click the button of a service."""
    page.get_by_role("button", name=f"Ask {service}").click()


def test_two_visitors(chromium, server, provider, expect, need):
    """Alice has to agree to two services; bob gets his tokens, and his page shows nothing.

    A click opens the provider's page in a new tab without an opener. What she has hidden stays
    hidden. Each note goes when she has the token.
    """
    with pages(chromium, server) as (alice, bob):
        provider.faults(error="consent_required", only=["alice"])
        ask(bob, "trino")
        expect(bob.get_by_text("trino: got")).to_be_visible()
        for service in ("trino", "trino", "mail"):
            ask(alice, service)
            expect(alice.get_by_text(f"{service}: consent_required")).to_be_visible()
        notes = banner(alice, "consent")
        expect(notes).to_have_count(2)
        expect(notes.locator(".jsu-text")).to_have_text(
            [NEEDS.format(s) for s in ("trino", "mail")]
        )
        link = notes.nth(0).get_by_role("link", name="Give consent")
        link.focus()
        with alice.context.expect_page() as opened:
            alice.keyboard.press("Enter")
        opened.value.wait_for_url(f"{provider.url}/**")
        assert opened.value.evaluate("window.opener") is None
        opened.value.close()
        need(AXE.exists(), f"axe-core is missing: {AXE}")
        check_look(alice)
        notes.nth(1).get_by_role("button", name="Hide").press("Enter")
        expect(notes).to_have_count(1)
        ask(alice, "mail")
        expect(alice.get_by_text("mail: consent_required")).to_be_visible()
        expect(notes).to_have_count(1)
        provider.faults()
        ask(alice, "trino")
        expect(alice.get_by_text("trino: got")).to_be_visible()
        expect(notes).to_have_count(0)
        expect(banner(bob, "consent")).to_have_count(0)
        for page in (alice, bob):
            expect(quiet(page)).to_have_count(1)


def test_the_login_page_of_the_server(chromium, server, provider, expect):
    """Where the server's own login renews the tokens, the link leads there, and back.

    The page reconnects to its kernel with the new login, and the note is gone.
    """
    with pages(chromium, server) as (alice, bob):
        provider.faults(error="login_required", only=["bob"])
        ask(bob, "mail")
        note = banner(bob, "consent")
        expect(note).to_contain_text(NEEDS.format("mail"))
        with bob.context.expect_page() as opened:
            note.get_by_role("link", name="Log in again").click()
        fill_form(opened.value, "bob")
        expect(note).to_have_count(0)
        provider.faults()
        ask(bob, "mail")
        expect(bob.get_by_text("mail: got")).to_be_visible()
        expect(banner(alice, "consent")).to_have_count(0)


def check_look(page):
    """Compare contrasts in light and dark, wide and narrow; save pictures on demand."""
    folder = os.environ.get("SCREENSHOTS")
    for scheme, color in (("light", "white"), ("dark", "#111111")):
        page.evaluate("color => { document.body.style.backgroundColor = color; }", color)
        page.locator(f".jsu-banner[data-state=consent][data-theme={scheme}]").first.wait_for()
        for width in (1280, 400):
            page.set_viewport_size({"width": width, "height": 700})
            assert min(page.evaluate(CONTRASTS)) >= 4.5
            assert axe_violations(page) == []
            wide = "() => document.querySelector('.jsu-page').scrollWidth"
            assert page.evaluate(wide) <= width
            if folder:
                Path(folder).mkdir(parents=True, exist_ok=True)
                page.screenshot(path=Path(folder, f"voila-consent-{scheme}-{width}.png"))
    page.set_viewport_size({"width": 1280, "height": 700})
