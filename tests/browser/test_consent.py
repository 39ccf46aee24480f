"""A service needs consent: JupyterLab and Notebook 7 say so to the person who asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from banners import AXE, fill_form
from browsing import Desk, jupyter_lab, notebook_text
from exchange_server import OIDC, configured, entry, exchange_env
from login_over_pages import violations

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("pages_closed")]

ASK = """
import jupyter_session_user as j
from jupyter_session_user.kernel import access_tokens
access_tokens._kept.clear()
try:
    print("got", j.get_access_token("{}")[:3])
except j.SessionUserError as error:
    print(error.code)
"""
CELLS = (ASK.format("trino"), ASK.format("mail"))
APPS = {"lab": "lab?reset", "notebook 7": "notebooks/{file}?reset"}
NOTE = "The service “{}” needs your consent."


@pytest.fixture(scope="module")
def office(_everything, running_provider, tmp_path_factory):
    """Run a JupyterLab whose services are at a provider."""
    config = tmp_path_factory.mktemp("lab")
    # Any page that tells whether its opener is known.
    page = f"{running_provider.url}/.well-known/openid-configuration"
    entries = {
        "trino": entry(running_provider, shared_kernels=True, login_url=page),
        "mail": entry(running_provider, shared_kernels=True),
    }
    for name, text in configured(entries).items():
        (config / name).write_text(text, "utf-8")
    files = {f"work{n}.ipynb": notebook_text(*CELLS) for n in range(len(APPS))}
    env = exchange_env(running_provider)
    with jupyter_lab(config, *OIDC, people=False, env=env, files=files) as running:
        yield running


def at_work(chromium, server, name, app, file) -> Desk:
    """Return a person with the notebook open."""
    desk = Desk.of(chromium.new_context(), server, name, APPS[app].format(file=file))
    desk.open(file) if app == "lab" else desk.kernel()
    return desk


def notice(desk, service):
    """Return the notification about a service."""
    return desk.page.locator(".Toastify__toast").filter(has_text=NOTE.format(service))


@pytest.mark.parametrize("app", APPS)
def test_two_people_on_one_kernel(chromium, office, provider, expect, need, app):
    """Alice has to agree: her page says so within a second or two, and bob's does not.

    The button opens the provider's page in a new tab without an opener. The notice is there once,
    whatever the number of cells that ask, and goes when there is a token.
    """
    file = f"work{[*APPS].index(app)}.ipynb"
    alice, bob = (at_work(chromium, office, name, app, file) for name in ("alice", "bob"))
    provider.faults(error="consent_required", only=["alice"])
    bob.run(0)
    expect(bob.output(0)).to_contain_text("got")
    alice.run(0, 0)
    expect(alice.output(0)).to_contain_text("consent_required")
    shown = notice(alice, "trino")
    expect(shown).to_have_count(1, timeout=5000)
    picture(alice, f"consent-{app.replace(' ', '-')}")
    button = shown.get_by_role("button", name="Give consent")
    button.focus()
    with alice.page.context.expect_page() as opened:
        alice.page.keyboard.press("Enter")
    tab = opened.value
    tab.wait_for_url(f"{provider.url}/**")
    assert tab.evaluate("window.opener") is None
    tab.close()
    expect(shown).to_have_count(1)
    for scheme in ("dark", "light"):
        alice.choose_theme(scheme)
        need(AXE.exists(), f"axe-core is missing: {AXE}")
        assert violations(alice, ".Toastify__toast") == []
    bob.run(0)
    expect(bob.output(0)).to_contain_text("got")
    expect(shown).to_have_count(1)
    provider.faults()
    alice.run(0)
    expect(alice.output(0)).to_contain_text("got")
    expect(shown).to_have_count(0, timeout=5000)
    expect(notice(bob, "trino")).to_have_count(0)


def test_closed_and_the_login_page(chromium, office, provider, expect):
    """A notice that bob has closed does not come back; his login page heals the other."""
    bob, alice = (at_work(chromium, office, n, "lab", "work0.ipynb") for n in ("bob", "alice"))
    provider.faults(error="login_required", only=["bob"])
    bob.run(0, 1)
    first, second = (notice(bob, service) for service in ("trino", "mail"))
    expect(first).to_have_count(1, timeout=5000)
    expect(second).to_have_count(1, timeout=5000)
    first.locator(".jp-Notification-Toast-Close").click()
    expect(first).to_have_count(0)
    bob.run(0, 1)
    with bob.page.context.expect_page() as opened:
        second.get_by_role("button", name="Log in again").click()
    tab = opened.value
    expect(first).to_have_count(0)
    expect(second).to_have_count(1)
    fill_form(tab, "bob")
    expect(second).to_have_count(0, timeout=5000)
    for desk in (alice, bob):
        expect(desk.page.locator(".Toastify__toast").filter(has_text="consent")).to_have_count(0)


def picture(desk, name):
    """Save what the page looks like, on demand."""
    if os.environ.get("SCREENSHOTS"):
        Path(os.environ["SCREENSHOTS"]).mkdir(parents=True, exist_ok=True)
        for scheme in ("dark", "light"):
            desk.choose_theme(scheme)
            desk.page.screenshot(path=Path(os.environ["SCREENSHOTS"], f"{name}-{scheme}.png"))
        desk.page.set_viewport_size({"width": 400, "height": 700})
        desk.page.screenshot(path=Path(os.environ["SCREENSHOTS"], f"{name}-narrow.png"))
        desk.page.set_viewport_size({"width": 1280, "height": 720})
