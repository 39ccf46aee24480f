"""The demo, from its page: a window for each of two users, one kernel, and a login that ends."""

from __future__ import annotations

import importlib.util
import json

import pytest
from browsing import CONTRAST_OF, PATIENCE_MS
from demo_run import demo_running

pytestmark = pytest.mark.browser

#: WCAG 2.2 AA for text.
CONTRAST = 4.5
#: The parts of the page that have text.
TEXTS = "main :is(h1, h2, p, small, strong, code, kbd, .disc, .button, button)"
#: The first cell of the notebook that has code.
WHO = "get_current_user()"

#: Whether the only kernel is idle, with this many windows.
_CONNECTED = """async (windows) => {
    const [kernel] = await (await fetch('/api/kernels')).json();
    return kernel?.connections === windows && kernel.execution_state === 'idle';
}"""
#: Milliseconds for a cell, and how often it is run: a window that reconnects may lose it.
_CELL_MS = 10_000
_TRIES = 8


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo."""
    with demo_running(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium):
    """Return one browser, with one store of cookies, for both users."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture(scope="module")
def page(browser, demo):
    """Open the demo's page."""
    page = browser.new_page()
    page.goto(demo.page)
    return page


def opened(page, name):
    """Click on a link of the page, and return the window that it opens."""
    with page.expect_popup() as window:
        page.get_by_role("link", name=name).click()
    return window.value


@pytest.fixture(scope="module")
def windows(page):
    """Open a window for each user, with the buttons of the page."""
    found = {}
    for name in ("Alice", "Bob"):
        found[name] = opened(page, f"Open {name}'s window")
        found[name].locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        # Only then is the kernel the window's, and JupyterLab does not ask for another one.
        found[name].wait_for_function(_CONNECTED, arg=len(found))
    return found


def run_cell(window):
    """Run the first cell of code, with the keyboard, and return the place of its output."""
    cell = window.locator(".jp-Notebook .jp-CodeCell").filter(has_text=WHO).first
    cell.locator(".cm-content").click()
    window.keyboard.press("Shift+Enter")
    return cell.locator(".jp-OutputArea")


def shows(window, text, expect):
    """Run the cell until its output has the text, and return the output."""
    for _ in range(_TRIES):
        output = run_cell(window)
        try:
            expect(output).to_contain_text(text, timeout=_CELL_MS)
        except AssertionError:
            continue
        return output
    raise AssertionError(f"{text!r} is not in {output.inner_text()!r}")


def kernels(window):
    """Return the ids of the server's kernels with a notebook, as the window's user sees them."""
    listed = window.evaluate("async () => await (await fetch('/api/sessions')).text()")
    return {one["kernel"]["id"] for one in json.loads(listed)}


def test_the_key_leaves_the_address(page, demo):
    """A reader over the shoulder, or a screenshot, does not get the key from the address bar."""
    assert page.url == f"{demo.url}session-user-demo"


def test_two_windows_two_names_one_kernel(windows, expect):
    """In one browser, the same cell on the same kernel shows each user their own name."""
    names = {"Alice": "Alice Adams", "Bob": "Bob Brown"}
    for name, window in windows.items():
        output = shows(window, names[name], expect)
        other = next(full for short, full in names.items() if short != name)
        expect(output).not_to_contain_text(other)
    assert len(kernels(windows["Alice"])) == 1
    assert kernels(windows["Alice"]) == kernels(windows["Bob"])


def test_a_login_ends_and_begins_again(windows, page, expect):
    """Alice's login ends when the page says so, Bob's does not; one click logs her in again."""
    alice, bob = windows["Alice"], windows["Bob"]
    page.get_by_role("button", name="End Alice's login in 30 s").click()
    expect(page.get_by_text("Alice's login ends in")).to_be_visible()
    expect(alice.locator(".jp-SessionUser-button")).to_contain_text("Login expired")
    shows(alice, "SessionExpired", expect)
    shows(bob, "Bob Brown", expect)
    notice = alice.locator(".Toastify__toast").filter(has_text="Log in again")
    with alice.expect_popup() as login:
        notice.get_by_role("button", name="Log in again").first.click()
    with login.value.expect_event("close"):
        login.value.get_by_role("button", name="Log in as Alice Adams").click()
    expect(alice.locator(".jp-SessionUser-button")).not_to_contain_text("Login expired")
    shows(alice, "Alice Adams", expect)


@pytest.mark.parametrize("host", ["voila", "panel"])
def test_dashboards(page, need, expect, host):
    """Each tile opens a page of its visitor."""
    need(importlib.util.find_spec(host), f"{host} is missing")
    tile = page.locator(".tile").filter(has_text=host.title())
    for short, full in (("Alice", "Alice Adams"), ("Bob", "Bob Brown")):
        with page.expect_popup() as window:
            tile.get_by_role("link", name=f"As {short}").click()
        expect(window.value.get_by_text(f"Hello, {full}")).to_be_visible()
        window.value.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read(page, scheme):
    """Each text of the page has WCAG's contrast, and 400 px are wide enough for the page."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 400, "height": 800})
    for text in page.locator(
        "main :is(h1, h2, p, small, strong, code, kbd, .disc, .button, button)"
    ).all():
        assert text.evaluate(CONTRAST_OF) >= CONTRAST, text.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.set_viewport_size({"width": 1200, "height": 900})


def test_another_browser_needs_the_key(chromium, demo, expect):
    """A browser that has not shown the key gets neither the page nor a button to log in."""
    page = chromium.new_context().new_page()
    for path in ("session-user-demo", "lab", "session-user-demo/as/alice?to=notebook&key=wrong"):
        page.goto(demo.url + path)
        expect(page.get_by_role("heading", name="The key is missing")).to_be_visible()
        expect(page.get_by_role("button")).to_have_count(0)
