"""Pictures to look at: ``SCREENSHOTS=directory pytest tests/browser/test_screenshots.py``.

Collected with that variable only; conftest.py sees to it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from browsing import FULL_NAMES, Desk, jupyter_lab
from lab_notebooks import NOTEBOOKS
from login_over_pages import log_in_again, look, lose_cookie

pytestmark = pytest.mark.browser

SCHEMES = ("light", "dark")
WINDOW = {"width": 1280, "height": 800}
#: High enough for the whole example.
TALL = {"width": 1280, "height": 2000}


@pytest.fixture(scope="module")
def desks(chromium, lab):
    """Return alice and bob in front of JupyterLab."""
    return [Desk.of(context(chromium), lab, name) for name in FULL_NAMES]


def context(chromium, **options):
    """Return a browser whose pictures can be enlarged."""
    return chromium.new_context(**{"viewport": WINDOW, "device_scale_factor": 2, **options})


def shot(page, name):
    """Save a picture of the window."""
    directory = Path(os.environ["SCREENSHOTS"])
    directory.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=directory / f"{name}.png", animations="disabled")


def settled(desk, scheme):
    """Choose a theme, and wait until JupyterLab shows it."""
    desk.choose_theme(scheme)
    desk.page.wait_for_timeout(500)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_login(chromium, lab, scheme):
    """The demo's login page: empty, after a wrong password, in a small window."""
    page = context(chromium, color_scheme=scheme).new_page()
    page.goto(lab.url + "lab")
    shot(page, f"login-{scheme}")
    page.get_by_label("Who are you?").fill("alice")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Invalid credentials").wait_for()
    page.set_viewport_size({"width": 400, "height": 720})
    shot(page, f"login-{scheme}-400-wrong")


def test_lab(desks):
    """Both after running cells on one kernel, the details, and small windows."""
    for desk in desks:
        desk.open("people.ipynb")
        desk.run(0, 1, 2)
    for desk in desks:
        for scheme in SCHEMES:
            settled(desk, scheme)
            shot(desk.page, f"lab-{scheme}-{desk.name}")
            desk.chip.click()
            shot(desk.page, f"menu-{scheme}-{desk.name}")
            desk.page.keyboard.press("Escape")
            desk.show_details()
            desk.dialog.wait_for()
            shot(desk.page, f"details-{scheme}-{desk.name}")
            desk.page.keyboard.press("Escape")
            if desk.name == "alice":
                desk.page.locator("#jp-top-bar").screenshot(
                    path=Path(os.environ["SCREENSHOTS"], f"chip-{scheme}-focused.png")
                )
        settled(desk, "light")
    page = desks[0].page
    for width in (480, 400):
        page.set_viewport_size({"width": width, "height": 720})
        page.wait_for_timeout(300)
        shot(page, f"lab-light-{width}")
    desks[0].chip.press("Enter")
    shot(page, "menu-light-400")
    page.keyboard.press("Escape")
    desks[0].show_details()
    desks[0].dialog.wait_for()
    shot(page, "details-light-400")
    page.keyboard.press("Escape")
    page.set_viewport_size(WINDOW)


#: The picture of the start page: two windows, with a caption over each.
SIDE_BY_SIDE = """<!doctype html><style>
body {{ margin: 0; padding: 20px; background: #eef1f5; display: flex; gap: 20px; width: max-content;
    font: 600 17px system-ui, sans-serif; color: #333 }}
figure {{ margin: 0 }}
figcaption {{ padding: 0 2px 9px }}
img {{ display: block; width: {width}px; border: 1px solid #c3c9d2; border-radius: 6px }}
</style>{figures}"""


def test_two_people_one_notebook(chromium, lab, tmp_path):
    """The start page's picture: alice and bob run the same cells of the same notebook."""
    Path(lab.home, "work", "team.ipynb").write_text(NOTEBOOKS["team.ipynb"], encoding="utf-8")
    window = {"width": 660, "height": 455}
    desks = [Desk.of(context(chromium, viewport=window), lab, name) for name in FULL_NAMES]
    kernels = set()
    for desk in desks:
        settled(desk, "light")
        desk.page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
        desk.page.evaluate(
            "jupyterapp.commands.execute('application:set-mode', {mode: 'single-document'})"
        )
        kernels.add(desk.open("team.ipynb"))
    assert len(kernels) == 1
    for desk in desks:
        desk.run(0, 1, 2)
        desk.page.mouse.move(5, 450)
        desk.page.wait_for_timeout(500)
        desk.page.screenshot(path=tmp_path / f"{desk.name}.png", animations="disabled")
    figures = "".join(
        f"<figure><figcaption>{desk.full_name.split()[0]}\u2019s browser</figcaption>"
        f'<img src="{desk.name}.png"></figure>'
        for desk in desks
    )
    html = tmp_path / "both.html"
    html.write_text(SIDE_BY_SIDE.format(width=window["width"], figures=figures), encoding="utf-8")
    page = context(chromium, viewport={"width": 1500, "height": 100}).new_page()
    page.goto(html.as_uri())
    Path(os.environ["SCREENSHOTS"]).mkdir(parents=True, exist_ok=True)
    page.locator("body").screenshot(path=Path(os.environ["SCREENSHOTS"], "two-people.png"))


def test_example(desks):
    """The example notebook after both ran it, one after the other."""
    for desk, scheme in zip(desks, SCHEMES, strict=True):
        desk.page.set_viewport_size(TALL)
        settled(desk, scheme)
        desk.open("whoami.ipynb")
        desk.run(*range(12))
        desk.output(5).get_by_role("button", name="Who am I?").click()
        desk.page.get_by_text(f"{desk.full_name} clicked.").wait_for()
        shot(desk.page, f"example-{scheme}-{desk.name}")
        desk.page.set_viewport_size(WINDOW)


def test_notebook7(chromium, lab):
    """Notebook 7, both themes, and a small window."""
    for name in FULL_NAMES:
        desk = Desk.of(context(chromium), lab, name, "notebooks/people.ipynb?reset")
        desk.kernel()
        desk.run(0, 1, 2)
        for scheme in SCHEMES:
            settled(desk, scheme)
            shot(desk.page, f"notebook7-{scheme}-{name}")
    desk.page.set_viewport_size({"width": 400, "height": 720})
    desk.page.reload()
    desk.kernel()
    desk.run(0, 1, 2)
    shot(desk.page, "notebook7-dark-400")


def sizes(desk, name):
    """Save pictures of the window, and of a small one."""
    page = desk.page
    shot(page, name)
    page.set_viewport_size({"width": 400, "height": 720})
    page.wait_for_timeout(700)
    shot(page, f"{name}-400")
    page.set_viewport_size(WINDOW)
    page.wait_for_timeout(500)


def told(page, text):
    """Wait for a notification."""
    page.locator(".Toastify__toast", has_text=text).wait_for()
    page.wait_for_timeout(1000)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_login_over(chromium, lab, scheme):
    """Expired, logged in again; signed out, and somebody else comes; the details."""
    browser = context(chromium, viewport={"width": 1000, "height": 640})
    desk = Desk.of(browser, lab, "alice")
    settled(desk, scheme)  # it is kept on the server, and so chosen in time
    desk.open("people.ipynb")
    desk.run(0)
    desk.show_details()
    desk.page.locator(".jp-SessionUser-kernel").first.wait_for()
    sizes(desk, f"over-details-{scheme}")
    desk.page.keyboard.press("Escape")
    lose_cookie(browser)
    look(desk)
    told(desk.page, "has expired")
    sizes(desk, f"over-expired-{scheme}")
    log_in_again(desk)
    told(desk.page, "Logged in again")
    shot(desk.page, f"over-healed-{scheme}")
    browser.new_page().goto(lab.url + "logout")
    desk.page.bring_to_front()
    look(desk)
    told(desk.page, "are logged out")
    desk.run(1)
    sizes(desk, f"over-signed-out-{scheme}")
    log_in_again(desk, "bob")
    told(desk.page, "You are Bob Brown")
    sizes(desk, f"over-user-changed-{scheme}")
    desk.choose("Log Out Everywhere")
    desk.page.get_by_text("in every browser").wait_for()
    sizes(desk, f"over-everywhere-{scheme}")
    desk.dialog.get_by_role("button", name="Log out everywhere").click()
    told(desk.page, "was revoked")
    sizes(desk, f"over-revoked-{scheme}")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_login_ends(chromium, tmp_path, scheme):
    """The warning, the window that opens from it, and a server that cannot be reached."""
    with jupyter_lab(
        tmp_path, "--JupyterSessionUser.absolute_timeout=200", files=NOTEBOOKS
    ) as server:
        desk = Desk.of(context(chromium), server, "alice")
        settled(desk, scheme)
        desk.open("people.ipynb")
        desk.run(0)
        told(desk.page, "Your login ends in")
        sizes(desk, f"over-warning-{scheme}")
        with desk.page.expect_popup() as opened:
            desk.page.get_by_role("button", name="Log in again").click()
        opened.value.emulate_media(color_scheme=scheme)
        shot(opened.value, f"over-window-{scheme}")
        opened.value.close()
    look(desk)
    desk.page.locator("[data-state=unreachable]").wait_for()
    sizes(desk, f"over-unreachable-{scheme}")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_login_over_notebook7(chromium, lab, scheme):
    """Notebook 7 says the same."""
    browser = context(chromium)
    desk = Desk.of(browser, lab, "alice", "notebooks/people.ipynb?reset")
    desk.kernel()
    settled(desk, scheme)
    lose_cookie(browser)
    look(desk)
    told(desk.page, "has expired")
    sizes(desk, f"over-notebook7-{scheme}")
