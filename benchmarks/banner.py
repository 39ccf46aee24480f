"""How long it takes from the end of a login to the visible banner, in Chromium.

    python benchmarks/banner.py [--quick] [--json FILE]

Times are in ms. ``exact_end``: from the login's end as named by the server, without any user
action, to the painted banner, on a page of Voila and of a Panel preview. ``click``: from a click
into a page, after the user signed out elsewhere, which the page cannot know.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from local_server import LocalServer, local_server
from playwright.sync_api import Browser, Page, sync_playwright

from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

PASSWORD = "alice's password"  # noqa: S105 - a made-up secret
LIFE_S = 15
LIMIT_MS = 2000

EXTENSIONS = {
    "jupyter_session_user": True,
    "voila.server_extension": True,
    "panel.io.jupyter_server_extension": True,
}
SERVER = (
    f"--ServerApp.jpserver_extensions={EXTENSIONS}",
    f"--ServerApp.identity_provider_class={DemoIdentityProvider.__module__}.DemoIdentityProvider",
    "--DemoIdentityProvider.demo=True",
    f"--DemoIdentityProvider.passwords={{'alice': \"{PASSWORD}\"}}",
)
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "cell",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": "print('ready')",
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
APP = """
import panel as pn
from jupyter_session_user import SessionBanner
pn.extension()
pn.Column(SessionBanner.panel(), "ready").servable()
"""
FILES = {"page.ipynb": json.dumps(NOTEBOOK), "app.py": APP}
PAGES = {"voila": "voila/render/page.ipynb", "panel": "panel-preview/render/app.py"}

#: Resolves when a banner is painted, to the moment in ms since the epoch.
PAINTED = """() => new Promise(done => {
    const found = root => {
        for (const node of root.querySelectorAll('*')) {
            const inner = node.shadowRoot && found(node.shadowRoot);
            if (inner) return inner;
        }
        return root.querySelector('.jsu-banner:is([data-state=expired], [data-state=signed_out])');
    };
    const look = () => found(document) ? done(Date.now()) : requestAnimationFrame(look);
    look();
})"""
ME = "fetch('/api/session-user/me').then(answer => answer.json())"


def opened(browser: Browser, server: LocalServer, path: str) -> Page:
    """Log in, and open a page with a banner that has nothing to say yet."""
    page = browser.new_context().new_page()
    page.goto(server.url + path)
    page.get_by_label("Who are you?").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("ready").wait_for()
    # The page has its own banner, and the one that the server adds.
    page.locator(".jsu-banner").first.wait_for(state="attached")
    return page


def exact_end(browser: Browser, server: LocalServer, path: str) -> float:
    """Return the time from the end that the server names to the banner."""
    page = opened(browser, server, path)
    end = page.evaluate(f"{ME}.then(me => Date.parse(me.expires_at))")
    painted: float = page.evaluate(PAINTED) - end
    page.context.close()
    return painted


def click(browser: Browser, server: LocalServer, path: str) -> float:
    """Return the time from a click to the banner, signed out in another tab just before."""
    page = opened(browser, server, path)
    page.wait_for_timeout(3000)
    tab = page.context.new_page()
    tab.goto(server.url + "logout")
    painted: float = page.evaluate(
        f"""async () => {{
            const start = Date.now();
            document.body.dispatchEvent(new PointerEvent('pointerdown', {{bubbles: true}}));
            return await ({PAINTED})() - start;
        }}"""
    )
    page.context.close()
    return painted


def measure(browser: Browser, times: int) -> dict[str, Any]:
    """Return all times."""
    result: dict[str, Any] = {"exact_end": {}, "click": {}}
    with local_server(
        *SERVER, f"--JupyterSessionUser.absolute_timeout={LIFE_S}", files=FILES
    ) as server:
        for name, path in PAGES.items():
            runs = [exact_end(browser, server, path) for _ in range(times)]
            result["exact_end"][name] = {"median": statistics.median(runs), "max": max(runs)}
    with local_server(*SERVER, files=FILES) as server:
        for name, path in PAGES.items():
            runs = [click(browser, server, path) for _ in range(times)]
            result["click"][name] = {"median": statistics.median(runs), "max": max(runs)}
    return result


def main() -> int:
    """Print the times; 1 if a banner came later than it may."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one run of each")
    parser.add_argument("--json", type=Path, help="write the result there as well")
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        result = measure(browser, 1 if arguments.quick else 5)
        browser.close()
    print(text := json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    late = max(page["max"] for kind in result.values() for page in kind.values()) > LIMIT_MS
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
