"""What tests do with a page whose login is over, and what axe-core says about a page."""

from __future__ import annotations

from pathlib import Path

import servers

ROOT = Path(__file__).parents[2]
AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"


def lose_cookie(context) -> None:
    """Take the login cookie away, as a browser does when it is too old."""
    context.clear_cookies(name=login_cookie(context))


def login_cookie(context) -> str:
    """Return the name of the login cookie."""
    return next(c["name"] for c in context.cookies() if c["name"].startswith("username-"))


def look(desk) -> None:
    """Let JupyterLab ask the server for something, as it does every few seconds."""
    desk.page.evaluate("jupyterapp.serviceManager.sessions.refreshRunning().catch(() => null)")


def sign_in(window, name) -> None:
    """Fill in the form in the window that has opened."""
    window.get_by_label("Who are you?").fill(name)
    window.get_by_label("Password").fill(servers.PASSWORDS[name])
    with window.expect_event("close"):
        window.get_by_role("button", name="Log in").click()


def log_in_again(desk, name=None) -> None:
    """Click on the chip, and log in in the window that opens."""
    with desk.page.expect_popup() as opened:
        desk.chip.click()
    sign_in(opened.value, name or desk.name)


def violations(desk, *selectors) -> list[str]:
    """Return what axe-core has against these parts of the page."""
    if not desk.page.evaluate("'axe' in window"):
        desk.page.add_script_tag(path=AXE)
    found = desk.page.evaluate(
        "async parts => (await axe.run({include: parts.map(part => [part])})).violations",
        list(selectors),
    )
    return [f"{v['id']}: {[n['html'] for n in v['nodes']]}" for v in found]
