"""People give tokens to their agents in JupyterLab and Notebook 7, and revoke them."""

from __future__ import annotations

import itertools
import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from browsing import Desk, jupyter_lab, notebook_text
from local_server import LocalServer
from login_over_pages import AXE, violations

pytestmark = pytest.mark.browser

PREFIX = "jsu_agent_"
BODY = ".jp-SessionUser-agents"
#: The launcher takes the focus after ``restored``, and could take it from the chip.
LAUNCHER = "document.querySelector('.jp-Launcher')?.contains(document.activeElement)"
#: Every place of the page that could keep a token.
PLACES = """() => JSON.stringify([
    document.documentElement.outerHTML, document.title, location.href,
    [...document.querySelectorAll('input, textarea')].map(field => field.value),
    {...localStorage}, {...sessionStorage}, history.state, document.cookie])"""


@pytest.fixture(scope="module")
def office(_everything, tmp_path_factory):
    """Run JupyterLab and Notebook 7; bob is an administrator."""
    config = tmp_path_factory.mktemp("agents")
    admin = "--JupyterSessionUser.admin_users=bob"
    with jupyter_lab(config, admin, files={"work.ipynb": notebook_text("1")}) as running:
        yield running


@pytest.fixture
def sit(chromium, office):
    """Return a function that lets a person sit down with a browser of their own.

    After the test all log out, so that no test leaves agents to the next one.
    """
    contexts = []

    def at(name: str, app: str = "lab", server: LocalServer = office, **options: Any) -> Desk:
        context = chromium.new_context(**options)
        contexts.append((context, server))
        path = "lab?reset" if app == "lab" else "notebooks/work.ipynb?reset"
        desk = Desk.of(context, server, name, path)
        if app == "lab":
            desk.page.wait_for_function(LAUNCHER)
        return desk

    yield at
    for context, server in contexts:
        if server is office:
            context.request.get(f"{server.url}logout")
        context.close()


def item(desk, name):
    """Return the agent in the list."""
    return desk.dialog.get_by_role("listitem").filter(has_text=name)


def create(desk, name):
    """Create a token in the open dialog, and return it."""
    desk.dialog.get_by_label("Agent name").fill(name)
    desk.dialog.get_by_role("button", name="Create token").click()
    field = desk.dialog.get_by_label(f"Token of {name}")
    field.wait_for()
    return field.input_value()


def ask(office, path, token):
    """Return the status and the JSON that a client with a token and no cookies gets."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(office.url + path, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, None


def close(desk, expect):
    """Close the dialog by keyboard."""
    desk.page.keyboard.press("Escape")
    expect(desk.dialog).to_have_count(0)


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_two_people_give_tokens(sit, office, expect, app):
    """Each sees the own agents alone, also the administrator; a revoked token ends at once."""
    alice, bob = sit("alice", app), sit("bob", app)
    tokens = {}
    for desk in (alice, bob):
        desk.choose("Agents…")
        expect(desk.dialog).to_contain_text("An agent is a script or an assistant")
        expect(desk.dialog).to_contain_text("You have no agents.")
        tokens[desk.name] = create(desk, f"Bot of {desk.name}")
        assert tokens[desk.name].startswith(PREFIX)
        expect(desk.dialog).to_contain_text("shown only once")
        status, me = ask(office, "api/session-user/me", tokens[desk.name])
        assert (status, me["user"]["username"]) == (200, desk.name)
        assert me["actor"]["name"] == f"Bot of {desk.name}"
        close(desk, expect)
    for desk, other in ((alice, bob), (bob, alice)):
        desk.choose("Agents…")
        expect(item(desk, f"Bot of {desk.name}")).to_contain_text("Last used:")
        expect(item(desk, f"Bot of {desk.name}")).to_contain_text("Scopes: read, write, execute")
        expect(desk.dialog.get_by_role("listitem")).to_have_count(1)
        expect(desk.dialog).not_to_contain_text(f"Bot of {other.name}")
    alice.dialog.get_by_role("button", name="Revoke Bot of alice").click()
    status = alice.dialog.get_by_role("status")
    expect(status).to_have_text("The token of Bot of alice is revoked.")
    assert ask(office, "api/session-user/me", tokens["alice"])[0] == 401
    assert ask(office, "api/session-user/me", tokens["bob"])[0] == 200
    expect(item(alice, "Bot of alice")).to_have_count(0)
    bob.dialog.get_by_role("button", name="Revoke Bot of bob").press("Enter")
    expect(item(bob, "Bot of bob")).to_have_count(0)
    assert ask(office, "api/session-user/me", tokens["bob"])[0] == 401


def test_the_keyboard_is_enough(sit, office, expect):
    """Enter creates, Tab and Space choose, Escape closes, and the focus returns to the chip."""
    alice = sit("alice")
    keys = alice.page.keyboard
    alice.chip.press("Enter")
    alice.menu.get_by_role("menuitem", name="Agents…").wait_for()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        keys.press(key)
    name = alice.dialog.get_by_label("Agent name")
    expect(name).to_be_focused()
    keys.type("Keys")
    keys.press("Tab")
    expect(alice.dialog.get_by_label("Lifetime")).to_be_focused()
    keys.press("ArrowDown")
    keys.press("Tab")
    keys.press("Tab")
    expect(alice.dialog.get_by_label("Write")).to_be_focused()
    keys.press("Space")
    name.focus()
    keys.press("Enter")
    field = alice.dialog.get_by_label("Token of Keys")
    expect(field).to_be_focused()
    expect(field).to_have_js_property("readOnly", True)
    token = field.input_value()
    expect(item(alice, "Keys")).to_contain_text("Scopes: read, execute")
    keys.press("Tab")
    expect(alice.dialog.get_by_role("button", name="Copy")).to_be_focused()
    keys.press("Enter")
    expect(alice.dialog.get_by_role("status")).to_have_text("Copied.")
    name.focus()
    keys.press("Control+V")
    expect(name).to_have_value(token[:64])
    alice.dialog.get_by_role("button", name="Revoke Keys").focus()
    keys.press("Enter")
    expect(alice.dialog.get_by_role("status")).to_contain_text("is revoked")
    expect(name).to_be_focused()
    assert ask(office, "api/session-user/me", token)[0] == 401
    close(alice, expect)
    expect(alice.chip).to_be_focused()


def test_the_token_is_nowhere_else(sit, office, expect):
    """It is in one field alone, and nowhere once the dialog is closed, nor in the log."""
    alice = sit("alice")
    said, asked = [], []
    alice.page.on("console", lambda message: said.append(message.text))
    alice.page.on("request", lambda request: asked.append(request.url))
    alice.choose("Agents…")
    token = create(alice, "Secret")
    assert alice.page.evaluate(PLACES).count(token) == 1
    assert token not in alice.page.content()
    assert token not in alice.dialog.get_by_role("status").inner_text()
    close(alice, expect)
    assert PREFIX not in alice.page.evaluate(PLACES)
    assert not [text for text in (*said, *asked) if token in text]
    alice.choose("Agents…")
    expect(item(alice, "Secret")).to_be_visible()
    assert PREFIX not in alice.page.evaluate(PLACES)
    alice.dialog.get_by_role("button", name="Revoke Secret").click()
    expect(item(alice, "Secret")).to_have_count(0)


def test_an_error_loses_nothing(sit, expect):
    """The form and the shown token stay, and an alert says what is wrong."""
    alice = sit("alice")
    alice.choose("Agents…")
    create(alice, "First")
    alert = alice.dialog.get_by_role("alert")
    submit = alice.dialog.get_by_role("button", name="Create token")
    name = alice.dialog.get_by_label("Agent name")
    for given, why in (("  ", "Give the agent a name."), ("a\u202eb", "printable characters")):
        name.fill(given)
        submit.click()
        expect(alert).to_contain_text(why)
        expect(name).to_have_value(given)
    for scope in ("Read", "Write", "Execute"):
        alice.dialog.get_by_label(scope).uncheck()
    name.fill("Second")
    submit.click()
    expect(alert).to_have_text("Choose at least one scope.")
    expect(alice.dialog.get_by_label("Token of First")).to_have_value(re.compile(f"^{PREFIX}"))
    alice.dialog.get_by_label("Read").check()
    submit.click()
    expect(item(alice, "Second")).to_contain_text("Scopes: read")
    expect(alert).to_have_text("")
    for agent in ("First", "Second"):
        alice.dialog.get_by_role("button", name=f"Revoke {agent}").click()
        expect(item(alice, agent)).to_have_count(0)
    expect(alice.dialog.get_by_text("shown only once")).to_have_count(0)


def test_a_server_that_gives_no_tokens_says_so(sit, expect, tmp_path):
    """With ``max_agent_lifetime`` 0 the dialog shows the server's reason."""
    with jupyter_lab(tmp_path, "--JupyterSessionUser.max_agent_lifetime=0") as server:
        for person in ("alice", "bob"):
            desk = sit(person, server=server)
            desk.choose("Agents…")
            desk.dialog.get_by_label("Agent name").fill("Bot")
            desk.dialog.get_by_role("button", name="Create token").click()
            expect(desk.dialog.get_by_role("alert")).to_contain_text("max_agent_lifetime is 0")
            expect(desk.dialog.get_by_label("Agent name")).to_have_value("Bot")


def test_a_slow_list_loses_no_click(sit, expect):
    """A token that is asked for before the list has come is made once, and is in the list."""
    alice, held = sit("alice"), []
    hold = lambda route: held.append(route)  # noqa: E731, PLW0108 - Playwright marks the function
    alice.page.route("**/api/session-user/agents?mine=true*", hold)
    alice.choose("Agents…")
    alice.dialog.get_by_label("Agent name").fill("Early")
    for _ in range(2):
        alice.dialog.get_by_role("button", name="Create token").click()
    (route,) = held
    route.continue_()
    expect(alice.dialog.get_by_label("Token of Early")).to_be_visible()
    expect(alice.dialog.get_by_role("listitem")).to_have_count(1)


def test_the_dialog_goes_with_the_login(sit, office, expect):
    """A logout in another tab takes the agents and the token out of the page, and ends it."""
    alice, bob = sit("alice"), sit("bob")
    tokens = {}
    for desk in (alice, bob):
        desk.choose("Agents…")
        tokens[desk.name] = create(desk, "Brief")
    alice.page.context.request.get(office.url + "logout")
    alice.page.evaluate("jupyterapp.commands.execute('jupyter-session-user:check-login')")
    expect(alice.dialog).to_have_count(0)
    assert PREFIX not in alice.page.evaluate(PLACES)
    assert ask(office, "api/session-user/me", tokens["alice"])[0] == 401
    expect(bob.dialog.get_by_label("Token of Brief")).to_have_value(tokens["bob"])
    bob.dialog.get_by_role("button", name="Revoke Brief").click()
    expect(item(bob, "Brief")).to_have_count(0)


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_everybody_can_read_it(need, sit, expect, app):
    """Axe has nothing against it, in both themes, and all of it fits into 400 px."""
    need(AXE.exists(), "axe-core is missing: make labextension/node_modules/.yarn-state.yml")
    alice = sit("alice", app, device_scale_factor=2)
    for scheme, width in itertools.product(("light", "dark"), (1000, 400)):
        alice.page.set_viewport_size({"width": width, "height": 720})
        alice.choose_theme(scheme)
        alice.choose("Agents…")
        picture(alice, f"agents-{app}-{scheme}-{width}-empty")
        assert violations(alice, ".jp-Dialog") == []
        create(alice, "Report bot")
        create(alice, "Nightly import of the sales of all shops in the North")
        picture(alice, f"agents-{app}-{scheme}-{width}-token")
        alice.dialog.get_by_role("button", name="Create token").click()
        expect(alice.dialog.get_by_role("alert")).to_contain_text("name")
        picture(alice, f"agents-{app}-{scheme}-{width}-alert")
        expect(alice.dialog.get_by_role("alert")).to_be_in_viewport(ratio=1)
        assert violations(alice, ".jp-Dialog") == []
        assert alice.page.locator(BODY).evaluate("node => node.scrollWidth <= node.clientWidth")
        for button in alice.dialog.get_by_role("button", name="Revoke").all():
            box = button.bounding_box()
            assert box["width"] >= 24 and box["height"] >= 24  # WCAG 2.2: target size
            button.focus()
        while alice.dialog.get_by_role("listitem").count():
            left = alice.dialog.get_by_role("listitem").count()
            alice.dialog.get_by_role("button", name="Revoke").first.click()
            expect(alice.dialog.get_by_role("listitem")).to_have_count(left - 1)
        close(alice, expect)


def picture(desk, name):
    """Save a picture of the window, if somebody wants to look at it."""
    directory = os.environ.get("SCREENSHOTS")
    if directory:
        desk.page.screenshot(path=Path(directory, f"{name}.png"), animations="disabled")
