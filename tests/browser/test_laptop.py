"""``jupyter lab`` on a laptop: one person, a token, and a name that Jupyter has made up."""

from __future__ import annotations

import json
import re

import pytest
from browsing import Desk, jupyter_lab, notebook_text

pytestmark = pytest.mark.browser

TOKEN = "a-token"
HEX = re.compile(r"[0-9a-f]{32}")
_CHECK = "jupyterapp.commands.execute('jupyter-session-user:check-login')"
_LABELS = """() => jupyterapp.commands.listCommands()
    .filter(id => id.startsWith('jupyter-session-user:') && jupyterapp.commands.isVisible(id))
    .map(id => jupyterapp.commands.label(id))"""


def laptop(config):
    """Run JupyterLab as it comes: with a token, and without a login form for people."""
    files = {"work.ipynb": notebook_text("1 + 1")}
    return jupyter_lab(config, f"--IdentityProvider.token={TOKEN}", people=False, files=files)


def desk_at(chromium, server) -> Desk:
    """Open the address that Jupyter prints, in a browser of somebody's own."""
    page = chromium.new_context().new_page()
    page.goto(f"{server.url}lab?reset&token={TOKEN}")
    page.wait_for_function("window.jupyterapp?.restored")
    page.evaluate("jupyterapp.restored")
    page.evaluate(_CHECK)
    return Desk("nobody", page)


def test_one_person_sees_no_chip_two_people_do(chromium, expect, tmp_path):
    """A made-up name is shown from the moment there is another user, and never its digits.

    What cannot work is not offered: other browsers and agents of this login are unknown.
    """
    with laptop(tmp_path) as server:
        one = desk_at(chromium, server)
        one.open("work.ipynb")
        one.run(0)
        one.page.evaluate(_CHECK)
        expect(one.chip).to_be_hidden()
        labels = one.page.evaluate(_LABELS)
        assert "Show Who Is Logged In" in labels
        assert not {"Log Out Everywhere…", "Agents…"} & set(labels)
        other = desk_at(chromium, server)
        one.page.evaluate(_CHECK)
        names = set()
        for desk in (one, other):
            expect(desk.chip).to_have_accessible_name(re.compile("^Logged in as Anonymous "))
            names.add(desk.chip.get_attribute("aria-label"))
            assert not HEX.search(desk.chip.get_attribute("title"))
            assert "erified" not in desk.chip.get_attribute("title")
            desk.show_details()
            expect(desk.dialog).to_contain_text("Jupyter made one up")
            text = desk.dialog.inner_text()
            assert not HEX.search(text) and "erified" not in text
            desk.page.keyboard.press("Escape")
        assert len(names) == 2


def test_a_setting_shows_it(chromium, expect, tmp_path):
    """With ``showChip`` "always", one person sees the made-up name, too."""
    settings = tmp_path / "lab" / "user-settings" / "jupyter-session-user"
    settings.mkdir(parents=True)
    (settings / "plugin.jupyterlab-settings").write_text(json.dumps({"showChip": "always"}))
    with laptop(tmp_path) as server:
        desk = desk_at(chromium, server)
        expect(desk.chip).to_have_accessible_name(re.compile("^Logged in as Anonymous "))
