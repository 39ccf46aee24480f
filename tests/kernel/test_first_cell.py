"""The cell that imports the package, in a kernel where nothing watched before."""

from __future__ import annotations

import pytest

WHO = """
from jupyter_session_user import *
def who():
    try: return get_current_user().username
    except IdentityUnavailable as error: return error.reason
"""
THREAD = "from concurrent.futures import ThreadPoolExecutor as Pool\n"


@pytest.fixture
def two(new_kernel):
    """A kernel without the package, and the two people on it."""
    kernel = new_kernel()
    return kernel.person("alice"), kernel.person("bob")


@pytest.mark.parametrize("load", ["", "%load_ext jupyter_session_user"], ids=["import", "load_ext"])
def test_sync(two, load):
    """A sync cell that loads the package is its sender's at once, and so are the next ones."""
    alice, bob = two
    bob.run("pass")
    assert alice.run(f"{load}{WHO}who()").value == "alice"
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_async(two, ipykernel):
    """An async one too on ipykernel 7; on 6 it says so, and the next cell is right."""
    alice, bob = two
    expected = "alice" if ipykernel >= (7,) else "first_cell"
    code = f"import asyncio{WHO}before = who(); await asyncio.sleep(0); (before, who())"
    assert alice.run(code).value == (expected, expected)
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_async_with_another_queued(two, ipykernel):
    """The cell that waits behind it is never confused with it."""
    alice, bob = two
    first = alice.start(f"import asyncio{WHO}await asyncio.to_thread(input); who()")
    alice.until_input()
    queued = bob.start("who()")
    alice.answer()
    assert alice.result(first).value == ("alice" if ipykernel >= (7,) else "first_cell")
    assert bob.result(queued).value == "bob"


def test_task(two, ipykernel):
    """A task of that cell, run during Bob's, is Alice's or nobody's."""
    alice, bob = two
    alice.run(
        f"import asyncio{WHO}gate = asyncio.Event()\n"
        "async def work(): await gate.wait(); return who()\n"
        "task = asyncio.ensure_future(work())"
    )
    expected = "alice" if ipykernel >= (7,) else "no_context"
    assert bob.run("gate.set(); (await task, who())").value == (expected, "bob")


def test_thread(two):
    """A bare thread of that cell is nobody's, and the error says to import earlier."""
    alice, bob = two
    code = (
        "def text():\n    try: get_current_user()\n"
        "    except IdentityUnavailable as error: return error.reason, str(error)\n"
    )
    reason, text = alice.run(f"{THREAD}{WHO}{code}Pool(1).submit(text).result(30)").value
    assert reason == "first_cell"
    assert "Import it in a cell of its own" in text
    assert bob.run("(who(), Pool(1).submit(who).result(30))").value == ("bob", "no_context")


def test_bound_thread(two):
    """``bind_current_user`` works in that cell already."""
    alice, bob = two
    code = f"{THREAD}{WHO}hers = bind_current_user(who); Pool(1).submit(hers).result(30)"
    assert alice.run(code).value == "alice"
    assert bob.run("(hers(), who())").value == ("alice", "bob")


def test_imported_in_a_thread(two):
    """Where a thread imports it, that thread names nobody, and the next cells are right."""
    alice, bob = two
    load = f"def load(): exec({WHO!r}, globals()); return who()\n"
    code = f"{THREAD}{load}Pool(1).submit(load).result(30)"
    assert alice.run(code).value == "first_cell"
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_imported_by_a_completion(two):
    """An import that somebody's Tab causes is attributed to no cell."""
    alice, bob = two
    alice.run(
        "class Lazy:\n    def __dir__(self):\n"
        f"        exec({WHO!r}, globals()); seen.append(who()); return []\n"
        "lazy, seen = Lazy(), []"
    )
    bob.ask("complete_request", {"code": "lazy.", "cursor_pos": 5})
    assert "alice" not in alice.run("seen").value
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_loaded_when_the_kernel_starts(new_kernel):
    """Loaded as an IPython extension, no cell is the first: async is right on ipykernel 6 too."""
    kernel = new_kernel("--IPKernelApp.extensions=jupyter_session_user")
    alice, bob = kernel.person("alice"), kernel.person("bob")
    code = f"import asyncio{WHO}await asyncio.sleep(0); (who(), await asyncio.to_thread(who))"
    assert alice.run(code).value == ("alice", "alice")
    assert bob.run("(who(), await asyncio.sleep(0, who()))").value == ("bob", "bob")


def test_after_a_restart(new_kernel):
    """Nothing of the earlier identity outlives the process; loading it again works."""
    kernel = new_kernel()
    alice, bob = kernel.person("alice"), kernel.person("bob")
    assert alice.run(f"{WHO}who()").value == "alice"
    assert bob.run("who()").value == "bob"
    kernel.restart()
    stranger = kernel.client()
    stranger.run("import sys; sys.modules['psutil'] = None")
    assert stranger.run(f"{WHO}who()").value == "headless"
    assert kernel.person("bob").run("who()").value == "bob"
    assert kernel.person("alice").run("who()").value == "alice"
    assert stranger.run("who()").value == "direct_client"
