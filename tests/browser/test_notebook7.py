"""Two people in Notebook 7, on one kernel."""

from __future__ import annotations

import pytest
from browsing import FULL_NAMES, Desk, together

pytestmark = pytest.mark.browser


def test_cells_and_chip_show_who_is_at_the_browser(chromium, lab, expect):
    """Notebook 7 has the chip too, and everybody's cell on one kernel shows the own name."""
    desks = [
        Desk.of(chromium.new_context(), lab, name, "notebooks/cells.ipynb?reset")
        for name in FULL_NAMES
    ]
    assert len({desk.kernel() for desk in desks}) == 1
    for cell in (0, 1):
        together(desks, cell)
        for desk in desks:
            expect(desk.output(cell)).to_contain_text(desk.full_name)
            expect(desk.output(cell)).not_to_contain_text(desk.somebody_else)
    for desk in desks:
        expect(desk.chip).to_have_accessible_name(f"Logged in as {desk.full_name}")
        expect(desk.chip).to_contain_text(desk.full_name)


def test_a_narrow_window_says_who_it_is(chromium, lab, expect):
    """At 400 px Notebook 7 hides its top bar: the picture is in the menu bar, with its menu."""
    for name, full_name in FULL_NAMES.items():
        context = chromium.new_context(viewport={"width": 400, "height": 720})
        desk = Desk.of(context, lab, name, "notebooks/cells.ipynb?reset")
        expect(desk.chip).to_have_count(1)
        expect(desk.chip).to_be_in_viewport(ratio=1)
        expect(desk.chip).to_have_accessible_name(f"Logged in as {full_name}")
        desk.chip.click()
        expect(desk.menu).to_be_in_viewport(ratio=1)
        entry = desk.menu.get_by_role("menuitem", name=f"Logged in as {full_name}")
        expect(entry).to_be_visible()
        desk.page.keyboard.press("Escape")
        desk.page.set_viewport_size({"width": 1280, "height": 720})
        expect(desk.chip).to_have_count(1)
        expect(desk.chip).to_contain_text(full_name)
