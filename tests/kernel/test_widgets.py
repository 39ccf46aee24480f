"""A callback of a widget runs as the user that used the widget, not as its maker."""

from __future__ import annotations

import pytest

CLICK = {"method": "custom", "content": {"event": "click"}}
BUTTON = (
    "import ipywidgets; clicks = []; button = ipywidgets.Button()\n"
    "button.on_click(lambda _: clicks.append(who())); button.comm.comm_id"
)


@pytest.fixture
def button(alice) -> str:
    """Id of a button that Alice made; its callback records the user that clicks."""
    return alice.run(BUTTON).value


def test_click(alice, bob, button):
    """Alice makes the button; a click by Bob runs as Bob, and a click by Alice as Alice."""
    bob.comm(button, CLICK)
    alice.comm(button, CLICK)
    bob.comm(button, CLICK)
    assert alice.run("(clicks, who())").value == (["bob", "alice", "bob"], "alice")


def test_observe(alice, bob):
    """If Bob moves Alice's slider, the observer runs as Bob."""
    slider = alice.run(
        "import ipywidgets; moves = []; slider = ipywidgets.IntSlider()\n"
        "slider.observe(lambda change: moves.append((change.new, who())), 'value')\n"
        "slider.comm.comm_id"
    ).value
    for person, value in ((bob, 3), (alice, 4)):
        person.comm(slider, {"method": "update", "state": {"value": value}, "buffer_paths": []})
    assert bob.run("moves").value == [(3, "bob"), (4, "alice")]


def test_click_while_alice_awaits(alice, bob, button):
    """Bob's click runs as Bob while Alice's cell is running, which still runs as Alice."""
    cell = alice.start("before = who(); await asyncio.to_thread(input); (before, who())")
    alice.until_input()
    bob.send("comm_msg", {"comm_id": button, "data": CLICK})
    alice.answer()
    assert alice.result(cell).value == ("alice", "alice")
    assert bob.run("(clicks, who())").value == (["bob"], "bob")


def test_click_during_alices_cell(alice, bob, button, ipykernel):
    """If ipykernel 7.4 handles comms during an async cell, the users stay separate, too."""
    if ipykernel < (7, 4):
        pytest.skip("this ipykernel handles comm messages after the cell")
    alice.run("clicked = threading.Event(); button.on_click(lambda _: clicked.set())")
    cell = alice.start(
        "before = who(); input(); await asyncio.to_thread(clicked.wait, 30)\n"
        "(before, clicks, who())"
    )
    alice.until_input()
    bob.send("comm_msg", {"comm_id": button, "data": CLICK})
    alice.answer()
    assert alice.result(cell).value == ("alice", ["bob"], "alice")
    assert bob.run("who()").value == "bob"


def test_task_started_by_a_click(alice, bob):
    """A task that a click starts has the user of the click, also during another user's cell."""
    button = alice.run(
        "import ipywidgets; job = Job(who); button = ipywidgets.Button()\n"
        "def start(_): global task; task = asyncio.ensure_future(job.run())\n"
        "button.on_click(start); button.comm.comm_id"
    ).value
    bob.comm(button, CLICK)
    assert alice.run("(await job.open(), who())").value == ("bob", "alice")


def test_binding_left_open_by_a_click(alice, bob, button):
    """A binding that a callback leaves open ends with the click."""
    alice.run(
        "hers = bind_current_user(session=get_session())\n"
        "button.on_click(lambda _: hers.__enter__())"
    )
    bob.comm(button, CLICK)
    bob.comm(button, CLICK)
    assert bob.run("(clicks, who())").value == (["bob", "bob"], "bob")


def test_bound_callback(alice, bob):
    """If a callback's maker has bound it, it runs as the maker at every click."""
    button = alice.run(
        "import ipywidgets; clicks = []; button = ipywidgets.Button()\n"
        "button.on_click(bind_current_user(lambda _: clicks.append(who())))\n"
        "button.comm.comm_id"
    ).value
    bob.comm(button, CLICK)
    assert bob.run("(clicks, who())").value == (["alice"], "bob")


def test_comm_opened_by_the_front_end(alice, bob):
    """Opening, message and closing of a comm each run as their sender."""
    alice.run(
        "opened = []\ndef target(comm, _):\n    opened.append(who())\n"
        "    comm.on_msg(lambda _: opened.append(who()))\n"
        "    comm.on_close(lambda _: opened.append(who()))\n"
        "get_ipython().kernel.comm_manager.register_target('who', target)"
    )
    bob.settle(bob.send("comm_open", {"comm_id": "c1", "target_name": "who", "data": {}}))
    alice.comm("c1", {})
    bob.settle(bob.send("comm_close", {"comm_id": "c1", "data": {}}))
    assert alice.run("opened").value == ["bob", "alice", "bob"]
