"""The banner as users see it, and actions that end a login or a kernel."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import servers

if TYPE_CHECKING:
    from local_server import LocalServer
    from playwright.sync_api import BrowserContext, Locator, Page

__all__ = [
    "AXE",
    "CONTRASTS",
    "axe_violations",
    "banner",
    "end_kernel",
    "fill_form",
    "need_page_banner",
    "quiet",
    "sign_in",
    "sign_out",
]

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "jupyter_session_user"
INSTALLED = Path(sys.prefix, "share/jupyter/labextensions/jupyter-session-user-voila")
#: The source of each file of Voila's extension.
FILES = {
    "package.json": SOURCES / "voila_banner/package.json",
    "static/remoteEntry.js": SOURCES / "dist/remoteEntry.js",
    "static/banner.js": SOURCES / "dist/banner.js",
    "static/banner.css": SOURCES / "banner/banner.css",
}
AXE = ROOT / "labextension/node_modules/axe-core/axe.min.js"


def need_page_banner(need: Callable[[object, str], None]) -> None:
    """Skip without Voila's extension; fail if the installed one differs from this tree."""
    need(INSTALLED.exists(), f"the extension of Voila's pages is not installed: {INSTALLED}")
    for name, source in FILES.items():
        same = (INSTALLED / name).read_bytes() == source.read_bytes()
        assert same, f"{INSTALLED / name} is stale: install the package again (make venv)"


def banner(page: Any, state: str) -> Locator:
    """Return the banner that shows this state."""
    found: Locator = page.locator(f".jsu-banner[data-state={state}]")
    return found


def quiet(page: Any) -> Locator:
    """Return the hidden banners; one exists as soon as there could be more."""
    return banner(page, "active")


def sign_out(context: BrowserContext, server: LocalServer) -> None:
    """Sign out in another tab."""
    tab = context.new_page()
    tab.goto(server.url + "logout")
    tab.close()


def sign_in(context: BrowserContext, server: LocalServer, name: str) -> None:
    """Sign in in another tab."""
    tab = context.new_page()
    tab.goto(server.url + "login?next=/api/me")
    fill_form(tab, name)
    tab.wait_for_url("**/api/me")
    tab.close()


def fill_form(page: Page, name: str) -> None:
    """Sign in with the form on the page."""
    page.get_by_label("Who are you?").fill(name)
    page.get_by_label("Password").fill(servers.PASSWORDS[name])
    page.get_by_role("button", name="Log in").click()


def end_kernel(page: Page, kernel_id: str) -> None:
    """Shut a kernel down, as a culler or another user may do."""
    status = page.evaluate(
        """async id => {
            const base = JSON.parse(
                document.getElementById('jupyter-config-data')?.textContent ?? '{}').baseUrl ?? '/';
            const xsrf = /_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? '';
            const url = `${base}api/kernels/${id}`;
            const headers = {'X-XSRFToken': xsrf};
            return (await fetch(url, {method: 'DELETE', headers})).status;
        }""",
        kernel_id,
    )
    assert status == 204


#: Contrasts of the shown text and of each button's, by the colours that are painted.
CONTRASTS = """() => {
    const roots = [document];
    for (const root of roots) {
        for (const node of root.querySelectorAll('*')) {
            if (node.shadowRoot) roots.push(node.shadowRoot);
        }
    }
    const shown = roots.flatMap(root => [...root.querySelectorAll(
        '.jsu-banner:not([data-state=active]) :is(.jsu-text, button, a)')]);
    const parse = color => color.match(/[\\d.]+/g).map(Number);
    const painted = node => {
        while ((parse(getComputedStyle(node).backgroundColor)[3] ?? 1) === 0) {
            node = node.parentElement;
        }
        return getComputedStyle(node).backgroundColor;
    };
    const luminance = color => parse(color).slice(0, 3).map(byte => byte / 255)
        .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    return shown.map(node => {
        const both = [getComputedStyle(node).color, painted(node)].map(luminance);
        both.sort((one, other) => one - other);
        return (both[1] + 0.05) / (both[0] + 0.05);
    });
}"""


#: The banners that show something, also those in shadow roots, as Panel's are.
_CHECK = """async () => {
    const roots = [document];
    for (const root of roots) {
        for (const node of root.querySelectorAll('*')) {
            if (node.shadowRoot) roots.push(node.shadowRoot);
        }
    }
    const shown = roots.flatMap(root =>
        [...root.querySelectorAll('.jsu-banner:not([data-state=active])')]);
    return await axe.run({include: shown});
}"""


def axe_violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the banners that a page shows."""
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate(_CHECK)
    looked_at = {node["html"] for one in result["passes"] for node in one["nodes"]}
    assert any("jsu-banner" in html for html in looked_at), looked_at
    return [f"{one['id']}: {node['html']}" for one in result["violations"] for node in one["nodes"]]
