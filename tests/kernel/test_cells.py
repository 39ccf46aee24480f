"""All code that a cell runs has the cell's user, however the cells of two users interleave."""

from __future__ import annotations

import pytest


def test_sync_cells_interleaved(alice, bob):
    """Each cell has the user that sent it, not the user of the previous cell."""
    seen = [person.run("who()").value for person in (alice, bob, bob, alice, bob, alice)]
    assert seen == ["alice", "bob", "bob", "alice", "bob", "alice"]


def test_long_cell_with_another_queued(alice, bob):
    """A cell keeps its sender while another user's cell waits behind it."""
    long = alice.start("before = who(); input(); (before, who())")
    alice.until_input()
    queued = bob.start("who()")
    alice.answer()
    assert alice.result(long).value == ("alice", "alice")
    assert bob.result(queued).value == "bob"


@pytest.mark.parametrize(("first", "second"), [("alice", "bob"), ("bob", "alice")])
def test_async_cells_with_awaits(alice, bob, first, second):
    """An async cell has its sender before and after each await."""
    people = {"alice": alice, "bob": bob}
    code = "seen = [who()]\nfor _ in range(5):\n    await asyncio.sleep(0); seen += [who()]\nseen"
    sent = [(name, people[name].start(code)) for name in (first, second, first)]
    for name, cell in sent:
        assert people[name].result(cell).value == [name] * 6


def test_async_cell_with_another_queued(alice, bob):
    """A cell that awaits keeps its sender after another user's cell has arrived."""
    held = alice.start("before = who(); await asyncio.to_thread(input); (before, who())")
    alice.until_input()
    queued = bob.start("(who(), await asyncio.sleep(0, who()))")
    alice.answer()
    assert alice.result(held).value == ("alice", "alice")
    assert bob.result(queued).value == ("bob", "bob")


def test_run_nested_script(alice, bob, tmp_path):
    """A script that ``%run`` runs has the user of the cell."""
    script = tmp_path / "script.py"
    script.write_text(
        "from jupyter_session_user import get_current_user\nrunner = get_current_user().username\n"
    )
    for person, name in ((alice, "alice"), (bob, "bob")):
        person.run(f"%run {script.as_posix()}")
        assert person.run("runner").value == name


def test_nested_run_cell(alice, bob):
    """A cell within a cell has the sender of the outer cell, as does the code after it."""
    code = "get_ipython().run_cell('inner = who()'); (inner, who())"
    for person, name in ((alice, "alice"), (bob, "bob"), (alice, "alice")):
        assert person.run(code).value == (name, name)


def test_cell_that_fails(alice, bob):
    """An error in one user's cell does not affect the next user's cell."""
    assert alice.run("who(); 1 / 0").reply["ename"] == "ZeroDivisionError"
    assert bob.run("who()").value == "bob"
    assert alice.run("who()").value == "alice"


def test_user_expressions(alice, bob):
    """User expressions of a cell are evaluated as its sender."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        answer = person.run("", user_expressions={"me": "who()"}).reply["user_expressions"]["me"]
        assert answer["data"]["text/plain"] == repr(name)


def test_display_hooks(alice, bob):
    """If Bob displays an object of Alice's, its display code runs as Bob."""
    alice.run("class Card:\n    def _repr_html_(self): return who()\ncard = Card()")
    assert bob.run("card").shown["text/html"] == "bob"
    assert alice.run("card").shown["text/html"] == "alice"
    assert bob.run("display(card)").shown["text/html"] == "bob"


@pytest.mark.parametrize("event", ["pre_execute", "pre_run_cell", "post_execute", "post_run_cell"])
def test_event_hooks(alice, bob, event):
    """A hook that Alice registered runs as the user of the cell that triggers it."""
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
    """Code that a completion runs has the user that pressed Tab."""
    alice.run(
        "tabs = []\nclass Lazy:\n    def __dir__(self): tabs.append(who()); return ['a']\n"
        "lazy = Lazy()"
    )
    reply = bob.ask("complete_request", {"code": "lazy.", "cursor_pos": 5}).reply
    assert reply["status"] == "ok"
    assert set(alice.run("tabs").value) == {"bob"}


def test_completion_of_keys(alice, bob):
    """Code that names the keys of a mapping has the user of the completion."""
    alice.run(
        "tabs = []\nclass Keyed:\n"
        "    def _ipython_key_completions_(self): tabs.append(who()); return ['k']\n"
        "keyed = Keyed()"
    )
    bob.ask("complete_request", {"code": "keyed['", "cursor_pos": 7})
    assert set(alice.run("tabs").value) == {"bob"}


def test_inspection(alice, bob):
    """Code that documents an object has the user of the inspection."""
    alice.run(
        "asked = []\nclass Helpful:\n    def getdoc(self): asked.append(who()); return ''\n"
        "helpful = Helpful()"
    )
    question = {"code": "helpful", "cursor_pos": 7, "detail_level": 0}
    assert bob.ask("inspect_request", question).reply["found"]
    assert set(alice.run("asked").value) == {"bob"}


@pytest.fixture
def message_of_bob(alice, bob):
    """Make ``message`` in the kernel an execute request of Bob's, as another package may keep it.

    ipykernel 6 files all later output of the cell that uses it, its end included, under Bob's
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
    """A message replayed by the kernel's own methods (jupyter_ui_poll) runs as its sender."""
    alice.reply(alice.start(f"{REPLAY}\nafter = who()"))
    assert alice.run("(replayed, who())").value == ("bob", "alice")
    assert alice.run("after").value == "disagreement"
    assert bob.run("who()").value == "bob"


def test_cell_replayed_inside_a_binding(kernel, alice, bob, message_of_bob):
    """A binding around the replay belongs to Alice, and does not reach Bob's cell."""
    kernel.person("carol").run("of_carol = get_session()")
    block = REPLAY.strip().replace("\n", "\n    ")
    alice.reply(
        alice.start(f"with bind_current_user(session=of_carol):\n    {block}\n    after = who()")
    )
    assert alice.run("(replayed, after, who())").value == ("bob", "carol", "alice")


def test_parent_set_behind_the_handlers(alice, bob, message_of_bob):
    """If another package changes the parent alone, the witnesses disagree: that is an error."""
    alice.reply(alice.start("before = who(); kernel.set_parent([], message); after = who()"))
    assert alice.run("(before, after, who())").value == ("alice", "disagreement", "alice")
    assert bob.run("who()").value == "bob"
