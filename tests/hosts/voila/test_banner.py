"""The banner on Voila's pages, without any code in the notebook: both ways to run Voila."""

from __future__ import annotations

import contextlib
import os
import re
import signal

import pytest
import servers
from banners import (
    AXE,
    CONTRASTS,
    axe_violations,
    banner,
    end_kernel,
    fill_form,
    need_page_banner,
    quiet,
    sign_in,
    sign_out,
)
from browsing import log_in
from voila_pages import HEADER, TOLERANT, Visit, visits, voila

pytestmark = pytest.mark.browser

PAGE = "voila/render/page.ipynb"
FILES = {"page.ipynb": TOLERANT}
#: The next poll, every ten seconds, detects events without a notice.
RELOAD = "Reload the page"
NEAR_END = (
    "--JupyterSessionUser.resolvers=custom",
    "--JupyterSessionUser.session_resolver=near_end.soon",
)

HAS_ASKED = """() => performance.getEntriesByType('resource')
    .some(entry => entry.name.endsWith('api/session-user/me'))"""

#: The page's first words begin below the banner.
COVERS_NOTHING = """() => {
    const bottom = document.querySelector('.jsu-banner').getBoundingClientRect().bottom;
    const tops = [...document.querySelectorAll('pre, button:not(.jsu-banner *)')]
        .map(node => node.getBoundingClientRect())
        .filter(box => box.height > 0 && box.bottom > 0)
        .map(box => box.top);
    return bottom > 0 && tops.length > 0 && Math.min(...tops) >= bottom;
}"""

END_LOGIN = """async id => {
    const headers = {'X-XSRFToken': /_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? ''};
    const url = `/api/session-user/sessions/${id}`;
    return (await fetch(url, {method: 'DELETE', headers})).status;
}"""


#: Voila sends the page in pieces: its configuration may have arrived only in part.
HAS_ANOTHER_KERNEL = """id => {
    const text = document.getElementById('jupyter-config-data')?.textContent ?? '';
    const kernelId = /"kernelId":\\s*"([^"]+)"/.exec(text)?.[1];
    return kernelId !== undefined && kernelId !== id;
}"""

KERNEL_ANSWERS = "async id => (await fetch(`/api/kernels/${id}`)).status"


@pytest.fixture(scope="module", autouse=True)
def _extension(need):
    need_page_banner(need)


def with_people(*arguments, **options):
    """Run a server with Voila, ours, and a login form for alice and bob."""
    return servers.own_server(
        *servers.DEMO,
        *arguments,
        extensions=(servers.EXTENSION, "voila.server_extension"),
        files=FILES,
        **options,
    )


@pytest.fixture(scope="module")
def server():
    """Run such a server for the tests that leave it up: each of them begins with new logins."""
    with with_people() as running:
        yield running


@pytest.fixture(scope="module")
def standalone():
    """Run Voila alone, for the tests that leave it up."""
    with voila(*HEADER, files=FILES) as running:
        yield running


@contextlib.contextmanager
def pages(browser, server, *names):
    """Open the page for each of these users, each in a separate browser."""
    with contextlib.ExitStack() as stack:
        visitors = []
        for name in names:
            context = stack.enter_context(contextlib.closing(browser.new_context()))
            visitors.append(Visit(log_in(context, server, name, PAGE), server.url + PAGE))
        for visit in visitors:
            visit.page.wait_for_function(HAS_ASKED)
            visit.page.get_by_role("button", name="Who am I?").wait_for()
        yield visitors


def clicks(visit, expect, count):
    """Click the page's button, and wait until the kernel has counted this many clicks."""
    visit.page.get_by_role("button", name="Who am I?").click()
    expect(visit.page.locator("body")).to_contain_text(f'"clicks": {count}')


def test_signed_out_in_another_tab_and_in_again(chromium, server, expect):
    """Alice's page reports the end, bob's does not; after her login, hers keeps its kernel."""
    with pages(chromium, server, "alice", "bob") as (alice, bob):
        clicks(alice, expect, 1)
        sign_out(alice.context, server)
        expect(banner(alice.page, "signed_out")).to_contain_text("You are logged out.")
        again = banner(alice.page, "signed_out").get_by_role("button")
        expect(again).to_have_text(["Log in again"])
        clicks(bob, expect, 1)
        expect(quiet(bob.page)).to_have_count(1)
        with alice.page.expect_popup() as opened:
            again.click()
        fill_form(opened.value, "alice")
        expect(quiet(alice.page)).to_have_count(1)
        clicks(alice, expect, 2)


def test_somebody_else_signs_in(chromium, server, expect):
    """Bob signs in in alice's browser: her page names its user; after a reload, it is bob's."""
    with pages(chromium, server, "alice") as (visit,):
        sign_out(visit.context, server)
        banner(visit.page, "signed_out").wait_for()
        sign_in(visit.context, server, "bob")
        expect(banner(visit.page, "user_changed")).to_contain_text(
            "This page belongs to Alice Adams."
        )
        banner(visit.page, "user_changed").get_by_role("button", name=RELOAD).click()
        quiet(visit.page).wait_for(state="attached")
        visit.page.get_by_role("button", name="Who am I?").click()
        assert visit.told("click")["who"]["here"] == "bob"


def test_warning(chromium, expect):
    """Before an exact end the page shows the remaining time, and the visitor can hide it."""
    with (
        with_people(*NEAR_END) as server,
        pages(chromium, server, "alice", "bob") as (visit, bob),
    ):
        warning = banner(visit.page, "expiring")
        expect(warning.get_by_role("status")).to_have_text(
            re.compile(r"^Your login ends in [345] min\.$")
        )
        expect(warning.get_by_role("button")).to_have_text(["Log in again", "Hide"])
        warning.get_by_role("button", name="Hide").press("Enter")
        for page in (visit.page, bob.page):
            expect(quiet(page)).to_have_count(1)


def test_exact_end(chromium, expect):
    """At the timeout the page reports the end by itself, and offers a login beside the page."""
    with (
        with_people("--JupyterSessionUser.absolute_timeout=40") as server,
        pages(chromium, server, "alice") as (visit,),
    ):
        over = banner(visit.page, "expired")
        expect(over.get_by_role("status")).to_contain_text("Your login has expired.")
        with visit.page.expect_popup() as opened:
            over.get_by_role("button", name="Log in again").click()
        fill_form(opened.value, "alice")
        expect(quiet(visit.page)).to_have_count(1)


def test_a_browser_that_opens_no_window_gets_a_link(chromium, server, expect):
    """The banner says so and shows a plain link; after the login there, the page goes on."""
    with pages(chromium, server, "alice", "bob") as (alice, bob):
        clicks(alice, expect, 1)
        sign_out(alice.context, server)
        over = banner(alice.page, "signed_out")
        alice.page.evaluate("window.open = () => null")
        over.get_by_role("button", name="Log in again").click()
        expect(over.get_by_role("status")).to_contain_text("The browser opened no window.")
        with alice.context.expect_page() as opened:
            over.get_by_role("link", name="Log in in another tab").click()
        fill_form(opened.value, "alice")
        expect(quiet(alice.page)).to_have_count(1)
        clicks(alice, expect, 2)
        clicks(bob, expect, 1)


def test_signing_in_before_the_end(chromium, expect):
    """A separate window signs alice in again and closes; her page works past the old end."""
    with (
        with_people(*NEAR_END) as server,
        pages(chromium, server, "alice") as (visit,),
    ):
        clicks(visit, expect, 1)
        old = visit.page.evaluate("fetch('/api/session-user/me').then(r => r.json())")
        with visit.page.expect_popup() as opened:
            banner(visit.page, "expiring").get_by_role("button", name="Log in again").click()
        popup = opened.value
        fill_form(popup, "alice")
        if not popup.is_closed():
            popup.wait_for_event("close")
        with visit.page.expect_websocket():  # with the new cookies
            assert visit.page.evaluate(END_LOGIN, old["id"]) == 204
        clicks(visit, expect, 2)


def test_login_cookie_removed(chromium, server, expect):
    """The page reports the end of the login; bob's does not; after a login, hers goes on.

    Neither her input nor her kernel is lost.
    """
    with pages(chromium, server, "alice", "bob") as (alice, bob):
        clicks(alice, expect, 1)
        alice.page.evaluate("window.typed = 'by alice'")
        alice.context.clear_cookies(name=re.compile("^username-"))
        alice.page.locator("body").click(position={"x": 600, "y": 600})
        over = banner(alice.page, "expired")
        expect(over).to_be_visible()
        expect(quiet(bob.page)).to_have_count(1)
        with alice.page.expect_popup() as opened:
            over.get_by_role("button", name="Log in again").click()
        fill_form(opened.value, "alice")
        expect(quiet(alice.page)).to_have_count(1)
        clicks(alice, expect, 2)
        assert alice.page.evaluate("window.typed") == "by alice"  # the same page


def test_standalone_signed_out(chromium, standalone, expect):
    """The kernel's address alone is available to poll: signed out, and signed in again."""
    with visits(chromium, standalone.url, "alice", "bob") as (alice, bob):
        for visit in (alice, bob):
            visit.open()
            quiet(visit.page).wait_for(state="attached")
        alice.become(None)
        expect(banner(alice.page, "signed_out")).to_contain_text("You are logged out.")
        expect(quiet(bob.page)).to_have_count(1)
        alice.become("alice")
        expect(quiet(alice.page)).to_have_count(1)


@contextlib.contextmanager
def page_on(browser, kind, server):
    """Open a page of alice on a server of this kind."""
    if kind == "extension":
        with pages(browser, server, "alice") as (visit,):
            yield visit
        return
    with visits(browser, server.url, "alice") as (visit,):
        visit.open()
        quiet(visit.page).wait_for(state="attached")
        yield visit


@contextlib.contextmanager
def one_page(browser, kind, config=None):
    """Open a page of alice on a separate server of this kind."""
    extension = kind == "extension"
    running = with_people() if extension else voila(*HEADER, files=FILES, config=config)
    with running as server, page_on(browser, kind, server) as visit:
        yield server, visit


KINDS = pytest.mark.parametrize("kind", ["extension", "standalone"])


CULL = {
    "SessionUserKernelManager": {
        "cull_idle_timeout": 5,
        "cull_interval": 1,
        "cull_connected": True,
    }
}


@KINDS
def test_kernel_ended(chromium, expect, kind):
    """The page reports a culled or shut-down kernel; a reload starts another one."""
    with one_page(chromium, kind, CULL) as (_, visit):
        before = visit.kernel()
        if kind == "extension":
            end_kernel(visit.page, before)
        ended = banner(visit.page, "kernel_ended")
        expect(ended).to_contain_text("This app has ended.")
        ended.get_by_role("button", name=RELOAD).click()
        visit.page.wait_for_function(HAS_ANOTHER_KERNEL, arg=before)
        expect(quiet(visit.page)).to_have_count(1)


def test_websocket_dead_for_good(chromium, standalone, expect):
    """When JupyterLab's code gives up the kernel's websocket, the page says that it has ended.

    The server answers meanwhile, and the kernel lives. The page's clock is wound forward: the code
    retries for minutes.
    """
    sockets, cut = [], []

    def between(socket):
        if cut:
            socket.close()
        else:
            socket.connect_to_server()
            sockets.append(socket)

    with visits(chromium, standalone.url, "alice", "bob") as (alice, bob):
        alice.page.route_web_socket(re.compile(r"/channels"), between)
        alice.page.clock.install()
        for visit in (alice, bob):
            visit.open()
            quiet(visit.page).wait_for(state="attached")
            clicks(visit, expect, 1)
        cut.append(True)
        for socket in sockets:
            socket.close()
        ended = banner(alice.page, "kernel_ended")
        for _ in range(200):
            if ended.count():
                break
            alice.page.clock.run_for(5_000)
        expect(ended).to_contain_text("This app has ended.")
        assert alice.page.evaluate(KERNEL_ANSWERS, alice.kernel()) == 200
        clicks(bob, expect, 2)
        expect(quiet(bob.page)).to_have_count(1)


@KINDS
def test_server_stopped_and_back(chromium, expect, kind, request):
    """A server that does not answer cannot be reached; once it answers, the page continues."""
    server = request.getfixturevalue("server" if kind == "extension" else kind)
    with page_on(chromium, kind, server) as visit:
        clicks(visit, expect, 1)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            away = banner(visit.page, "unreachable")
            expect(away).to_contain_text("The server cannot be reached.")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        expect(quiet(visit.page)).to_have_count(1)
        clicks(visit, expect, 2)


@KINDS
def test_server_gone(chromium, expect, kind):
    """The page detects an ended server, readable in both themes, and usable by keyboard."""
    with one_page(chromium, kind) as (server, visit):
        server.process.terminate()
        away = banner(visit.page, "unreachable")
        expect(away).to_be_visible()
        retry = away.get_by_role("button", name="Try now")
        retry.focus()
        visit.page.keyboard.press("Enter")
        expect(retry).to_be_focused()
        assert min(visit.page.evaluate(CONTRASTS)) >= 4.5
        visit.page.evaluate("document.body.style.background = '#111'")
        expect(away).to_have_attribute("data-theme", "dark")
        assert min(visit.page.evaluate(CONTRASTS)) >= 4.5


@KINDS
def test_switched_off(chromium, expect, kind):
    """With ``page_banner`` off, no banner appears in any case."""
    off = "--JupyterSessionUser.page_banner=False"
    with contextlib.ExitStack() as stack:
        if kind == "extension":
            server = stack.enter_context(with_people(off))
            context = stack.enter_context(contextlib.closing(chromium.new_context()))
            visit = Visit(log_in(context, server, "alice", PAGE), server.url + PAGE)
        else:
            server = stack.enter_context(
                voila(*HEADER, files=FILES, config={"JupyterSessionUser": {"page_banner": False}})
            )
            (visit,) = stack.enter_context(visits(chromium, server.url, "alice"))
            visit.open()
        with visit.page.expect_request(lambda r: r.url.endswith("/static/remoteEntry.js")):
            pass
        clicks(visit, expect, 1)
        server.process.terminate()
        visit.page.wait_for_timeout(3000)
        expect(visit.page.locator(".jsu-banner")).to_have_count(0)


@pytest.mark.parametrize(
    "argument",
    [
        "--template=classic",
        "--template=reveal",
        "--theme=dark",
        "--progressive_rendering=True",
        "--preheat_kernel=True",
    ],
)
def test_every_kind_of_page(chromium, expect, argument):
    """Templates, the dark theme, progressive rendering, preheated kernels: all have it."""
    with (
        voila(*HEADER, argument, files=FILES) as server,
        visits(chromium, server.url, "alice") as (visit,),
    ):
        visit.open()
        quiet(visit.page).wait_for(state="attached")
        visit.page.get_by_text("Who am I?").first.wait_for(state="attached")
        server.process.terminate()
        away = banner(visit.page, "unreachable")
        expect(away).to_be_visible()
        theme = "dark" if "dark" in argument else "light"
        expect(away).to_have_attribute("data-theme", theme)
        visit.page.wait_for_function(COVERS_NOTHING)


def test_words_of_ones_own(chromium, expect):
    """An administrator can translate the banner of all pages."""
    texts = {"unreachable": "Der Server antwortet nicht. <b>Moment…</b>", "retry": "Nochmal"}
    config = {"extension_config": {"jupyter-session-user-voila": {"texts": texts}}}
    with (
        voila(*HEADER, files=FILES, config={"VoilaConfiguration": config}) as server,
        visits(chromium, server.url, "alice") as (visit,),
    ):
        visit.open()
        quiet(visit.page).wait_for(state="attached")
        server.process.terminate()
        away = banner(visit.page, "unreachable")
        expect(away.get_by_role("status")).to_have_text(texts["unreachable"])
        expect(away.get_by_role("button")).to_have_text(["Nochmal"])


def test_accessible(chromium, expect, need):
    """Axe-core finds no error in it, in a wide and in a narrow window."""
    need(AXE.exists(), f"axe-core is missing: {AXE}")
    with one_page(chromium, "standalone") as (server, visit):
        server.process.terminate()
        expect(banner(visit.page, "unreachable")).to_be_visible()
        for width in (1280, 400):
            visit.page.set_viewport_size({"width": width, "height": 700})
            assert axe_violations(visit.page) == []
