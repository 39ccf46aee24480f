"""An administrator sees all sessions in JupyterLab and Notebook 7, and revokes logins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from browsing import Desk, jupyter_lab, notebook_text
from login_over_pages import violations

pytestmark = pytest.mark.browser

TAB = ".jp-SessionUser-sessions"
#: Pages of Notebook 7, where the list is a dialog.
NOTEBOOK_7 = ("tree?reset", "notebooks/work.ipynb?reset")


@pytest.fixture
def office(_everything, tmp_path):
    """Run JupyterLab and Notebook 7; bob is an administrator."""
    admin = "--JupyterSessionUser.admin_users=bob"
    with jupyter_lab(tmp_path, admin, files={"work.ipynb": notebook_text("1 + 1")}) as running:
        yield running


def open_tab(desk):
    """Open the tab from the menu, and return it."""
    desk.choose("All Sessions…")
    tab = desk.page.locator(TAB)
    tab.wait_for()
    return tab


def rows(tab, name):
    """Return the rows of a user."""
    return tab.get_by_role("row").filter(has=tab.page.get_by_role("rowheader", name=name))


def test_all_sessions(chromium, office, expect):
    """Bob sees alice at her notebook and her agent, live; he filters, revokes, and she is out."""
    alice, bob = (Desk.of(chromium.new_context(), office, name) for name in ("alice", "bob"))
    tab = open_tab(bob)
    expect(rows(tab, "Alice Adams (alice)")).to_have_count(1)
    expect(rows(tab, "Bob Brown (bob)").get_by_text("This page")).to_have_count(1)
    alice.open("work.ipynb")
    alice.run(0)
    hers = rows(tab, "Alice Adams (alice)").filter(has_text="work.ipynb")
    expect(hers).to_have_count(1)  # without a reload
    expect(hers).to_contain_text(", cell cell-0")
    expect(rows(tab, "Bob Brown (bob)")).not_to_contain_text(", cell")
    alice.choose("Agents…")
    alice.dialog.get_by_label("Agent name").fill("Report bot")
    alice.dialog.get_by_role("button", name="Create token").click()
    token = alice.dialog.get_by_label("Token of Report bot").input_value()
    chromium.new_context(extra_http_headers={"Authorization": f"Bearer {token}"}).request.get(
        office.url + "api/session-user/me"
    )
    expect(tab.get_by_role("cell", name="Report bot")).to_have_count(1)
    box = tab.get_by_role("searchbox", name="Filter")
    box.fill("adams work.ipynb")
    expect(tab.get_by_text("1 session", exact=True)).to_have_count(1)
    expect(rows(tab, "Bob Brown (bob)")).to_have_count(0)
    hers.get_by_role("button", name="Revoke the login of Alice Adams (alice)").press("Enter")
    bob.dialog.get_by_role("button", name="Cancel").click()
    expect(hers).to_have_count(1)
    hers.get_by_role("button", name="Revoke the login of Alice Adams (alice)").click()
    bob.dialog.get_by_role("button", name="Revoke").click()
    expect(tab.get_by_role("status")).to_have_text("The login of Alice Adams (alice) is revoked.")
    expect(rows(tab, "Alice Adams (alice)")).to_have_count(0)
    box.fill("")
    expect(rows(tab, "Bob Brown (bob)")).not_to_have_count(0)
    expect(alice.chip).to_contain_text("Login revoked")


def test_who_is_no_administrator(chromium, office, expect):
    """Alice has no such entry; bob's names leave his page when his login ends."""
    alice, bob = (Desk.of(chromium.new_context(), office, name) for name in ("alice", "bob"))
    alice.chip.click()
    expect(alice.menu.get_by_role("menuitem", name="Agents…")).to_be_visible()
    expect(alice.menu.get_by_role("menuitem", name="All Sessions…")).to_have_count(0)
    alice.page.keyboard.press("Escape")
    tab = open_tab(bob)
    expect(rows(tab, "Alice Adams (alice)")).to_have_count(1)
    bob.page.context.request.get(office.url + "logout")
    expect(bob.chip).to_contain_text("Logged out")
    expect(tab).not_to_contain_text("Alice")


@pytest.mark.parametrize("path", NOTEBOOK_7)
def test_in_notebook_7(chromium, office, expect, path):
    """By keyboard alone, bob opens the list, revokes alice's login, and closes it."""
    alice = Desk.of(chromium.new_context(), office, "alice", "notebooks/work.ipynb?reset")
    alice.kernel()
    alice.run(0)
    bob = Desk.of(chromium.new_context(), office, "bob", path)
    press = bob.page.keyboard.press
    tab = open_tab(bob)
    hers = rows(tab, "Alice Adams (alice)").filter(has_text=", cell cell-0")
    expect(hers).to_have_count(1)
    box = tab.get_by_role("searchbox", name="Filter")
    expect(box).to_be_focused()
    box.fill("work.ipynb alice")
    press("Enter")  # it must not close the dialog
    expect(rows(tab, "Alice Adams (alice)")).to_have_count(1)
    press("Tab")
    press("Tab")  # past the table, which scrolls
    expect(hers.get_by_role("button")).to_be_focused()
    press("Enter")
    expect(bob.dialog).to_contain_text("Revoke the login of Alice Adams (alice)?")
    press("Escape")
    expect(box).to_have_value("work.ipynb alice")
    expect(hers).to_have_count(1)
    hers.get_by_role("button").press("Enter")
    bob.dialog.get_by_role("button", name="Revoke", exact=True).press("Enter")
    expect(tab.get_by_role("status")).to_have_text("The login of Alice Adams (alice) is revoked.")
    expect(rows(tab, "Alice Adams (alice)")).to_have_count(0)
    expect(alice.chip).to_contain_text("Login revoked")
    press("Escape")
    expect(bob.dialog).to_have_count(0)


def test_the_dialog_closes_with_the_login(chromium, office, expect):
    """In Notebook 7 no name stays on the page when bob's login ends; alice has no such entry."""
    alice, bob = (
        Desk.of(chromium.new_context(), office, name, "tree?reset") for name in ("alice", "bob")
    )
    alice.chip.click()
    expect(alice.menu.get_by_role("menuitem", name="Agents…")).to_be_visible()
    expect(alice.menu.get_by_role("menuitem", name="All Sessions…")).to_have_count(0)
    tab = open_tab(bob)
    expect(rows(tab, "Alice Adams (alice)")).to_have_count(1)
    bob.page.context.request.get(office.url + "logout")
    expect(bob.chip).to_contain_text("Logged out")
    expect(tab).to_have_count(0)
    expect(bob.page.locator("body")).not_to_contain_text("Alice")


@pytest.mark.parametrize("app", ["lab", "notebook"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 400])
def test_it_is_readable(chromium, office, expect, scheme, width, app):
    """By axe's rules, in both themes and where there is little room; the table alone scrolls."""
    alice = Desk.of(chromium.new_context(), office, "alice")
    alice.open("work.ipynb")
    alice.run(0)
    context = chromium.new_context(viewport={"width": width, "height": 700})
    bob = Desk.of(context, office, "bob", f"{'lab' if app == 'lab' else 'tree'}?reset")
    bob.choose_theme(scheme)
    tab = open_tab(bob)
    if width == 400 and app == "lab":
        bob.page.evaluate("jupyterapp.shell.collapseLeft()")
    expect(rows(tab, "Alice Adams (alice)")).not_to_have_count(0)
    assert violations(bob, TAB if app == "lab" else ".jp-Dialog") == []
    scroll = tab.locator(".jp-SessionUser-scroll")
    assert scroll.evaluate("node => node.scrollWidth - node.clientWidth") == 0
    expect(tab.get_by_role("searchbox")).to_be_in_viewport(ratio=1)
    expect(rows(tab, "Alice Adams (alice)").first.get_by_role("button")).to_be_in_viewport(ratio=1)
    if folder := os.environ.get("SCREENSHOTS"):
        bob.page.screenshot(path=Path(folder) / f"sessions-{app}-{scheme}-{width}.png")
