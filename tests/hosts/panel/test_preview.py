"""Panel's previews: every answer names the visitor for whose page Panel made the kernel."""

from __future__ import annotations

import pytest
import servers
from browsing import FULL_NAMES
from previews import ACTIONS, EXTENSION, RENDER, files

pytestmark = pytest.mark.browser


def visitor(chromium, server, name):
    """Return a user's own browser, logged in, with its own cookie."""
    context = chromium.new_context()
    context.add_cookies([{"name": "locale", "value": f"{name}-locale", "url": server.url}])
    logged_in(context, server, name)
    return context


def logged_in(context, server, name):
    """Log a user in through the form; no page is loaded for it."""
    url = f"{server.url}login"
    context.request.get(url)
    xsrf = next(c["value"] for c in context.cookies(url) if c["name"] == "_xsrf")
    form = {"username": name, "password": servers.PASSWORDS[name], "_xsrf": xsrf}
    assert context.request.post(url, form=form, max_redirects=0).status == 302


def arrive(contexts, url):
    """Request the page for all users before any response arrives; return the loaded pages."""
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.set_default_timeout(90_000)
        page.evaluate("url => { setTimeout(() => { location.href = url }) }", url)
    return pages


def notes(page):
    """Return the lines of the app."""
    return page.locator(".notes")


@pytest.fixture(scope="module")
def visitors(chromium, server):
    """Return alice's and bob's browsers."""
    return {name: visitor(chromium, server, name) for name in FULL_NAMES}


@pytest.mark.parametrize("app", ["app.py", "pool.py", "app.ipynb"])
def test_two_visitors(visitors, server, expect, app):
    """Two visitors' pages, loaded and clicked in turns, name their own visitor everywhere.

    At render, at load, in callbacks: sync, async, in threads (bare: no user; bound: the visitor),
    by ``pn.state.execute``, periodic; with and without Panel's pool of threads.
    """
    pages = arrive(visitors.values(), server.url + RENDER + app)
    people = list(zip(visitors, pages, strict=True))
    for name, page in people:
        expect(notes(page)).to_contain_text(f"rendered: {name} {name}-locale;")
        expect(notes(page)).to_contain_text(f"loaded: {name};")
        expect(notes(page)).to_contain_text(f"pool: {2 if app == 'pool.py' else None};")
    for action, answer in ACTIONS.items():
        for _, page in people:
            page.get_by_role("button", name=action, exact=True).click()
        for name, page in people:
            told = answer.format(who=name, cookie=f"{name}-locale")
            expect(notes(page)).to_contain_text(f"{told};")
    for name, page in people:
        page.locator(".noUi-handle").press("ArrowRight")
        expect(notes(page)).to_contain_text(f"slider: {name};")
        page.close()


@pytest.mark.parametrize("app", ["guarded.py", "guarded_click.py"])
def test_a_refused_visitor(visitors, server, expect, app):
    """Bob reads why he may not, on the page or after his click, without a traceback."""
    pages = arrive(visitors.values(), server.url + RENDER + app)
    for name, page in zip(visitors, pages, strict=True):
        if app == "guarded_click.py":
            expect(page.get_by_text("ready")).to_be_visible()  # its websocket is open
            page.get_by_role("button", name="Book", exact=True).click()
        sentence = page.get_by_text("this needs a member of the group 'finance'")
        if name == "alice":
            expect(page.get_by_text("the report")).to_be_visible()
            expect(sentence).to_have_count(0)
        else:
            expect(sentence).to_be_visible()
            expect(page.get_by_text("the report")).to_have_count(0)
            expect(page.get_by_text("Traceback")).to_have_count(0)
        page.close()


def test_the_example(visitors, server, expect):
    """examples/panel/visitors.py greets both, shows each their rows, names each click's user."""
    pages = arrive(visitors.values(), server.url + RENDER + "visitors.py")
    rows = {"alice": "Clean room", "bob": "Microscope"}
    people = list(zip(visitors, pages, strict=True))
    for _, page in people:
        page.get_by_role("button", name="Who clicks?").click()
    for name, page in people:
        expect(page.get_by_role("heading")).to_contain_text(f"Hello, {FULL_NAMES[name]}")
        expect(page.get_by_text(f"{FULL_NAMES[name]} ({name}) clicked.")).to_be_visible()
        for owner, row in rows.items():
            expect(page.get_by_text(row)).to_have_count(1 if owner == name else 0)
        page.close()


def test_reload_as_the_other_person(chromium, server, expect):
    """After a login as another user and a reload, render and callbacks have the new user."""
    contexts = [visitor(chromium, server, name) for name in ("alice", "bob")]
    pages = arrive(contexts, server.url + RENDER + "app.py")
    for context, page, first, second in (
        (contexts[0], pages[0], "alice", "bob"),
        (contexts[1], pages[1], "bob", "alice"),
    ):
        expect(notes(page)).to_contain_text(f"rendered: {first} {first}-locale; ")
        context.clear_cookies()
        logged_in(context, server, second)
        page.reload(wait_until="commit")
        expect(notes(page)).to_contain_text(f"rendered: {second} None; ")
        page.get_by_role("button", name="sync", exact=True).click()
        expect(notes(page)).to_contain_text(f"sync: {second};")
        expect(notes(page)).not_to_contain_text(f" {first};")
        context.close()


def test_without_authentication(chromium, panel_installed, expect):
    """Without logins, previews work, and two browsers are two anonymous visitors."""
    with servers.own_server(
        "--IdentityProvider.token=",
        extensions=(servers.EXTENSION, EXTENSION),
        files=files(),
    ) as running:
        contexts = [chromium.new_context() for _ in range(2)]
        pages = arrive(contexts, running.url + RENDER + "app.py")
        names = []
        for page in pages:
            expect(notes(page)).to_contain_text("loaded:")
            names.append(notes(page).locator("pre").inner_text().split("rendered: ")[1].split()[0])
            page.get_by_role("button", name="sync", exact=True).click()
            expect(notes(page)).to_contain_text(f"sync: {names[-1]};")
        assert len(set(names)) == 2 and "no_context" not in names
        for context in contexts:
            context.close()
