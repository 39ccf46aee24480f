"""Panel in a notebook that two users have open in JupyterLab, on one kernel."""

from __future__ import annotations

import importlib.util

import pytest
from browsing import FULL_NAMES, Desk, jupyter_lab, notebook_text

pytestmark = pytest.mark.browser

# ``inline``: Panel's scripts come with the cell, not from a CDN.
NOTEBOOK = notebook_text(
    "import asyncio\nimport panel as pn\npn.extension(inline=True)",
    "from jupyter_session_user import get_current_user\n"
    "heard = []\n"
    "def sync(event):\n"
    "    heard.append(f'sync {get_current_user().username}')\n"
    "async def later(event):\n"
    "    await asyncio.sleep(0.01)\n"
    "    heard.append(f'async {get_current_user().username}')\n"
    "buttons = [pn.widgets.Button(name='sync', on_click=sync),\n"
    "           pn.widgets.Button(name='async', on_click=later)]",
    "pn.Column(*buttons)",
    "count = len(heard) + 1  # of the click that comes next",
    # Awaited, so that a click arrives during a running cell. The cell ends, since ipykernel before
    # 7.4 handles no click until then.
    "for _ in range(50):\n    if len(heard) >= count:\n        break\n"
    "    await asyncio.sleep(0.01)\nprint(len(heard), heard)",
    "pn.config.nthreads = 2",
)


@pytest.fixture(scope="module")
def desks(need, chromium, tmp_path_factory):
    """Return alice and bob in JupyterLab."""
    need(importlib.util.find_spec("jupyterlab"), "jupyterlab is missing")
    files = {"panel.ipynb": NOTEBOOK}
    with jupyter_lab(tmp_path_factory.mktemp("lab"), files=files) as lab:
        yield [Desk.of(chromium.new_context(), lab, name) for name in FULL_NAMES]


def test_a_callback_sees_who_clicked(desks, expect):
    """Alice makes buttons, both show them and click: sync and async, then on Panel's pool.

    Cells show the users of the callbacks: with two browsers on a kernel, Panel does not always
    show a callback's *changes* in both pages, with or without this package.
    """
    assert len({desk.open("panel.ipynb") for desk in desks}) == 1
    alice, bob = desks
    alice.run(0, 1, 2)
    bob.run(0, 2)
    heard = []
    for _ in ("no pool", "pool"):
        for desk in (bob, alice, alice, bob):
            for kind in ("sync", "async"):
                desk.run(3)
                desk.output(2).get_by_role("button", name=kind, exact=True).click()
                heard.append(f"{kind} {desk.name}")
                desk.run(4)
                while not desk.output(4).inner_text().startswith(f"{len(heard)} "):
                    desk.run(4)
                expect(desk.output(4)).to_contain_text(repr(heard)[-60:])
        alice.run(5)
