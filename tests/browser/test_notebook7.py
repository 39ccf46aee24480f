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
