"""With jupyter-collaboration: one menu of the user, and one colour for each person."""

from __future__ import annotations

import pytest
from browsing import FULL_NAMES, Desk, jupyter_lab, notebook_text
from login_over_pages import log_in_again, look, lose_cookie

# It changes every JupyterLab of its environment: see make test-collaboration.
pytest.importorskip("jupyter_server_ydoc")
pytestmark = pytest.mark.browser

CARD = notebook_text("from jupyter_session_user import get_current_user; get_current_user()")
ENTRIES = ("Logged in as {}…", "Agents…", "Log In Again", "Log Out", "Log Out Everywhere…")
_CURSOR = "jupyterapp.serviceManager.user.identity.color"
_PAINTED = "node => getComputedStyle(node).backgroundColor"
_RGB = """color => {
    const node = Object.assign(document.createElement('i'), {style: `background-color: ${color}`});
    document.body.append(node);
    return getComputedStyle(node).backgroundColor;
}"""


@pytest.fixture(scope="module")
def desks(_everything, chromium, tmp_path_factory):
    """Return alice and bob in front of one shared notebook."""
    config = tmp_path_factory.mktemp("shared")
    with jupyter_lab(config, collaboration=True, files={"card.ipynb": CARD}) as server:
        desks = [Desk.of(chromium.new_context(), server, name) for name in FULL_NAMES]
        for desk in desks:
            desk.open("card.ipynb")
        yield desks


def users_menu(desk):
    """Return the menu bar of jupyter-collaboration."""
    return desk.page.locator("#jp-UserMenu")


def test_one_menu_with_ours_inside(desks, expect):
    """The chip leaves its place to the other menu, which has our entries once."""
    for desk in desks:
        expect(users_menu(desk)).to_be_visible()
        expect(desk.chip).to_be_hidden()
        users_menu(desk).get_by_role("menuitem").click()
        for entry in ENTRIES:
            named = desk.menu.get_by_role("menuitem", name=entry.format(desk.full_name), exact=True)
            expect(named).to_have_count(1)
        desk.page.keyboard.press("Escape")


def test_one_colour_for_each_person(desks):
    """The card in a cell, the cursor in the document and the menu have it; two people have two."""
    colors = []
    for desk in desks:
        desk.run(0)
        letters = "".join(word[0] for word in desk.full_name.split())
        badge = desk.output(0).get_by_text(letters, exact=True)
        colors.append(badge.evaluate(_PAINTED))
        assert desk.page.evaluate(_RGB, desk.page.evaluate(_CURSOR)) == colors[-1]
        icon = users_menu(desk).locator(".jp-MenuBar-anonymousIcon")
        assert icon.evaluate(_PAINTED) == colors[-1]
    assert len(set(colors)) == 2


def test_the_end_of_a_login_is_for_the_chip_to_show(desks, expect):
    """Where a login is over, the chip appears, and leaves after a new login; bob's stays hidden."""
    alice, bob = desks
    lose_cookie(alice.page.context)
    look(alice)
    expect(alice.chip).to_have_text("!Login expired")
    log_in_again(alice)
    expect(alice.chip).to_be_hidden()
    expect(bob.chip).to_be_hidden()
