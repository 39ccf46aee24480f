"""The examples, started as in the docs, with two visitors in Chromium."""

from __future__ import annotations

import contextlib
import os
import sys

import pytest
import serving
from serving import APPS

pytestmark = pytest.mark.browser

EXAMPLES = APPS.parents[3] / "examples"
ROWS = {"alice": "Clean room", "bob": "Microscope"}


@contextlib.contextmanager
def example(kind, folder):
    """Start one as its page in docs/hosts describes; return the address of its page."""
    here = EXAMPLES / {"panel": "panel_serve", "bokeh": "bokeh", "flask": "bokeh_flask"}[kind]
    if kind == "flask":
        command = [sys.executable, str(here / "flask_site.py")]
        log, output = folder / "log", folder / "output"
        with serving.running(command, "http://localhost:5000", log, output) as site:
            serving._wait_for("http://localhost:5006", site.process, output)
            yield f"{site.url}/"
        return
    login = ["--auth-module", str(here / "auth.py")]
    if kind == "panel":
        login = ["--basic-auth", str(here / "people.json")]
    login += ["--cookie-secret", "demo"]
    with serving.serve(folder, kind, here / "visitors.py", *login) as server:
        yield f"{server.url}/visitors"


@pytest.mark.parametrize("kind", ["panel", "bokeh", "flask"])
def test_example(chromium, expect, need, tmp_path, kind):
    """Each visitor sees a greeting and their own rows, and the button shows their name."""
    taken = kind == "flask" and (_taken(5000) or _taken(5006))
    need(not taken, "another server has one of the example's ports")
    with example(kind, tmp_path) as address, contextlib.ExitStack() as stack:
        pages = {}
        for name in ROWS:
            context = stack.enter_context(contextlib.closing(chromium.new_context()))
            pages[name] = page = context.new_page()
            page.set_default_timeout(90_000)
            page.goto(address)
            page.locator("input[name=name], input[name=username]").fill(name)
            page.locator("input[name=password]").fill(name[0])
            page.locator("input[name=password]").press("Enter")
            expect(page.get_by_text(f"Hello, {name}")).to_be_visible()
        for page in pages.values():
            page.get_by_role("button", name="Who clicks?").click()
        for name, page in pages.items():
            expect(page.get_by_text(f"{name} clicked.")).to_be_visible()
            for other, row in ROWS.items():
                expect(page.get_by_text(row)).to_have_count(int(other == name))
            if folder := os.environ.get("SCREENSHOTS"):
                page.screenshot(path=f"{folder}/example-{kind}-{name}.png")


def _taken(port):
    with serving.socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0
