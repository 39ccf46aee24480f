"""The chip in the top bar: by keyboard, in both themes, where there is little room, and absent."""

from __future__ import annotations

import pytest
from browsing import CONTRAST_OF, Desk, jupyter_lab

pytestmark = pytest.mark.browser

#: WCAG 2.2 AA for text, and how often Tab may be pressed on the way to the chip.
CONTRAST = 4.5
TABS = 40
ENTRIES = [
    "Logged in as Alice Adams…",
    "Agents…",
    "Log In Again",
    "Log Out",
    "Log Out Everywhere…",
]


@pytest.fixture(scope="module")
def alice(chromium, lab):
    """Return alice in front of an empty JupyterLab, once the launcher has taken the focus.

    It comes after ``restored``, and on JupyterLab 4.0 so late that it took the focus from the chip.
    """
    desk = Desk.of(chromium.new_context(), lab, "alice")
    desk.page.wait_for_function(
        "document.querySelector('.jp-Launcher')?.contains(document.activeElement)"
    )
    return desk


@pytest.fixture(autouse=True)
def _as_before(request):
    """Give the page its size and its theme back."""
    yield
    if "alice" in request.fixturenames:
        desk = request.getfixturevalue("alice")
        desk.page.set_viewport_size({"width": 1280, "height": 720})
        desk.choose_theme("light")


def test_the_keyboard_is_enough(alice, expect):
    """Tab reaches the chip, Enter the menu, and its first entry the details; the focus returns."""
    alice.page.evaluate("document.activeElement.blur()")
    for _ in range(TABS):
        alice.page.keyboard.press("Tab")
        if alice.chip.evaluate("node => node === document.activeElement"):
            break
    expect(alice.chip).to_be_focused()
    assert alice.chip.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    for key in ("Enter", "Space"):
        alice.page.keyboard.press(key)
        expect(alice.menu.get_by_role("menuitem")).to_have_text(ENTRIES)
        expect(alice.chip).to_have_attribute("aria-expanded", "true")
        alice.page.keyboard.press("Escape")
        expect(alice.menu).to_have_count(0)
        expect(alice.chip).to_be_focused()
        expect(alice.chip).to_have_attribute("aria-expanded", "false")
        alice.page.keyboard.press(key)
        alice.page.keyboard.press("ArrowDown")
        alice.page.keyboard.press("Enter")
        for fact in ("Alice Adams", "alice", "finance", "Verified by the server"):
            expect(alice.dialog).to_contain_text(fact)
        alice.page.keyboard.press("Escape")
        expect(alice.dialog).to_have_count(0)
        expect(alice.chip).to_be_focused()


def test_the_close_button_gives_the_focus_back(alice, expect):
    """A mouse opens and closes the details too."""
    alice.show_details()
    expect(alice.dialog).to_have_count(1)
    alice.dialog.get_by_role("button", name="Close").last.click()
    expect(alice.dialog).to_have_count(0)
    expect(alice.chip).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_theme_can_be_read(alice, expect, scheme):
    """Name, initials, and the details have WCAG's contrast in JupyterLab's own themes."""
    alice.choose_theme(scheme)
    alice.chip.click()
    for entry in alice.menu.get_by_role("menuitem").all():
        assert entry.evaluate(CONTRAST_OF) >= CONTRAST
    alice.page.keyboard.press("Escape")
    alice.show_details()
    for part in ("name", "disc", "term", "description"):
        node = alice.page.locator(f".jp-SessionUser-{part}").first
        expect(node).to_be_visible()
        assert node.evaluate(CONTRAST_OF) >= CONTRAST, part
    alice.page.keyboard.press("Escape")
    expect(alice.dialog).to_have_count(0)


@pytest.mark.parametrize("width", [640, 480, 400])
def test_a_narrow_window_keeps_the_picture(alice, expect, width):
    """The initials remain, whole and in the window; the button keeps its name and its size."""
    alice.page.set_viewport_size({"width": width, "height": 720})
    expect(alice.page.locator(".jp-SessionUser-name")).to_be_hidden()
    expect(alice.chip).to_have_accessible_name("Logged in as Alice Adams")
    # Lumino lays out after the resize, in a later frame.
    alice.page.wait_for_function(
        "width => document.querySelector('.jp-SessionUser-button')"
        ".getBoundingClientRect().right <= width",
        arg=width,
    )
    box = alice.chip.bounding_box()
    assert box["width"] >= 24 and box["height"] >= 24  # WCAG 2.2: target size


def test_the_details_fit_into_400_pixels(alice, expect):
    """A small window shows the menu and the dialog whole."""
    alice.page.set_viewport_size({"width": 400, "height": 720})
    alice.chip.press("Enter")
    expect(alice.menu).to_be_in_viewport(ratio=1)
    alice.menu.get_by_role("menuitem", name="Logged in as").click()
    expect(alice.dialog.get_by_text("Verified by the server")).to_be_in_viewport(ratio=1)
    expect(alice.dialog.get_by_role("button", name="Close").last).to_be_in_viewport(ratio=1)
    alice.page.keyboard.press("Escape")
    expect(alice.dialog).to_have_count(0)


def test_without_the_server_extension_there_is_no_chip(chromium, expect, tmp_path):
    """A server without our extension says so, and JupyterLab looks as if we were not there."""
    with jupyter_lab(tmp_path, chip=False) as plain:
        context = chromium.new_context()
        with context.expect_event(
            "response", lambda answer: answer.url.split("?")[0].endswith("api/session-user/me")
        ) as answer:
            desk = Desk.of(context, plain, "alice")
        assert answer.value.status == 404
        expect(desk.chip).to_be_hidden()
        expect(desk.page.get_by_text("session-user")).to_have_count(0)
        context.close()
