"""The chip, the REST API and the websockets say at the same time that a login is over."""

from __future__ import annotations

import pytest
from browsing import Desk, jupyter_lab, notebook_text

pytestmark = pytest.mark.browser

WORK = notebook_text(
    "from jupyter_session_user import get_current_user; get_current_user().username"
)
#: Seconds of inactivity, and how far the times may lie apart.
IDLE_S = 25
APART_MS = 2000

#: Notes when each part of a page shows the end: the page's clock in milliseconds.
_WATCH = """() => {
    const times = window.overAt = {};
    const note = part => { times[part] ??= Date.now(); };
    const address = `${location.origin}/api/events/subscribe`.replace(/^http/, 'ws');
    new WebSocket(address).addEventListener('close', () => note('socket'));
    setInterval(async () => {
        const chip = document.querySelector('.jp-SessionUser-button');
        if (chip?.dataset.state === 'expired') note('chip');
        if ((await fetch('/api/session-user/me')).status === 403) note('rest');
    }, 100);
}"""
_TYPE = (
    "jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code: ''}).done"
)


def test_chip_rest_and_sockets_agree_on_an_idle_end(chromium, expect, tmp_path):
    """Alice does nothing until the end, and all parts show it within two seconds; bob works on."""
    with jupyter_lab(
        tmp_path, f"--JupyterSessionUser.idle_timeout={IDLE_S}", files={"work.ipynb": WORK}
    ) as server:
        alice, bob = (Desk.of(chromium.new_context(), server, name) for name in ("alice", "bob"))
        for desk in (alice, bob):
            desk.open("work.ipynb")
            desk.run(0)
            desk.page.evaluate(_WATCH)
        over = "Object.keys(window.overAt).length === 3"
        while not alice.page.evaluate(over):
            bob.page.evaluate(_TYPE)
            bob.page.wait_for_timeout(500)
        times = alice.page.evaluate("window.overAt")
        assert max(times.values()) - min(times.values()) <= APART_MS, times
        alice.run(0)
        expect(alice.output(0)).to_contain_text("SessionExpired")
        assert bob.page.evaluate("window.overAt") == {}
        bob.run(0)
        expect(bob.output(0)).to_contain_text("bob")
        expect(bob.chip).to_have_accessible_name("Logged in as Bob Brown")
