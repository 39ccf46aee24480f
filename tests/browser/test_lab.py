"""Two people with a browser each, in JupyterLab, on one kernel."""

from __future__ import annotations

import pytest
from browsing import CONTRAST_OF, FULL_NAMES, Desk, together

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def desks(chromium, lab):
    """Return alice and bob in front of JupyterLab."""
    return [Desk.of(chromium.new_context(), lab, name) for name in FULL_NAMES]


def test_cells_and_chip_show_who_is_at_the_browser(desks, expect):
    """On one kernel, everybody's cell shows the own name, alone and in turns; so does the chip."""
    kernels = {desk.open("cells.ipynb") for desk in desks}
    assert len(kernels) == 1
    for cell in (0, 1, 0, 1):
        together(desks, cell)
        for desk in desks:
            expect(desk.output(cell)).to_contain_text(desk.full_name)
            expect(desk.output(cell)).not_to_contain_text(desk.somebody_else)
    for desk in desks:
        desk.run(2)
        expect(desk.output(2)).to_have_text(desk.name)
        expect(desk.chip).to_have_accessible_name(f"Logged in as {desk.full_name}")


def test_a_callback_sees_who_clicked(desks, expect):
    """Both see one widget: its callback names whoever clicked, not who made or showed it."""
    alice, bob = desks
    assert alice.open("widget.ipynb") == bob.open("widget.ipynb")
    alice.run(0, 1)
    bob.run(1)
    told = "nobody yet"
    for desk in (bob, alice, alice, bob):
        desk.output(1).get_by_role("button", name="Who am I?").click()
        told += f" > {desk.name}"
        for watcher in desks:
            expect(watcher.output(1).locator(".widget-label")).to_have_text(told)


def test_the_initials_in_a_cell_can_be_read(desks):
    """The initials in a cell's output have WCAG's contrast."""
    for desk in desks:
        desk.open("cells.ipynb")
        desk.run(0)
        letters = "".join(word[0] for word in desk.full_name.split())
        initials = desk.output(0).get_by_text(letters, exact=True)
        assert initials.evaluate(CONTRAST_OF) >= 4.5, desk.name


def test_the_example_keeps_its_promises(desks, expect):
    """Every cell of examples/whoami.ipynb shows each of them what the text above it says."""
    assert len({desk.open("whoami.ipynb") for desk in desks}) == 1
    for cell in (1, 3, 7, 9, 11):
        together(desks, cell)
    for desk in desks:
        for cell in (1, 3):
            expect(desk.output(cell)).to_contain_text(desk.full_name)
        desk.run(5)
        expect(desk.output(5)).to_contain_text("Nobody has clicked yet.")
        desk.output(5).get_by_role("button", name="Who am I?").click()
        expect(desk.output(5)).to_contain_text(f"{desk.full_name} clicked.")
        expect(desk.output(7)).to_contain_text("bare:  nobody knows")
        expect(desk.output(7)).to_contain_text(f"bound: {desk.full_name}")
        booked = desk.output(9).get_by_text(f"{desk.full_name} booked 100")
        expect(booked).to_have_count(1 if desk.name == "alice" else 0)
        for cell in (1, 3, 5, 7, 9, 11):
            expect(desk.output(cell)).not_to_contain_text(desk.somebody_else)
            expect(desk.output(cell)).not_to_contain_text("Traceback")


def test_the_example_has_a_button_for_each(desks, expect):
    """Both run the cell with the button, then both click: each button names its own person."""
    for desk in desks:
        desk.open("whoami.ipynb")
        desk.run(1, 5)
    for desk in desks:
        desk.output(5).get_by_role("button", name="Who am I?").click()
        expect(desk.output(5)).to_contain_text(f"{desk.full_name} clicked.", timeout=3_000)


def test_the_demo_login_refuses_a_wrong_password(chromium, lab, expect):
    """The form says that the password is wrong, and lets nobody in."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(lab.url + "lab")
    page.get_by_label("Who are you?").fill("alice")
    page.get_by_label("Password").fill("bob's password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    assert page.request.get(lab.url + "api/session-user/me").status == 403
    context.close()
