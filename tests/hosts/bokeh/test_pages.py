"""Pages of ``bokeh serve``, ``panel serve`` and Flask, with two visitors, in Chromium."""

from __future__ import annotations

import importlib.util
import sys
import time

import pytest
import serving
from needs import has_release
from serving import APPS, SECRET
from tornado.web import create_signed_value

pytestmark = pytest.mark.browser

ROOT = APPS.parents[3]
PANEL_PROBE = APPS.parents[1] / "panel_serve" / "apps" / "panel_probe.py"
LOGIN = ("--auth-module", str(APPS.parent / "auth" / "cookie_login.py"), "--cookie-secret", SECRET)
#: Seconds: the lifetime of a token in the expiry tests, and the wait after it.
LIFE_S, AFTER_S = 8, 9.5
LOOKS = (("light", "light", 1000), ("dark", "dark", 1000), ("narrow", "light", 400))
#: Collects a page's websockets, so that a test can cut them.
SOCKETS = """
window.sockets = [];
window.WebSocket = class extends window.WebSocket {
    constructor(...args) { super(...args); window.sockets.push(this); }
};
"""

both = pytest.mark.parametrize(
    ("tool", "app"), [("bokeh", APPS / "probe.py"), ("panel", PANEL_PROBE)], ids=["bokeh", "panel"]
)


@pytest.fixture
def context(chromium):
    """Return a function that makes separate browsers."""
    made = []

    def make():
        made.append(chromium.new_context())
        made[-1].set_default_timeout(90_000)
        return made[-1]

    yield make
    for each in made:
        each.close()


def banner(page, reason):
    """Find the banner with this reason."""
    return page.locator(f"jupyter-session-user-banner[data-reason={reason}]").get_by_role("alert")


def keep(page, name):
    """Save screenshots, light, dark and narrow, if ``SCREENSHOTS`` names a folder."""
    folder, size = serving.os.environ.get("SCREENSHOTS"), page.viewport_size
    for look, scheme, width in LOOKS if folder else ():
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 600})
        page.screenshot(path=f"{folder}/{name}-{look}.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)


def once(server, where, count=1, **wanted):
    """Wait for a line, without an event loop: Playwright has its own."""
    end = time.monotonic() + 45
    while len(lines := server.said(where=where, **wanted)) < count:
        assert time.monotonic() < end, (where, wanted, server.output.read_text()[-2000:])
        time.sleep(0.05)
    return lines[0].get("user") or lines[0]["error"]


def answer(page):
    """Wait for the answer to a click.

    Panel 1.10 loses a change now and then: a callback in Bokeh's thread and a coroutine of Panel
    hold the same document's events. That is a time-out; a wrong name is not.
    """
    found = page.get_by_text("clicked by")
    found.wait_for()
    return found


@both
def test_two_visitors(started, context, expect, tool, app):
    """Two browsers at the same time; then one of them signs in as the other user."""
    server = started(tool, app, *LOGIN)
    people = {name: context() for name in ("alice", "bob")}
    pages = {}
    for name, browser in people.items():
        browser.request.get(f"{server.url}/login?name={name}&next=/favicon.ico", max_redirects=0)
        pages[name] = browser.new_page()
        address = f"{server.url}{server.path}?tag=chrome-{name}"
        pages[name].evaluate("url => { setTimeout(() => { location.href = url }) }", address)
    for name, page in pages.items():
        expect(page.get_by_text(f"page of {name}")).to_be_visible()
    for page in pages.values():
        page.get_by_role("button", name="Click").click()
    for name, page in pages.items():
        expect(answer(page)).to_have_text(f"clicked by {name}")
        assert once(server, "thread", tag=f"chrome-{name}") == "no_context"
        assert once(server, "bound thread", tag=f"chrome-{name}") == name
        if tool == "panel":
            assert once(server, "onload", tag=f"chrome-{name}") == name
    keep(page, f"{tool}-bob")
    people["alice"].request.get(f"{server.url}/login?name=bob&next=/favicon.ico", max_redirects=0)
    page = pages["alice"]
    page.reload()
    expect(page.get_by_text("page of bob")).to_be_visible()
    page.get_by_role("button", name="Click").click()
    expect(answer(page)).to_have_text("clicked by bob")
    expect(page.locator("jupyter-session-user-banner")).to_have_count(0)


@pytest.fixture(scope="module")
def flask(need, tmp_path_factory):
    """Run Flask sites in front of Bokeh servers; return a function that starts both."""
    need(importlib.util.find_spec("flask"), "flask is missing")
    stack = serving.contextlib.ExitStack()

    def start(*arguments):
        folder, port = tmp_path_factory.mktemp("flask"), serving.free_port()
        origin = ("--allow-websocket-origin", f"localhost:{port}")
        bokeh = stack.enter_context(
            serving.serve(folder, "bokeh", APPS / "embedded.py", *origin, *arguments)
        )
        site = [
            sys.executable,
            str(APPS / "flask_site.py"),
            str(port),
            bokeh.url + bokeh.path,
        ]
        flask = stack.enter_context(
            serving.running(site, f"http://localhost:{port}", folder / "none", folder / "flask.txt")
        )
        return flask, bokeh

    with stack:
        yield start


@pytest.fixture(scope="module")
def site(flask):
    """Return a Flask site and its Bokeh server."""
    return flask()


@pytest.mark.parametrize(
    ("way", "at_init"), [("document", False), ("credentials", True), ("session", False)]
)
def test_embedded_in_flask(site, context, expect, way, at_init):
    """In each way, callbacks have the visitor; the script has it only if cookies are sent."""
    flask, bokeh = site
    people = {name: context() for name in ("alice", "bob")}
    pages = {}
    for name, browser in people.items():
        browser.request.get(f"{flask.url}/login/{name}")
        pages[name] = browser.new_page()
        pages[name].goto(f"{flask.url}/{way}?tag={way}-{name}")
    for page in pages.values():
        page.get_by_role("button", name="Click").click()
    for name, page in pages.items():
        expect(answer(page)).to_have_text(f"clicked by {name}")
        assert once(bokeh, "page", tag=f"{way}-{name}") == (name if at_init else "-")
        assert once(bokeh, "timeout", tag=f"{way}-{name}") == name
    people["alice"].request.get(f"{flask.url}/login/bob")
    page = pages["alice"]
    page.goto(f"{flask.url}/{way}?tag={way}-again")
    page.get_by_role("button", name="Click").click()
    expect(page.get_by_text("clicked by bob")).to_be_visible()
    assert page.evaluate("window.__jupyterSessionUser")  # the banner's script was loaded
    keep(page, f"flask-{way}")


# --------------------------------------------------------------------------- pages that failed


@pytest.fixture
def shown(started, context, flask, request):
    """Return a page of each kind, and its address, with a logged-in user."""

    def show(kind, *arguments):
        browser = context()
        if kind == "flask":
            site, show.server = flask(*arguments)
            browser.request.get(f"{site.url}/login/alice")
            return browser.new_page(), f"{site.url}/document?tag=late"
        app = APPS / "probe.py" if kind == "bokeh" else PANEL_PROBE
        server = show.server = started(kind, app, *LOGIN, *arguments)
        browser.request.get(f"{server.url}/login?name=alice&next=/favicon.ico", max_redirects=0)
        return browser.new_page(), f"{server.url}{server.path}?tag=late"

    return show


def held_up(page, meanwhile):
    """Run an action while the page waits for BokehJS."""
    done = []

    def hold(route):
        if not done:
            done.append(True)
            meanwhile()
        route.continue_()

    page.route("**/bokeh.min.js*", hold)


kinds = pytest.mark.parametrize("kind", ["bokeh", "panel", "flask"])


@kinds
def test_stale_at_first_connect(shown, expect, kind):
    """A page that connects with an expired token shows a message, and reloads."""
    page, address = shown(kind, "--session-token-expiration", str(LIFE_S))
    held_up(page, lambda: time.sleep(AFTER_S))
    page.goto(address)
    expect(banner(page, "expired")).to_contain_text("This page has expired.")
    keep(page, f"banner-{kind}-expired-first")
    page.unroute_all()
    banner(page, "expired").get_by_role("link", name="Reload the page").click()
    expect(page.get_by_role("button", name="Click")).to_be_visible()
    expect(page.locator("jupyter-session-user-banner")).to_have_count(0)


@pytest.mark.parametrize("kind", ["asgi", "fastapi"])
def test_stale_on_the_other_servers(started, context, expect, kind):
    """The same with Panel's servers without Tornado."""
    pytest.importorskip("panel.io.asgi", reason="Panel before 1.10 has one server")
    arguments = ("--server", kind, "--session-token-expiration", str(LIFE_S))
    server = started("panel", PANEL_PROBE, *arguments, "--cookie-secret", SECRET)
    browser = context()
    signed = create_signed_value(SECRET, "user", "alice").decode()
    browser.add_cookies([{"name": "user", "value": signed, "url": server.url}])
    page = browser.new_page()
    held_up(page, lambda: time.sleep(AFTER_S))
    page.goto(f"{server.url}{server.path}?tag=late-{kind}")
    expect(banner(page, "expired")).to_contain_text("This page has expired.")
    keep(page, f"banner-{kind}-expired-first")
    page.unroute_all()
    banner(page, "expired").get_by_role("link", name="Reload the page").click()
    expect(page.get_by_text("page of alice")).to_be_visible()


@pytest.mark.parametrize("kind", ["bokeh", "panel"])
def test_signed_out_before_the_socket(shown, expect, kind):
    """A visitor that signs out between the page and its websocket sees a message."""
    page, address = shown(kind)
    held_up(page, page.context.clear_cookies)
    page.goto(address)
    expect(banner(page, "signedout")).to_contain_text("You have been logged out.")
    keep(page, f"banner-{kind}-signedout")


def test_signed_out_before_the_socket_in_flask(flask, context, expect):
    """The same in a page of another origin, which may only learn of the refusal."""
    site, bokeh = flask(*LOGIN)
    browser = context()
    browser.request.get(f"{site.url}/login/alice")
    browser.request.get(f"{bokeh.url}/login?name=alice&next=/favicon.ico", max_redirects=0)
    page = browser.new_page()
    held_up(page, browser.clear_cookies)
    page.goto(f"{site.url}/credentials?tag=out")
    expect(banner(page, "refused")).to_contain_text("The server has refused this page.")
    keep(page, "banner-flask-refused")


@pytest.mark.parametrize("kind", ["bokeh", "flask"])
def test_server_gone(shown, expect, kind):
    """If the server has ended, the page says that it cannot be reached."""
    page, address = shown(kind, "--unused-session-lifetime", "60000")  # a separate server
    page.goto(address)
    expect(page.get_by_role("button", name="Click")).to_be_visible()
    shown.server.process.terminate()
    expect(banner(page, "unreachable")).to_contain_text("cannot be reached")
    keep(page, f"banner-{kind}-unreachable")


@kinds
def test_lost_after_the_token(shown, expect, kind):
    """A connection that breaks after the token's expiry cannot reconnect: the page says so."""
    page, address = shown(kind, "--session-token-expiration", str(LIFE_S))
    page.add_init_script(SOCKETS)
    page.goto(address)
    page.get_by_role("button", name="Click").click()
    expect(page.get_by_text("clicked by alice")).to_be_visible()
    page.wait_for_timeout(AFTER_S * 1000)
    expect(page.locator("jupyter-session-user-banner")).to_have_count(0)
    page.evaluate("window.sockets.forEach(socket => socket.close())")
    expect(banner(page, "expired")).to_be_visible()
    keep(page, f"banner-{kind}-expired-later")


@pytest.mark.parametrize("kind", ["bokeh", "flask"])
def test_bokeh_comes_back_by_itself(shown, expect, kind):
    """If Bokeh reconnects while the token is valid, no banner appears."""
    page, address = shown(kind)
    page.add_init_script(SOCKETS)
    page.goto(address)
    page.get_by_role("button", name="Click").click()
    expect(page.get_by_text("clicked by alice")).to_be_visible()
    page.evaluate("window.sockets.forEach(socket => socket.close())")
    if not has_release("bokeh>=3.8"):
        expect(banner(page, "lost")).to_contain_text("was lost")
        return
    page.wait_for_function("window.sockets.length > 1 && window.sockets.at(-1).readyState === 1")
    page.get_by_role("button", name="Click").click()
    page.wait_for_timeout(1000)
    expect(page.locator("jupyter-session-user-banner")).to_have_count(0)


def test_panel_does_not(shown, expect):
    """If Panel does not reconnect, the page says that the connection is lost, not expired."""
    page, address = shown("panel")
    page.add_init_script(SOCKETS)
    page.goto(address)
    page.get_by_role("button", name="Click").click()
    expect(page.get_by_text("clicked by alice")).to_be_visible()
    page.evaluate("window.sockets.forEach(socket => socket.close())")
    expect(banner(page, "lost")).to_contain_text("was lost")
