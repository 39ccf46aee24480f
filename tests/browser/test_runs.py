"""Who ran each cell, beside the cells: two people and an agent on one notebook's kernel."""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import Any

import pytest
from badges import (
    ALICE,
    BOB,
    CELLS,
    KEPT,
    WRITE,
    agent_acts,
    badge,
    picture,
    says,
)
from browsing import CONTRAST_OF, Desk, jupyter_lab, notebook_text
from forged_runs import FORGE
from login_over_pages import AXE, violations

pytestmark = pytest.mark.browser

#: WCAG 2.2 AA for text.
CONTRAST = 4.5
#: Whether the badge is over the code, the output or the execution count of its cell.
COVERS = """node => {
    const box = node.getBoundingClientRect();
    const text = [...node.parentElement.querySelectorAll(
        '.jp-InputArea-editor, .jp-OutputArea-child, .jp-InputPrompt')];
    return text.some(other => {
        const range = document.createRange();
        range.selectNodeContents(other);
        const {top, bottom, left, right} = other.matches('.jp-InputPrompt')
            ? range.getBoundingClientRect() : other.getBoundingClientRect();
        return left < box.right && right > box.left && top < box.bottom && bottom > box.top;
    });
}"""
KEEP = """value => jupyterapp.serviceManager.settings.save(
    'jupyter-session-user:plugin', JSON.stringify({keepRuns: value}))"""
CLAIM = """value => jupyterapp.shell.currentWidget.content.widgets[2].model
    .setMetadata('jupyter_session_user', value)"""


@pytest.fixture(scope="module")
def office(_everything, tmp_path_factory):
    """Run JupyterLab and Notebook 7, with a server that no other test uses."""
    files = {f"{number}.ipynb": notebook_text(*CELLS) for number in range(12)}
    with jupyter_lab(tmp_path_factory.mktemp("runs"), files=files) as running:
        yield running


@pytest.fixture(scope="module")
def paths():
    """Return the notebooks, one for each test."""
    return (f"{number}.ipynb" for number in itertools.count())


@pytest.fixture
def sit(chromium, office):
    """Return a function that opens a notebook for people, each in a browser of their own."""
    with contextlib.ExitStack() as stack:

        def at(path: str, *names: str, app: str = "lab", **options: Any) -> list[Desk]:
            made = []
            for name in names:
                context = chromium.new_context(**options)
                stack.callback(context.close)
                where = "lab?reset" if app == "lab" else f"notebooks/{path}?reset"
                desk = Desk.of(context, office, name, where)
                if app == "lab":
                    desk.open(path)
                else:
                    desk.kernel()
                made.append(desk)
            return made

        yield at


def shared(sit, office, path, app="lab", **options):
    """Let two people and an agent run cells of one notebook; return the two desks."""
    alice, bob = sit(path, "alice", "bob", app=app, **options)
    alice.run(0)
    bob.run(1)
    agent_acts(alice, office, "cell-2", "max(sales)")
    bob.run(3)
    return alice, bob


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_two_people_and_an_agent(sit, office, paths, expect, app):
    """All pages show at once who ran a cell, and a page that is opened later shows the same."""
    path = next(paths)
    alice, bob = shared(sit, office, path, app)
    (later,) = sit(path, "bob", app=app)
    for desk in (alice, bob, later):
        for index, letters, who in (
            (0, "AA", ALICE),
            (1, "BB", BOB),
            (2, "AA", f"agent “Helper” for {ALICE}"),
            (3, "BB", BOB),
        ):
            expect(badge(desk, index)).to_have_accessible_name(says(who))
            expect(badge(desk, index)).to_have_attribute("title", says(who))
            expect(badge(desk, index)).to_have_text(re.compile(rf"^{letters}\d\d:\d\d$"))
            expect(badge(desk, index).locator("svg")).to_have_count(int(index == 2))
        expect(badge(desk, 3)).to_have_accessible_name(re.compile(r", failed$"))
    alice.run(1)
    for desk in (alice, bob, later):
        expect(badge(desk, 1)).to_have_accessible_name(says(ALICE))


def test_code_in_the_kernel_names_nobody(sit, paths, expect):
    """Messages in Bob's name that Alice's cell makes the kernel send leave the cell Alice's.

    A front end that took the name from the kernel's messages would show Bob.
    """
    alice, bob = sit(next(paths), "alice", "bob")
    forge = FORGE.replace('"forged"', '"cell-0"')
    alice.page.evaluate(WRITE, forge)
    alice.run(0, 4)
    for desk in (alice, bob):
        for index in (0, 4):
            expect(badge(desk, index)).to_have_accessible_name(says(ALICE))
    bob.run(1)  # whatever the messages have set off is over when this one shows
    for desk in (alice, bob):
        expect(badge(desk, 1)).to_have_accessible_name(says(BOB))
        expect(badge(desk, 0)).to_have_accessible_name(says(ALICE))


def test_one_person_sees_no_badge(sit, paths, expect):
    """Alone there is none, and nothing is asked; a second person at the notebook brings them."""
    path = next(paths)
    (alice,) = sit(path, "alice")
    asked = []
    alice.page.on("request", lambda request: asked.append(request.url))
    alice.page.wait_for_timeout(2000)  # the kernel's first messages are answers to the server
    asked.clear()
    alice.run(0, 1)
    alice.page.wait_for_timeout(1000)
    assert [url for url in asked if "/runs" in url] == []
    expect(alice.page.locator(".jp-SessionUser-run")).to_have_count(0)
    (bob,) = sit(path, "bob")
    for desk in (alice, bob):
        expect(badge(desk, 0)).to_have_accessible_name(says(ALICE))


def test_by_keyboard(sit, office, paths, expect):
    """Tab reaches the badge of the active cell alone, Enter says it, and so does the command."""
    alice, _ = shared(sit, office, next(paths))
    expect(badge(alice, 1)).to_have_accessible_name(says(BOB))
    alice.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    expect(badge(alice, 1)).to_have_attribute("tabindex", "0")
    for index in (0, 2, 3):
        expect(badge(alice, index)).to_have_attribute("tabindex", "-1")
    badge(alice, 1).focus()
    alice.page.keyboard.press("Enter")
    toast = alice.page.locator(".Toastify__toast")
    expect(toast).to_contain_text("Run by Bob Brown (bob)")
    mode = alice.page.evaluate("jupyterapp.shell.currentWidget.content.mode")
    assert mode == "command"
    alice.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 2")
    alice.page.evaluate("jupyterapp.commands.execute('jupyter-session-user:show-who-ran')")
    expect(toast.filter(has_text="agent “Helper” for Alice Adams (alice)")).to_be_visible()


def test_what_the_file_says_is_no_more_than_that(sit, paths, expect):
    """A run is written into the file only if the setting says so, and is shown as unverified."""
    path = next(paths)
    claim = {"who": {"username": "bob", "display_name": "Bob Brown"}, "start": 1, "status": "ok"}
    (alice,) = sit(path, "alice")
    alice.page.evaluate(CLAIM, claim)
    alice.run(0)
    (bob,) = sit(path, "bob")
    for desk in (alice, bob):
        expect(badge(desk, 0)).to_have_accessible_name(says(ALICE))
        expect(badge(desk, 2)).to_have_count(0)
    assert alice.page.evaluate(KEPT, 0) is None
    try:
        alice.page.evaluate(KEEP, True)
        alice.page.reload()
        alice.page.wait_for_function("window.jupyterapp?.restored")
        alice.open(path)
        alice.page.evaluate(CLAIM, claim)
        alice.run(0)
        expect(badge(alice, 0)).to_have_accessible_name(says(ALICE))
        expect(badge(alice, 2)).to_have_accessible_name(re.compile("Bob Brown.*, not verified$"))
        kept = alice.page.evaluate(KEPT, 0)
        assert kept["who"]["username"] == "alice"
        assert set(kept["who"]) == {"username", "display_name", "agent"}
    finally:
        alice.page.evaluate(KEEP, False)


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_everybody_can_read_it(need, sit, office, paths, expect, app):
    """Contrast, size, room and axe, in both themes, also at 400 px."""
    need(AXE.exists(), "axe-core is missing: make labextension/node_modules/.yarn-state.yml")
    options = {"device_scale_factor": 2, "viewport": {"width": 1000, "height": 640}}
    alice, _ = shared(sit, office, next(paths), app, **options)
    for scheme, width in itertools.product(("light", "dark"), (1000, 400)):
        alice.choose_theme(scheme)
        alice.page.set_viewport_size({"width": width, "height": 640})
        if app == "lab":
            alice.page.evaluate("jupyterapp.shell.collapseLeft()")
        alice.page.wait_for_timeout(500)
        picture(alice, f"runs-{app}-{scheme}-{width}")
        for index in range(3):
            node = badge(alice, index)
            expect(node).to_be_in_viewport(ratio=1)
            box = node.bounding_box()
            assert box["width"] >= 24 and box["height"] >= 24  # WCAG 2.2: target size
            assert not node.evaluate(COVERS)
            assert node.evaluate("node => node.scrollWidth <= node.clientWidth")
            for part in ("runner", "time"):
                text = node.locator(f".jp-SessionUser-{part}")
                assert text.evaluate(CONTRAST_OF) >= CONTRAST, part
        assert violations(alice, ".jp-SessionUser-run") == []
