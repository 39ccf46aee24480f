"""A login gets over while people work: they see it, log in again beside it, and lose nothing."""

from __future__ import annotations

import json
import re

import pytest
import servers
from browsing import Desk, jupyter_lab, log_in, notebook_text
from login_over_pages import (
    AXE,
    log_in_again,
    look,
    lose_cookie,
    sign_in,
    violations,
)

pytestmark = pytest.mark.browser

WORK = notebook_text(
    "precious = ['made before the end']\nprint(precious)",
    "import ipywidgets as widgets\n"
    "told = widgets.Label('nothing yet')\n"
    "def on_click(_):\n"
    "    told.value = f'{precious[0]}, clicked after it'\n"
    "button = widgets.Button(description='Click')\n"
    "button.on_click(on_click)\n"
    "widgets.VBox([button, told])",
    "from jupyter_session_user import get_current_user\n"
    "print(precious, get_current_user().username)",
)
EDIT = "# written while nobody was logged in\n"

APPS = {"lab": "lab?reset", "notebook 7": "notebooks/{file}?reset"}

_EDIT_CELL = """([index, text]) => {
    const {model} = jupyterapp.shell.currentWidget.content.widgets[index];
    model.sharedModel.setSource(text + model.sharedModel.getSource());
}"""
_SAVE = "jupyterapp.shell.currentWidget.context.save()"
_KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
#: A lost connection: the browser tries to open the websocket again, and is refused.
_DROP = f"{_KERNEL}._ws.close(4999)"


@pytest.fixture(scope="module")
def office(_everything, tmp_path_factory):
    """Run a JupyterLab in which each test has a notebook of its own."""
    names = [f"work{n}.ipynb" for n in range(30)]
    config = tmp_path_factory.mktemp("office")
    with jupyter_lab(config, files=dict.fromkeys(names, WORK)) as running:
        yield running


@pytest.fixture(scope="module")
def notebooks():
    """Give each test another notebook."""
    return iter(f"work{n}.ipynb" for n in range(30))


@pytest.fixture
def context(chromium):
    """Return a browser of somebody's own."""
    browser = chromium.new_context()
    yield browser
    browser.close()


def at_work(context, server, name, file, app="lab") -> Desk:
    """Let somebody open a notebook, and run it."""
    desk = Desk.of(context, server, name, APPS[app].format(file=file))
    if app == "lab":
        desk.open(file)
    else:
        desk.kernel()
    desk.run(0, 1)
    return desk


def notice(desk, text):
    """Return the notification with this text."""
    return desk.page.locator(".Toastify__toast", has_text=text)


def on_disk(server, file) -> str:
    """Return what stands in the first cell of the saved notebook."""
    saved = json.loads((server.home / "work" / file).read_text(encoding="utf-8"))
    return "".join(saved["cells"][0]["source"])


def no_dialog(desk, expect) -> None:
    """Nothing stands in the way."""
    expect(desk.dialog).to_have_count(0)


@pytest.mark.parametrize("app", APPS)
def test_work_survives(context, office, notebooks, expect, app):
    """Edited, over, logged in again by the window: saved, variables there, the widget works."""
    file = next(notebooks)
    desk = at_work(context, office, "alice", file, app)
    desk.page.evaluate(_EDIT_CELL, [0, EDIT])
    lose_cookie(context)
    look(desk)
    expect(desk.chip).to_have_text("!Login expired")
    expect(notice(desk, "Your login has expired")).to_be_visible()
    with desk.page.expect_response(re.compile(r"/api/kernels/[\w-]+\?")) as refused:
        desk.page.evaluate(_DROP)
    assert refused.value.status == 403  # which JupyterLab takes for the kernel's death
    desk.page.wait_for_timeout(500)
    no_dialog(desk, expect)
    expect(desk.page.locator(".Toastify__toast")).to_have_count(1)
    log_in_again(desk)
    expect(notice(desk, "Logged in again as Alice Adams")).to_be_visible()
    expect(notice(desk, "Your login has expired")).to_have_count(0)
    expect(desk.chip).to_have_accessible_name("Logged in as Alice Adams")
    desk.page.wait_for_function(f"{_KERNEL}.connectionStatus === 'connected'")
    desk.page.evaluate(_SAVE)
    assert on_disk(office, file).startswith(EDIT)
    desk.run(2)
    expect(desk.output(2)).to_have_text("['made before the end'] alice")
    desk.output(1).get_by_role("button", name="Click").click()
    expect(desk.output(1)).to_contain_text("made before the end, clicked after it")
    no_dialog(desk, expect)


@pytest.mark.parametrize("app", APPS)
def test_logged_out_in_another_tab(context, office, notebooks, expect, app):
    """The first tab says so; a cell there is refused, and runs after the login there."""
    desk = at_work(context, office, "alice", next(notebooks), app)
    other = context.new_page()
    other.goto(office.url + "logout")
    desk.page.bring_to_front()
    look(desk)
    expect(desk.chip).to_have_text("!Logged out")
    expect(notice(desk, "You are logged out")).to_be_visible()
    desk.run(2)
    expect(desk.output(2)).to_contain_text("SessionRevoked")
    log_in_again(desk)
    expect(notice(desk, "Logged in again as Alice Adams")).to_be_visible()
    desk.page.wait_for_function(f"{_KERNEL}.connectionStatus === 'connected'")
    desk.run(2)
    expect(desk.output(2)).to_have_text("['made before the end'] alice")
    no_dialog(desk, expect)


def test_a_login_in_another_tab_heals_too(context, office, notebooks, expect):
    """Whoever logs in on a page of his own finds the first tab as he left it, and at work."""
    desk = at_work(context, office, "bob", next(notebooks))
    lose_cookie(context)
    look(desk)
    expect(desk.chip).to_have_text("!Login expired")
    other = log_in(context, office, "bob", "tree")
    other.wait_for_load_state()  # Chromium may not close a page of Notebook 7.0 that still loads
    other.close()
    desk.page.bring_to_front()
    look(desk)
    expect(desk.chip).to_have_accessible_name("Logged in as Bob Brown")
    desk.page.wait_for_function(f"{_KERNEL}.connectionStatus === 'connected'")
    desk.run(2)
    expect(desk.output(2)).to_have_text("['made before the end'] bob")


@pytest.mark.parametrize("app", APPS)
def test_somebody_else_comes_back(context, office, notebooks, expect, app):
    """Bob logs in where Alice was: he is told, for as long as he likes, whose work that is.

    Alice comes back by the button there, and the page is hers again.
    """
    desk = at_work(context, office, "alice", next(notebooks), app)
    lose_cookie(context)
    look(desk)
    expect(desk.chip).to_have_text("!Login expired")
    log_in_again(desk, "bob")
    expect(desk.chip).to_have_accessible_name("Logged in as Bob Brown")
    told = notice(desk, "You are Bob Brown.")
    expect(told).to_contain_text("belong to Alice Adams")
    switch = told.get_by_role("button", name="Log in as a different user")
    expect(switch).to_be_visible()
    expect(desk.page.get_by_text(re.compile("logged? in again", re.IGNORECASE))).to_have_count(0)
    desk.page.wait_for_function(f"{_KERNEL}.connectionStatus === 'connected'")
    desk.run(2)
    expect(desk.output(2)).to_have_text("['made before the end'] bob")
    expect(notice(desk, "Logged in again")).to_have_count(0)  # a toast goes by itself
    expect(told).to_be_visible()
    with desk.page.expect_popup() as opened:
        switch.click()
    sign_in(opened.value, "alice")
    expect(notice(desk, "Logged in again as Alice Adams")).to_be_visible()
    expect(told).to_have_count(0)


def test_sign_out_everywhere(chromium, office, notebooks, expect):
    """From the details, after a question: both of her browsers are out, and his is not."""
    contexts = [chromium.new_context() for _ in range(3)]
    here, there, his = (
        at_work(context, office, name, next(notebooks))
        for context, name in zip(contexts, ("alice", "alice", "bob"), strict=True)
    )
    here.show_details()
    expect(here.dialog).to_contain_text("About ")  # a cookie's age says nothing for certain
    expect(here.dialog.locator(".jp-SessionUser-kernel").first).to_contain_text("work")
    here.page.keyboard.press("Escape")
    here.choose("Log Out Everywhere")
    expect(here.dialog).to_contain_text("in every browser")
    here.dialog.get_by_role("button", name="Log out everywhere").click()
    expect(here.chip).to_have_text("!Login revoked")
    look(there)
    expect(there.chip).to_have_text("!Login revoked")
    there.run(2)
    expect(there.output(2)).to_contain_text("SessionRevoked")
    his.run(2)
    expect(his.output(2)).to_have_text("['made before the end'] bob")
    expect(his.chip).to_have_accessible_name("Logged in as Bob Brown")
    for context in contexts:
        context.close()


def test_a_refusal_for_another_reason_ends_nothing(context, office, notebooks, expect):
    """Without its XSRF cookie a page is refused too; the login is good, and nobody is alarmed."""
    desk = at_work(context, office, "alice", next(notebooks))
    context.clear_cookies(name="_xsrf")
    with desk.page.expect_response(lambda answer: "/api/session-user/me" in answer.url) as asked:
        status = desk.page.evaluate(
            f"{_KERNEL}.interrupt().then(() => 204, e => e.response.status)"
        )
    assert (status, asked.value.status) == (403, 200)
    expect(desk.chip).to_have_accessible_name("Logged in as Alice Adams")
    expect(desk.page.locator(".Toastify__toast")).to_have_count(0)


def test_the_keyboard_is_enough(context, office, notebooks, expect):
    """The chip of an ended login is a button like any other; so is the one in the notice."""
    desk = at_work(context, office, "alice", next(notebooks))
    lose_cookie(context)
    look(desk)
    expect(desk.chip).to_have_accessible_name("Login expired. Log in again")
    action = notice(desk, "has expired").get_by_role("button", name="Log in again")
    for button in (desk.chip, action):
        button.focus()
        expect(button).to_be_focused()
        with desk.page.expect_popup() as opened:
            desk.page.keyboard.press("Enter")
        opened.value.close()
    expect(action).to_be_visible()
    with desk.page.expect_popup() as opened:
        desk.page.evaluate("jupyterapp.commands.execute('jupyter-session-user:log-in-again')")
    sign_in(opened.value, "alice")
    expect(notice(desk, "Logged in again as Alice Adams")).to_be_visible()


@pytest.mark.parametrize("app", APPS)
def test_saving_while_it_is_over(context, office, notebooks, expect, app):
    """An autosave fails without a word; a save by hand asks for a login. Neither opens a dialog."""
    file = next(notebooks)
    desk = at_work(context, office, "alice", file, app)
    desk.page.evaluate(_EDIT_CELL, [0, EDIT])
    lose_cookie(context)
    assert desk.page.evaluate(f"{_SAVE}.catch(error => error.name)") == "ModalCancelError"
    expect(notice(desk, "Your login has expired")).to_be_visible()
    desk.page.wait_for_timeout(500)
    no_dialog(desk, expect)
    expect(notice(desk, "Not saved")).to_have_count(0)
    for _ in range(2):
        desk.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        expect(notice(desk, "Not saved")).to_have_count(1)
        no_dialog(desk, expect)
    with desk.page.expect_popup() as opened:
        notice(desk, "Not saved").get_by_role("button", name="Log in again").click()
    sign_in(opened.value, "alice")
    expect(notice(desk, "Logged in again as Alice Adams")).to_be_visible()
    expect(notice(desk, "Not saved")).to_have_count(0)
    desk.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    assert on_disk(office, file).startswith(EDIT)


def test_a_browser_that_opens_no_window_gets_a_link(context, office, notebooks, expect):
    """A dialog with a plain link takes the place of the window, and the page heals as well."""
    desk = at_work(context, office, "alice", next(notebooks))
    lose_cookie(context)
    look(desk)
    expect(desk.chip).to_have_text("!Login expired")
    desk.page.evaluate("window.open = () => null")
    desk.chip.click()
    link = desk.dialog.get_by_role("link", name="Log in in another tab")
    with context.expect_page() as opened:
        link.click()
    no_dialog(desk, expect)
    form = opened.value
    form.get_by_label("Who are you?").fill("alice")
    form.get_by_label("Password").fill(servers.PASSWORDS["alice"])
    form.get_by_role("button", name="Log in").click()
    expect(notice(desk, "Logged in again as Alice Adams")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("app", APPS)
def test_axe_has_nothing_against_it(need, context, office, notebooks, expect, app, scheme):
    """Chip, details and notice, in both themes."""
    need(AXE.exists(), "axe-core is missing: make labextension/node_modules/.yarn-state.yml")
    desk = at_work(context, office, "alice", next(notebooks), app)
    desk.choose_theme(scheme)
    assert violations(desk, ".jp-SessionUser:not(.jp-mod-inMenuBar)") == []
    desk.chip.click()
    expect(desk.menu).to_be_visible()
    assert violations(desk, ".lm-Menu") == []
    desk.page.keyboard.press("Escape")
    desk.show_details()
    expect(desk.dialog.locator(".jp-SessionUser-kernel").first).to_be_visible()
    assert violations(desk, ".jp-Dialog") == []
    desk.page.keyboard.press("Escape")
    lose_cookie(context)
    look(desk)
    expect(notice(desk, "has expired")).to_be_visible()
    desk.page.wait_for_timeout(1000)  # it slides in; half way its colours are others
    assert violations(desk, ".jp-SessionUser:not(.jp-mod-inMenuBar)", ".Toastify__toast") == []


def test_a_warning_before_the_end_and_a_new_login_in_time(chromium, expect, tmp_path):
    """Five minutes before an exact end; a new login in the window goes on with the same kernel.

    One click leads to the form. If the user closes it, everything is as it was, and a save works.
    """
    with jupyter_lab(
        tmp_path, "--JupyterSessionUser.absolute_timeout=312", files={"work.ipynb": WORK}
    ) as server:
        context = chromium.new_context()
        desk = at_work(context, server, "alice", "work.ipynb")
        warning = notice(desk, "Your login ends in 5 minutes.")
        expect(warning).to_have_count(1)
        expect(desk.chip).to_have_accessible_name("Logged in as Alice Adams. Your login ends soon")
        before = context.cookies()
        again = warning.get_by_role("button", name="Log in again")
        with desk.page.expect_popup() as opened:
            again.click()
        form = opened.value.get_by_label("Who are you?")
        expect(form).to_be_visible()
        opened.value.close()
        desk.page.evaluate(_EDIT_CELL, [0, EDIT])
        desk.page.evaluate(_SAVE)
        assert on_disk(server, "work.ipynb").startswith(EDIT)
        assert context.cookies() == before
        expect(warning).to_be_visible()
        with desk.page.expect_popup() as opened:
            again.click()
        sign_in(opened.value, "alice")
        expect(warning).to_have_count(0)
        expect(desk.chip).to_have_accessible_name("Logged in as Alice Adams")
        assert context.cookies() != before
        desk.page.wait_for_function(f"{_KERNEL}.connectionStatus === 'connected'")
        desk.run(2)
        expect(desk.output(2)).to_have_text("['made before the end'] alice")
        no_dialog(desk, expect)
        context.close()


@pytest.mark.parametrize("app", APPS)
def test_a_server_that_is_stopped_is_no_end_of_a_login(chromium, expect, tmp_path, app):
    """It cannot be reached, says the chip; when it is back, so is everything, with no login."""
    secret = tmp_path / "cookie_secret"
    argument = f"--ServerApp.cookie_secret_file={secret}"
    context = chromium.new_context()
    with jupyter_lab(tmp_path / "one", argument, files={"work.ipynb": WORK}) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        desk = at_work(context, server, "alice", "work.ipynb", app)
    look(desk)
    expect(desk.chip).to_have_accessible_name(
        "Logged in as Alice Adams. The server cannot be reached"
    )
    expect(desk.page.get_by_text("has expired")).to_have_count(0)
    with jupyter_lab(tmp_path / "two", argument, files={"work.ipynb": WORK}, port=port):
        look(desk)
        expect(desk.chip).to_have_accessible_name("Logged in as Alice Adams")
        expect(notice(desk, "Logged in again")).to_have_count(0)
    context.close()


def test_with_a_token_nothing_expires(chromium, expect, tmp_path):
    """The page sends the token with everything: without any cookie it works on, unalarmed."""
    token = "--IdentityProvider.token=a-token"
    with jupyter_lab(tmp_path, token, people=False, files={"work.ipynb": WORK}) as server:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{server.url}lab?reset&token=a-token")
        desk = Desk("nobody", page)
        page.wait_for_function("window.jupyterapp?.restored")
        page.evaluate("jupyterapp.restored")
        desk.open("work.ipynb")
        desk.run(0)
        context.clear_cookies()
        look(desk)
        page.evaluate("jupyterapp.commands.execute('jupyter-session-user:check-login')")
        page.evaluate(_SAVE)
        expect(desk.page.locator(".jp-SessionUser-button.jp-mod-warn")).to_have_count(0)
        expect(desk.page.get_by_text("expired")).to_have_count(0)
        expect(notice(desk, "Logged in as Anonymous")).to_be_visible()
        context.close()


def test_a_page_that_is_opened_shortly_before_the_end_is_warned_at_once(chromium, expect, tmp_path):
    """The warning is not lost while JupyterLab is still starting."""
    with jupyter_lab(
        tmp_path, "--JupyterSessionUser.absolute_timeout=240", files={"work.ipynb": WORK}
    ) as server:
        context = chromium.new_context()
        desk = Desk.of(context, server, "alice")
        expect(notice(desk, "Your login ends in 4 minutes.")).to_be_visible()
        context.close()
