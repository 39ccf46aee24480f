"""Whoever ``require_user`` refuses reads a sentence on the page, in each host, and no traceback."""

from __future__ import annotations

import http.client
import importlib.util
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "browser"))

import browsing
from app_servers import platform_cookie
from denied_apps import HOSTS, running

pytestmark = [pytest.mark.browser]

REPORT = "The report: 42"
SENTENCE = "is not permitted to do this: this needs a member of the group 'finance'"
#: Bob's name, as it must be shown. The platform's cookie of the Streamlit app calls him only bob.
BOB = {"streamlit": "'bob'"}
#: Servers that answer with an error's status, and their frameworks.
REFUSE = ("dash", "django", "fastapi", "flask", "wsgi")
#: Without Solara: its scripts come from a CDN; test_denied_solara.py does without a browser.
PAGES = sorted(HOSTS.keys() - {"solara"})
#: Without those that have no callbacks.
CALLBACKS = sorted(HOSTS.keys() - {"solara", "django", "fastapi", "flask", "wsgi"})
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(scope="module")
def chromium(need):
    """Run a headless Chromium."""
    with browsing.chromium_running(browsing.chromium_path(need)) as browser:
        yield browser


def opened(chromium, url, person):
    """Open the page in a browser of its own, as a user; the cookie also comes to websockets."""
    context = chromium.new_context()
    name, _, value = platform_cookie(person).partition("=")
    context.add_cookies([{"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}])
    page = context.new_page()
    page.goto(url)
    return page


def check_refused(page, host):
    """Check that the page has the sentence, with bob's name as text, and nothing more."""
    shown = page.get_by_text(SENTENCE).first
    shown.wait_for()
    assert BOB.get(host, "'bob<i>*x*</i>'") in shown.inner_text()
    for word in ("Traceback", "AccessDenied", "people.py", "of-bob-alone", REPORT):
        assert page.get_by_text(word).count() == 0, word
    assert page.locator("i", has_text="*x*").count() == 0  # the name is no markup


def check_allowed(page):
    """Check that the page has the report, and no refusal."""
    page.get_by_text(REPORT).first.wait_for()
    assert page.get_by_text("not permitted").count() == 0


@pytest.fixture
def host(request, need):
    """Return the name of a host that is installed."""
    name = request.param
    if name != "wsgi":
        need(importlib.util.find_spec(name), f"{name} is missing")
    return name


@pytest.mark.parametrize("host", PAGES, indirect=True)
def test_a_page(chromium, host):
    """Bob is the first visitor of the process; his refusal changes nobody else's page."""
    with running(host, "page") as (_, url):
        for person in ("bob", "alice", "bob", "alice"):
            page = opened(chromium, url, person)
            check_refused(page, host) if person == "bob" else check_allowed(page)
            page.context.close()


@pytest.mark.parametrize("host", CALLBACKS, indirect=True)
def test_a_callback(chromium, host):
    """Alice is the first visitor; her page, open all the time, goes on after bob's refusal."""
    with running(host, "callback") as (_, url):
        alice, bob = (opened(chromium, url, person) for person in ("alice", "bob"))
        for page in (alice, bob):
            page.get_by_text("Book", exact=True).last.wait_for()
        for page in (bob, alice, bob):
            page.get_by_text("Book", exact=True).last.click()
            if page is alice:
                check_allowed(alice)
            else:
                check_refused(bob, host)
                if host == "streamlit":  # the run ends at its callback
                    bob.reload()
        assert alice.get_by_text("not permitted").count() == 0
        alice.context.close()
        bob.context.close()


@pytest.mark.parametrize("host", ["dash", "shiny"], indirect=True)
def test_a_guarded_function_of_a_page(chromium, host):
    """Shiny's page itself is answered with status 403; Dash shows it in place of the layout."""
    with running(host, "whole") as (_, url):
        for person in ("bob", "alice"):
            page = opened(chromium, url, person)
            check_refused(page, host) if person == "bob" else check_allowed(page)
            page.context.close()


@pytest.mark.parametrize("host", REFUSE, indirect=True)
def test_what_programs_get(host):
    """A browser gets a page with status 403; a program gets JSON; neither may be cached."""
    with running(host, "page") as (server, _):

        def asked(person, accept):
            cookie = {"Cookie": platform_cookie(person)} if person else {}
            with server.connect() as connection:
                connection.request("GET", "/", headers={"Accept": accept, **cookie})
                response = connection.getresponse()
                return response, response.read().decode()

        for accept in ("application/json", "*/*"):
            response, body = asked("bob", accept)
            assert response.status == http.client.FORBIDDEN
            assert SENTENCE in json.loads(body)["detail"]
        page, body = asked("bob", CHROMIUM)
        assert page.status == http.client.FORBIDDEN
        assert page.getheader("Content-Type") == "text/html; charset=utf-8"
        assert "bob&lt;i&gt;*x*&lt;/i&gt;" in body
        assert "of-bob-alone" not in body
        for answer in (response, page):
            assert answer.getheader("Cache-Control") == "no-store"
            assert answer.getheader("Vary") == "Accept"
        stranger, body = asked("", CHROMIUM)
        assert (stranger.status, stranger.getheader("WWW-Authenticate")) == (401, "Cookie")
        assert "Please log in" in body
        assert "allow_anonymous" not in body
        assert asked("alice", CHROMIUM)[0].status == http.client.OK
