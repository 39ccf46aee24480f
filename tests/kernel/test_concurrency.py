"""Two messages handled at once: in subshells, and in nested event loops."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


@pytest.fixture
def subshell(bob, ipykernel):
    """The id of a subshell, a second thread for cells, which Bob made."""
    if ipykernel < (7,):
        pytest.skip("subshells came with ipykernel 7")
    created = bob.ask("create_subshell_request", {}, "control").reply
    yield created["subshell_id"]
    bob.ask("delete_subshell_request", {"subshell_id": created["subshell_id"]}, "control")


def test_subshell_beside_a_sync_cell(alice, bob, subshell):
    """While Alice's cell blocks the main thread, Bob's cell runs in a subshell, as Bob."""
    alice.run("go, gone = threading.Event(), threading.Event()")
    # No cell values here: IPython has one display hook for all its threads.
    main = alice.start("hers = [who()]; go.set(); gone.wait(30); hers.append(who())")
    side = bob.start(
        "go.wait(30); his = [who()]; gone.set(); his.append(who())", subshell_id=subshell
    )
    bob.result(side)
    alice.result(main)
    assert alice.run("(hers, his)").value == (["alice", "alice"], ["bob", "bob"])


def test_subshell_beside_an_async_cell(alice, bob, subshell):
    """The same with awaits in both cells."""
    alice.run("stop, names = [False, False], [None, None]")
    code = (
        "names[{0}] = set()\nwhile not all(stop):\n"
        "    stop[{0}] = True; names[{0}].add(who()); await asyncio.sleep(0)\n"
        "names[{0}].add(who())"
    )
    main = alice.start(code.format(0))
    bob.result(bob.start(code.format(1), subshell_id=subshell))
    alice.result(main)
    assert alice.run("names").value == [{"alice"}, {"bob"}]


def test_work_started_in_a_subshell(alice, bob, subshell):
    """A bare thread of a subshell has no user; a bound one and ``to_thread`` have the right one."""
    code = (
        "pool = ThreadPoolExecutor(1)\n"
        "(pool.submit(who).result(30), pool.submit(bind_current_user(who)).result(30),\n"
        " await asyncio.to_thread(who), await asyncio.ensure_future(asyncio.sleep(0, who())))"
    )
    side = bob.result(bob.start(code, subshell_id=subshell))
    assert side.value == ("no_context", "bob", "bob", "bob")
    assert alice.run("who()").value == "alice"


def test_two_people_on_one_subshell(alice, bob, subshell):
    """A subshell has no owner: each cell in it has its own sender."""
    for person, name in ((alice, "alice"), (bob, "bob"), (alice, "alice")):
        assert person.result(person.start("who()", subshell_id=subshell)).value == name


#: The method of jupyter_ui_poll and similar packages: handle other messages inside the cell.
NESTED = """
iterate = getattr(get_ipython().kernel, "do_one_iteration", lambda: asyncio.sleep(0))
loop = asyncio.get_running_loop(); before = who(); input()
end = loop.time() + patience
while inner is None and loop.time() < end:
    await asyncio.sleep(0); await iterate()
seen = (before, inner, who())
"""


def test_nested_iteration(alice, bob, ipykernel):
    """Bob's cell inside Alice's cell runs as Bob; afterwards Alice's is hers or an error."""
    alice.run(f"inner = None; patience = {10 if ipykernel < (7,) else 0.1}")
    outer = alice.start(NESTED)
    alice.until_input()
    nested = bob.start("inner = who(); inner")
    alice.answer()
    # ipykernel 6 files all later output of Alice's cell, its end included, under Bob's.
    alice.reply(outer)
    assert bob.result(nested).value == "bob"
    before, inner, after = alice.run("seen").value
    assert before == "alice"
    # ipykernel 7 keeps Bob's cell until Alice's is done; 7.4 has no such method any more.
    expected = ("bob", "disagreement") if ipykernel < (7,) else (None, "alice")
    assert (inner, after) == expected
    assert (alice.run("who()").value, bob.run("who()").value) == ("alice", "bob")


def test_bound_before_nested_iteration(alice, bob, ipykernel):
    """A binding made before the nested loop still applies after it, as the error's text advises."""
    alice.run(f"inner = None; patience = {10 if ipykernel < (7,) else 0.1}")
    outer = alice.start(f"mine = bind_current_user(who)\n{NESTED}\nseen = (inner, mine())")
    alice.until_input()
    nested = bob.start("inner = who(); inner")
    alice.answer()
    alice.reply(outer)
    assert bob.result(nested).value == "bob"
    assert alice.run("seen").value == ("bob" if ipykernel < (7,) else None, "alice")


@pytest.mark.skipif(find_spec("nest_asyncio") is None, reason="needs nest_asyncio")
def test_nest_asyncio(new_kernel, ipykernel):
    """A loop run inside a cell, as with nest_asyncio, does not change either user's identity."""
    kernel = new_kernel()
    alice, bob = kernel.person("alice"), kernel.person("bob")
    alice.run(
        "import asyncio, nest_asyncio; nest_asyncio.apply()\n"
        "from jupyter_session_user import get_current_user as u"
    )
    cell = alice.start(
        "before = u().username; input()\n"
        "asyncio.get_event_loop().run_until_complete(asyncio.sleep(0.05))\n"
        "(before, u().username)"
    )
    alice.until_input()
    queued = bob.start("u().username")
    alice.answer()
    assert alice.result(cell).value == ("alice", "alice")
    if ipykernel < (7,):  # 7.4 loses the queued cell then, with and without us
        assert bob.result(queued).value == "bob"
