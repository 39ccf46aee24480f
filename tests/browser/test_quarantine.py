"""JupyterLab when a login is over: a sentence in the cell, no false alarm, nothing lost."""

from __future__ import annotations

import pytest
import servers
from browsing import FULL_NAMES, Desk, jupyter_lab, notebook_text

pytestmark = pytest.mark.browser

CELLS = ("x = 'kept'", "print(x)", "from jupyter_session_user import get_current_user as g; g()")


@pytest.fixture
def lab(_everything, tmp_path):
    """Run JupyterLab for one test: what ends a login lasts."""
    with jupyter_lab(tmp_path, files={"cells.ipynb": notebook_text(*CELLS)}) as running:
        yield running


def sign_in_elsewhere(desk: Desk, server: servers.LocalServer) -> None:
    """Log in again, in another tab of the same browser."""
    tab = desk.page.context.new_page()
    tab.goto(server.url + "login?next=/api/me")
    tab.get_by_label("Who are you?").fill(desk.name)
    tab.get_by_label("Password").fill(servers.PASSWORDS[desk.name])
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_url("**/api/me")
    tab.close()


def test_signed_out_in_another_tab_and_in_again(chromium, lab, expect):
    """Alice's cell shows the sentence, without a dialog; bob runs his; then hers has its variables.

    After signing in again in the same browser and reconnecting the kernel, with no reload.
    """
    alice, bob = (Desk.of(chromium.new_context(), lab, name) for name in FULL_NAMES)
    assert alice.open("cells.ipynb") == bob.open("cells.ipynb")
    alice.run(0, 1)
    expect(alice.output(1)).to_have_text("kept")
    tab = alice.page.context.new_page()
    tab.goto(lab.url + "logout")
    tab.close()
    for cell in (1, 1):
        alice.run(cell)
        expect(alice.output(1)).to_contain_text("You have logged out. Log in again")
    expect(alice.page.get_by_text("Kernel died")).to_have_count(0)
    expect(alice.dialog).to_have_count(0)
    bob.run(1, 2)
    expect(bob.output(1)).to_have_text("kept")
    expect(bob.output(2)).to_contain_text(bob.full_name)
    sign_in_elsewhere(alice, lab)
    alice.in_time("jupyterapp.commands.execute('kernelmenu:reconnect-to-kernel')")
    alice.kernel()
    alice.run(1, 2)
    expect(alice.output(1)).to_have_text("kept")
    expect(alice.output(2)).to_contain_text(alice.full_name)
    expect(alice.dialog).to_have_count(0)
