"""JupyterLab with jupyter-server-nbmodel: cells go over HTTP, and the server runs them."""

from __future__ import annotations

import importlib.util

import pytest
from browsing import FULL_NAMES, Desk, jupyter_lab, notebook_text, together

pytestmark = pytest.mark.browser

CELLS = (
    "from jupyter_session_user import get_current_user; get_current_user()",
    "import asyncio\nawait asyncio.sleep(0.2)\nget_current_user()",
)


@pytest.fixture(scope="module")
def nbmodel_lab(need, _everything, tmp_path_factory):
    """Run JupyterLab with jupyter-server-nbmodel."""
    need(importlib.util.find_spec("jupyter_server_nbmodel"), "jupyter-server-nbmodel is missing")
    files = {"cells.ipynb": notebook_text(*CELLS)}
    config = tmp_path_factory.mktemp("nbmodel")
    with jupyter_lab(config, nbmodel=True, files=files) as running:
        yield running


def test_cells_over_http_show_who_is_at_the_browser(chromium, nbmodel_lab, expect):
    """The server runs the cells, one after the other, and each is that of who sent it.

    JupyterLab lets an extension run its cells since 4.2. Before, they go over the websocket
    though nbmodel is installed, and each is that of who sent it, too.
    """
    desks = [Desk.of(chromium.new_context(), nbmodel_lab, name) for name in FULL_NAMES]
    posts = []
    for desk in desks:
        desk.page.on("request", lambda sent: posts.append(f"{sent.method} {sent.url}"))
    assert len({desk.open("cells.ipynb") for desk in desks}) == 1
    for cell in (0, 1, 0, 1):
        together(desks, cell)
        for desk in desks:
            expect(desk.output(cell)).to_contain_text(desk.full_name)
            expect(desk.output(cell)).not_to_contain_text(desk.somebody_else)
    by_http = [line for line in posts if line.startswith("POST ") and "/execute?" in line]
    lab = desks[0].page.evaluate("jupyterapp.version")
    over_http = tuple(map(int, lab.split(".")[:2])) >= (4, 2)
    assert len(by_http) == (8 if over_http else 0)
