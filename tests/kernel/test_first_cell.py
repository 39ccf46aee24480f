"""The cell that imports the package: the kernel did not record its message."""

from __future__ import annotations

import importlib.util

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
    """A kernel without the package, and two users on it."""
    kernel = new_kernel()
    return kernel.person("alice"), kernel.person("bob")


@pytest.mark.parametrize("load", ["", "%load_ext jupyter_session_user"], ids=["import", "load_ext"])
def test_sync(two, load):
    """A sync cell that imports the package has its sender at once, and so do the next cells."""
    alice, bob = two
    bob.run("pass")
    assert alice.run(f"{load}{WHO}who()").value == "alice"
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_async(two, ipykernel):
    """An async cell has its sender on ipykernel 7; on 6 the error gives the fix."""
    alice, bob = two
    expected = "alice" if ipykernel >= (7,) else "first_cell"
    code = f"import asyncio{WHO}before = who(); await asyncio.sleep(0); (before, who())"
    assert alice.run(code).value == (expected, expected)
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_async_with_another_queued(two, ipykernel):
    """The cell that waits behind it has its own sender."""
    alice, bob = two
    first = alice.start(f"import asyncio{WHO}await asyncio.to_thread(input); who()")
    alice.until_input()
    queued = bob.start("who()")
    alice.answer()
    assert alice.result(first).value == ("alice" if ipykernel >= (7,) else "first_cell")
    assert bob.result(queued).value == "bob"


def test_task(two):
    """A task of that cell, run during Bob's cell, has Alice."""
    alice, bob = two
    alice.run(
        f"import asyncio{WHO}gate = asyncio.Event()\n"
        "async def work(): await gate.wait(); return who()\n"
        "task = asyncio.ensure_future(work())"
    )
    assert bob.run("gate.set(); (await task, who())").value == ("alice", "bob")


def test_thread(two):
    """A bare thread of that cell has no user, and the error advises an earlier import."""
    alice, bob = two
    code = (
        "def text():\n    try: get_current_user()\n"
        "    except IdentityUnavailable as error: return error.reason, str(error)\n"
    )
    reason, text = alice.run(f"{THREAD}{WHO}{code}Pool(1).submit(text).result(30)").value
    assert reason == "first_cell"
    assert "Import the package in a cell of its own" in text
    assert bob.run("(who(), Pool(1).submit(who).result(30))").value == ("bob", "no_context")


def test_bound_thread(two):
    """``bind_current_user`` works in that cell already."""
    alice, bob = two
    code = f"{THREAD}{WHO}hers = bind_current_user(who); Pool(1).submit(hers).result(30)"
    assert alice.run(code).value == "alice"
    assert bob.run("(hers(), who())").value == ("alice", "bob")


def test_imported_in_a_thread(two):
    """If a thread imports it, that thread has no user, and the next cells are right."""
    alice, bob = two
    load = f"def load(): exec({WHO!r}, globals()); return who()\n"
    code = f"{THREAD}{load}Pool(1).submit(load).result(30)"
    assert alice.run(code).value == "first_cell"
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_imported_by_a_completion(two):
    """If another user's Tab imports the package, no cell counts as the importing one."""
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
    """No identity survives a restart of the process; the package can be loaded again."""
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


SERVER = """
import asyncio
async def answer(reader, writer):
    writer.write(who().encode())
    writer.close()
server = await asyncio.start_server(answer, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
async def asked():
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = (await reader.read()).decode()
    writer.close()
    return body
await asked()
"""


def test_server_that_it_starts(two):
    """A connection to its server has no user, in that cell and in all later ones."""
    alice, bob = two
    nobody = ("first_cell", "no_context")  # until now the package may have seen only this cell
    assert alice.run(f"{WHO}{SERVER}").value in nobody
    assert bob.run("(await asked(), who())").value == ("no_context", "bob")
    assert alice.run("(await asked(), who())").value == ("no_context", "alice")
    alice.run("server.close()")


def test_finalizer_that_it_leaves(two):
    """A finalizer of that cell has no user in the cell that drops the object."""
    alice, bob = two
    code = (
        f"import weakref{WHO}class Thing: pass\nthing, seen = Thing(), []\n"
        "finalize = weakref.finalize(thing, lambda: seen.append(who())); del thing; seen"
    )
    assert alice.run(code).value == ["first_cell"]
    assert bob.run("who()").value == "bob"


LATER = f"""
import asyncio
seen = []
def load():
    exec({WHO!r}, globals())
    seen.append(who())
"""


def test_imported_by_a_server_that_a_cell_started(two):
    """Alice's cell starts a server; its first request imports the package, and is nobody's."""
    alice, bob = two
    alice.run(
        f"{LATER}"
        "async def answer(reader, writer):\n    load(); writer.close()\n"
        "server = await asyncio.start_server(answer, '127.0.0.1', 0)\n"
        "port = server.sockets[0].getsockname()[1]"
    )
    asks = "r, w = await asyncio.open_connection('127.0.0.1', port); await r.read(); w.close()"
    bob.run(asks)
    assert "alice" not in alice.run("seen").value
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]
    bob.run(asks)
    assert not {"alice", "bob"} & set(alice.run("server.close(); seen").value)


def test_imported_by_a_task_inside_a_nested_loop(two, need):
    """Bob's task imports the package while alice's cell runs a nested loop: it is not alice."""
    need(importlib.util.find_spec("nest_asyncio"), "nest_asyncio is missing")
    alice, bob = two
    bob.run(
        f"{LATER}"
        "import nest_asyncio; nest_asyncio.apply()\n"
        "gate, done = asyncio.Event(), asyncio.Event()\n"
        "async def work():\n"
        "    await gate.wait(); load(); done.set()\n"
        "    await asyncio.sleep(.2); seen.append(who())\n"
        "task = asyncio.ensure_future(work())"
    )
    alice.run("gate.set(); asyncio.get_event_loop().run_until_complete(done.wait())")
    seen = alice.run("await task; seen").value
    assert "alice" not in seen
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]


def test_imported_by_a_task_of_that_cell(two):
    """A task that imports the package has its starter or nobody, never the user of a later cell."""
    alice, bob = two
    alice.run(
        f"{LATER}gate = asyncio.Event()\n"
        "async def work():\n    await gate.wait(); load()\n"
        "task = asyncio.ensure_future(work())"
    )
    assert "bob" not in bob.run("gate.set(); await task; seen").value
    assert [bob.run("who()").value, alice.run("who()").value] == ["bob", "alice"]
