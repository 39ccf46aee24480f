"""``SessionBanner`` in Python: the source of its state, with and without a Jupyter server."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from servers import ROOT, eventually, json_lines, kernel_of, opened, people_on

MAKE = """
import json
from jupyter_session_user import SessionBanner
heard = []
banner = SessionBanner()
banner.observe(lambda change: heard.append(change["new"]), "state")
print(json.dumps(banner.model_id))
"""
STATE = "print(json.dumps([banner.state, banner.session_state, heard]))"


@pytest.fixture(scope="module", autouse=True)
def _installed(need):
    need(importlib.util.find_spec("anywidget"), "anywidget is missing")


async def report(socket, model, state, at=0):
    """Send a browser's state, as the front end does."""
    data = {"method": "update", "state": {"seen": {"state": state, "at": at}}, "buffer_paths": []}
    await socket.send(socket.message("comm_msg", {"comm_id": model, "data": data}))


async def state(socket):
    """Return the shown state, the kernel's state, and the observed changes."""
    return (await json_lines(socket, STATE))[-1]


async def test_state_follows_its_maker(server):
    """Alice's banner follows alice's browser, not bob's, whichever user's cell reads it."""
    alice, bob = await people_on(server)
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
    ):
        model = (await json_lines(hers, MAKE))[-1]
        await report(his, model, "signed_out", 1)
        assert await state(his) == ["active", "active", []]
        await report(hers, model, "unreachable", 2)
        assert await state(his) == ["unreachable", "active", ["unreachable"]]
        await report(hers, model, "no such state", 3)
        await report(hers, model, "active", 4)
        assert await state(hers) == ["active", "active", ["unreachable", "active"]]


async def test_as_text_it_is_one_line(server):
    """Readers without a running page get one sentence; each of two users the own banner's state."""
    alice, bob = await people_on(server)
    code = (
        "import json; from jupyter_session_user import SessionBanner; banner = SessionBanner()\n"
        "bundle = banner._repr_mimebundle_()\n"
        "data = bundle[0] if isinstance(bundle, tuple) else bundle\n"
        "print(json.dumps([data['text/plain'], repr(banner), str(banner), banner.model_id]))"
    )
    async with (
        kernel_of(alice) as kernel,
        opened(alice, kernel) as hers,
        opened(bob, kernel) as his,
    ):
        for socket in (hers, his):
            *texts, model = (await json_lines(socket, code))[-1]
            words = "shown in a running notebook when a login ends"
            assert set(texts) == {f"SessionBanner (state: active): {words}"}
            await report(socket, model, "unreachable", 1)
            (text,) = await json_lines(socket, "print(json.dumps(repr(banner)))")
            assert text == f"SessionBanner (state: unreachable): {words}"


def test_converted_notebooks_have_the_line(need, tmp_path):
    """A converted notebook shows the sentence, and no name of a class or a model's id."""
    need(importlib.util.find_spec("nbconvert"), "nbconvert is missing")
    code = "from jupyter_session_user import SessionBanner\nSessionBanner()"
    cell = {"cell_type": "code", "id": "a", "source": code, "metadata": {}, "outputs": []}
    book = {"cells": [{**cell, "execution_count": None}], "metadata": {}}
    (tmp_path / "page.ipynb").write_text(json.dumps({**book, "nbformat": 4, "nbformat_minor": 5}))
    command = ["nbconvert", "--execute", "--to", "markdown", "--stdout", "page.ipynb"]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    (line,) = (line for line in done.stdout.splitlines() if "SessionBanner (" in line)
    assert line.strip() == (
        "SessionBanner (state: active): shown in a running notebook when a login ends"
    )
    assert "Banner(" not in done.stdout.replace("SessionBanner()", "")


async def test_state_follows_the_server(server):
    """Alice signs out and in again: the kernel gets the state without a browser."""
    alice, bob = await people_on(server)
    async with kernel_of(bob) as kernel:
        async with opened(alice, kernel) as hers, opened(bob, kernel) as his:
            await json_lines(hers, MAKE)
            await json_lines(his, MAKE.replace("banner", "bobs").replace("heard", "his"))
            await alice.fetch("logout")

            async def is_ended():
                return (await state(his))[:2] == ["signed_out", "signed_out"]

            await eventually(is_ended)
            assert await json_lines(his, "print(json.dumps(bobs.state))") == ["active"]
        again, _ = await people_on(server)
        async with opened(again, kernel) as hers, opened(bob, kernel) as his:
            await hers.execute("from jupyter_session_user import get_session; get_session()")

            async def is_well():
                return await state(his) == ["active", "active", ["signed_out", "active"]]

            await eventually(is_well)


def python(code):
    """Run code in a separate interpreter, and return its output."""
    theirs = "ignore:Deprecated in traitlets 4.1:DeprecationWarning"  # ipywidgets 8.1.0
    run = [sys.executable, "-W", "error", "-W", theirs, "-c", code]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()


def test_without_a_server_code_decides():
    """In a script or marimo, ``state`` is what the code sets, and no other source counts."""
    code = (
        "from jupyter_session_user import SessionBanner\n"
        "banner = SessionBanner(texts={'signed_out': 'Weg'}, base_url='/u/')\n"
        "assert isinstance(banner, SessionBanner)\n"
        "banner.state = 'expired'\n"
        "try: banner.state = 'nonsense'\n"
        "except Exception: pass\n"
        "print(banner.state, banner.texts, banner.base_url)\n"
        "banner.close()"
    )
    assert python(code) == "expired {'signed_out': 'Weg'} /u/"


@pytest.mark.parametrize(
    ("missing", "call", "fix"),
    [
        ("anywidget", "SessionBanner()", "pip install 'jupyter-session-user[widgets]'"),
        ("panel", "SessionBanner.panel()", "pip install 'panel>=1.5.5'"),
    ],
)
def test_a_missing_package_is_named(missing, call, fix):
    """The error names the package to install."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from jupyter_session_user import ConfigurationError, SessionBanner\n"
        f"try: {call}\nexcept ConfigurationError as error: print(error)"
    )
    assert python(code).endswith(fix)


def test_panel_needs_no_anywidget(need):
    """The component of Panel is made without ipywidgets."""
    need(importlib.util.find_spec("panel"), "panel is missing")
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "from jupyter_session_user import SessionBanner\n"
        "banner = SessionBanner.panel(texts={'signed_out': 'Weg'}, margin=5)\n"
        "print(banner.state, banner.texts, banner.margin, banner.sizing_mode)"
    )
    assert python(code.replace("-W error", "")) == "active {'signed_out': 'Weg'} 5 stretch_width"


def test_the_name_costs_nothing():
    """Importing the package, and even naming the class, loads no widget package."""
    code = (
        "import sys\nfrom jupyter_session_user import SessionBanner\n"
        "print(sorted({'anywidget', 'ipywidgets', 'panel', 'traitlets'} & set(sys.modules)))"
    )
    assert python(code) == "[]"
