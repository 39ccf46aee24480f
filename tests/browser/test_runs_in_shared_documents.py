"""Who ran each cell, with packages that share the document itself, each in its environment.

jupyter-collaboration shares the document, and each browser sends its own cells. With
jupyter-server-documents, the server runs the cells of all, and one worker sends them.
"""

from __future__ import annotations

import importlib.util
import re

import pytest
from badges import ALICE, BOB, CELLS, KEPT, WRITE, agent_acts, badge, picture, says
from browsing import Desk, jupyter_lab, notebook_text

pytestmark = pytest.mark.browser

#: See make test-collaboration and make test-documents: these change every JupyterLab.
PACKAGES = {"collaboration": "jupyter_server_ydoc", "documents": "jupyter_server_documents"}


@pytest.fixture(scope="module", params=PACKAGES)
def office(request, _everything, tmp_path_factory):
    """Run JupyterLab with one of the packages."""
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"{PACKAGES[request.param]} is missing: make test-{request.param}")
    files = {f"{number}.ipynb": notebook_text(*CELLS) for number in range(3)}
    config = tmp_path_factory.mktemp(request.param)
    with jupyter_lab(config, files=files, **{request.param: True}) as running:
        yield running


def at(chromium, office, name, path):
    """Return a person in front of a notebook."""
    desk = Desk.of(chromium.new_context(), office, name)
    desk.open(path)
    return desk


def test_two_people_and_an_agent(chromium, office, expect, request):
    """Each cell has the name of the one who ran it, on all pages; also on one opened later."""
    alice, bob = (at(chromium, office, name, "0.ipynb") for name in ("alice", "bob"))
    assert alice.kernel() == bob.kernel()
    alice.run(0)
    bob.run(1)
    expect(alice.output(1)).to_contain_text("by Bob Brown")
    agent_acts(alice, office, "cell-2", "max(sales)")
    bob.run(3)
    later = at(chromium, office, "bob", "0.ipynb")
    for desk in (alice, bob, later):
        expect(badge(desk, 0)).to_have_accessible_name(says(ALICE))
        expect(badge(desk, 1)).to_have_accessible_name(says(BOB))
        expect(badge(desk, 2)).to_have_accessible_name(says(f"agent “Helper” for {ALICE}"))
        expect(badge(desk, 3)).to_have_accessible_name(says(BOB))
        expect(badge(desk, 3)).to_have_accessible_name(re.compile(r", failed$"))
        assert desk.page.evaluate(KEPT, 0) is None  # no name goes into the shared document
    alice.run(1)
    for desk in (alice, bob, later):
        expect(badge(desk, 1)).to_have_accessible_name(says(ALICE))
    picture(bob, f"runs-{request.node.callspec.params['office']}")


def test_cells_that_wait_behind_anothers(chromium, office, expect):
    """Alice's cell waits behind Bob's slow one: each badge has the own name, not the worker's."""
    alice, bob = (at(chromium, office, name, "1.ipynb") for name in ("alice", "bob"))
    code = "import time; time.sleep(3); max([1])"
    bob.page.evaluate(WRITE.replace("[4]", "[2]"), code)
    expect(alice.page.locator(".jp-Notebook:visible")).to_contain_text("time.sleep")
    bob.start(2)
    alice.start(1)
    bob.finish()
    alice.finish()
    expect(alice.output(1)).to_contain_text("by Alice Adams")
    for desk in (alice, bob):
        expect(badge(desk, 2)).to_have_accessible_name(says(BOB))
        expect(badge(desk, 1)).to_have_accessible_name(says(ALICE))


def test_code_in_the_kernel_names_nobody(chromium, office, expect):
    """Messages in Bob's name that Alice's cell makes the kernel send leave the cell Alice's."""
    alice, bob = (at(chromium, office, name, "2.ipynb") for name in ("alice", "bob"))
    alice.run(4)
    bob.run(0)
    for desk in (alice, bob):
        expect(badge(desk, 0)).to_have_accessible_name(says(BOB))
        expect(badge(desk, 4)).to_have_accessible_name(says(ALICE))
