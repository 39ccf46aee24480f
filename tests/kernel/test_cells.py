"""Whatever a cell of one's own runs is one's own, however two people's cells interleave."""

from __future__ import annotations

import pytest


def test_sync_cells_interleaved(alice, bob):
    """Each cell sees the person who sent it, not the one before."""
    seen = [person.run("who()").value for person in (alice, bob, bob, alice, bob, alice)]
    assert seen == ["alice", "bob", "bob", "alice", "bob", "alice"]


def test_long_cell_with_another_queued(alice, bob):
    """A cell stays its sender's while the other's waits behind it."""
    long = alice.start("before = who(); input(); (before, who())")
    alice.until_input()
    queued = bob.start("who()")
    alice.answer()
    assert alice.result(long).value == ("alice", "alice")
    assert bob.result(queued).value == "bob"


@pytest.mark.parametrize(("first", "second"), [("alice", "bob"), ("bob", "alice")])
def test_async_cells_with_awaits(alice, bob, first, second):
    """Before and after each await, an async cell is its sender's."""
    people = {"alice": alice, "bob": bob}
    code = "seen = [who()]\nfor _ in range(5):\n    await asyncio.sleep(0); seen += [who()]\nseen"
    sent = [(name, people[name].start(code)) for name in (first, second, first)]
    for name, cell in sent:
        assert people[name].result(cell).value == [name] * 6


def test_async_cell_with_another_queued(alice, bob):
    """A cell that awaits stays its sender's while the other's has arrived."""
    held = alice.start("before = who(); await asyncio.to_thread(input); (before, who())")
    alice.until_input()
    queued = bob.start("(who(), await asyncio.sleep(0, who()))")
    alice.answer()
    assert alice.result(held).value == ("alice", "alice")
    assert bob.result(queued).value == ("bob", "bob")


def test_run_nested_script(alice, bob, tmp_path):
    """A script that ``%run`` runs is the work of whoever runs it."""
    script = tmp_path / "script.py"
    script.write_text(
        "from jupyter_session_user import get_current_user\nrunner = get_current_user().username\n"
    )
    for person, name in ((alice, "alice"), (bob, "bob")):
        person.run(f"%run {script.as_posix()}")
        assert person.run("runner").value == name


def test_nested_run_cell(alice, bob):
    """A cell within a cell is the outer cell's sender's, and so is what follows."""
    code = "get_ipython().run_cell('inner = who()'); (inner, who())"
    for person, name in ((alice, "alice"), (bob, "bob"), (alice, "alice")):
        assert person.run(code).value == (name, name)


def test_cell_that_fails(alice, bob):
    """An error in one person's cell leaves nothing behind for the next."""
    assert alice.run("who(); 1 / 0").reply["ename"] == "ZeroDivisionError"
    assert bob.run("who()").value == "bob"
    assert alice.run("who()").value == "alice"


def test_user_expressions(alice, bob):
    """Expressions that travel with a cell are evaluated for its sender."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        answer = person.run("", user_expressions={"me": "who()"}).reply["user_expressions"]["me"]
        assert answer["data"]["text/plain"] == repr(name)


def test_display_hooks(alice, bob):
    """An object of Alice's that Bob displays is drawn for Bob."""
    alice.run("class Card:\n    def _repr_html_(self): return who()\ncard = Card()")
    assert bob.run("card").shown["text/html"] == "bob"
    assert alice.run("card").shown["text/html"] == "alice"
    assert bob.run("display(card)").shown["text/html"] == "bob"


@pytest.mark.parametrize("event", ["pre_execute", "pre_run_cell", "post_execute", "post_run_cell"])
def test_event_hooks(alice, bob, event):
    """A hook that Alice registered runs for the person whose cell fires it."""
    alice.run("fired = []\ndef hook(*_): fired.append(who())")
    alice.run(f"get_ipython().events.register({event!r}, hook)")
    alice.run("fired.clear()")
    bob.run("pass")
    alice.run(f"get_ipython().events.unregister({event!r}, hook)")
    named = alice.run("fired").value
    assert "bob" in named
    assert set(named) <= {"alice", "bob"}
    assert named.index("bob") == len(named) - 1 - named[::-1].index("bob")


def test_completion(alice, bob):
    """Code that a completion runs is the work of whoever pressed Tab."""
    alice.run(
        "tabs = []\nclass Lazy:\n    def __dir__(self): tabs.append(who()); return ['a']\n"
        "lazy = Lazy()"
    )
    reply = bob.ask("complete_request", {"code": "lazy.", "cursor_pos": 5}).reply
    assert reply["status"] == "ok"
    assert set(alice.run("tabs").value) == {"bob"}


def test_completion_of_keys(alice, bob):
    """So is the code that names the keys of a mapping."""
    alice.run(
        "tabs = []\nclass Keyed:\n"
        "    def _ipython_key_completions_(self): tabs.append(who()); return ['k']\n"
        "keyed = Keyed()"
    )
    bob.ask("complete_request", {"code": "keyed['", "cursor_pos": 7})
    assert set(alice.run("tabs").value) == {"bob"}


def test_inspection(alice, bob):
    """So is the code that documents an object."""
    alice.run(
        "asked = []\nclass Helpful:\n    def getdoc(self): asked.append(who()); return ''\n"
        "helpful = Helpful()"
    )
    question = {"code": "helpful", "cursor_pos": 7, "detail_level": 0}
    assert bob.ask("inspect_request", question).reply["found"]
    assert set(alice.run("asked").value) == {"bob"}


@pytest.fixture
def message_of_bob(alice, bob):
    """Make ``message`` in the kernel an execute request of Bob's, as another package may hold it.

    ipykernel 6 files whatever follows in the cell that uses it, its end included, under Bob's
    message: wait for the reply alone.
    """
    alice.run(
        "kernel = get_ipython().kernel\n"
        "message = kernel.session.msg('execute_request', {'code': 'replayed = who()',\n"
        "    'silent': False, 'store_history': False, 'user_expressions': {},\n"
        "    'allow_stdin': False})\n"
        f"message['metadata'] = {bob.client.session.metadata!r}"
    )


REPLAY = """
kernel.set_parent([], message)
await kernel.execute_request(kernel.shell_stream, [], message)
"""


def test_cell_replayed_by_another_package(alice, bob, message_of_bob):
    """Who replays a message by the kernel's own methods (jupyter_ui_poll) runs it as its sender."""
    alice.reply(alice.start(f"{REPLAY}\nafter = who()"))
    assert alice.run("(replayed, who())").value == ("bob", "alice")
    assert alice.run("after").value == "disagreement"
    assert bob.run("who()").value == "bob"


def test_cell_replayed_inside_a_binding(kernel, alice, bob, message_of_bob):
    """A binding around the replay is Alice's, and does not reach Bob's cell."""
    kernel.person("carol").run("of_carol = get_session()")
    block = REPLAY.strip().replace("\n", "\n    ")
    alice.reply(
        alice.start(f"with bind_current_user(session=of_carol):\n    {block}\n    after = who()")
    )
    assert alice.run("(replayed, after, who())").value == ("bob", "carol", "alice")


def test_parent_set_behind_the_handlers(alice, bob, message_of_bob):
    """Where another package changes the parent alone, the witnesses disagree: nobody guesses."""
    alice.reply(alice.start("before = who(); kernel.set_parent([], message); after = who()"))
    assert alice.run("(before, after, who())").value == ("alice", "disagreement", "alice")
    assert bob.run("who()").value == "bob"
