"""Panel and jupyter_bokeh in a notebook that two users have open on one kernel.

No browser here: two users' websockets, and the messages that the widgets' pages send.
"""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby

import pytest
from servers import json_lines, kernel_of, opened, people_on

PRELUDE = """
import asyncio, json, threading
import panel as pn
from jupyter_session_user import IdentityUnavailable, bind_current_user, get_current_user
heard = []
def who():
    try:
        return get_current_user().username
    except IdentityUnavailable as error:
        return error.reason
def told(*words):
    heard.append(list(words))
async def until(count):
    for _ in range(100):
        if len(heard) >= count:
            break
        await asyncio.sleep(0.005)
    print(json.dumps(heard))
"""

SHOW = """
_ = {0}._repr_mimebundle_()
_ref = next(iter({0}._models))
print(json.dumps([{0}._comms[_ref][1].id, {0}._models[_ref][0].id]))
"""

BUTTONS = {
    "sync": "lambda _: told(who())",
    "async": "in_async",
    "threads": "threads",
}
ANSWERS = {"sync": ["{}"], "async": ["{}", "{}"], "threads": ["no_context", "{}"]}
CALLBACKS = """
async def in_async(_):
    before = who()
    await asyncio.sleep(0.01)
    told(before, who())
def threads(_):
    some = []
    for work in (lambda: some.append(who()), bind_current_user(lambda: some.append(who()))):
        thread = threading.Thread(target=work); thread.start(); thread.join()
    told(*some)
"""


class Widget:
    """A Panel widget in a notebook's output, with a page of it in each user's browser."""

    def __init__(self, comm_id, model_id):
        self.comm_id, self.model_id = comm_id, model_id

    @classmethod
    async def shown(cls, maker, others, name):
        """Let its maker show it, and each user's page open its comm."""
        widget = cls(*(await json_lines(maker, SHOW.format(name)))[-1])
        for socket in (maker, *others):
            content = {"comm_id": widget.comm_id, "target_name": widget.comm_id, "data": {}}
            await socket.send(socket.message("comm_open", content))
        return widget

    async def click(self, socket):
        """Click it."""
        values = {"type": "map", "entries": [["model", {"id": self.model_id}]]}
        click = {"type": "event", "name": "button_click", "values": values}
        await self._patch(
            socket, {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": click}
        )

    async def move(self, socket, value):
        """Give it another value."""
        model = {"id": self.model_id}
        await self._patch(
            socket, {"kind": "ModelChanged", "model": model, "attr": "value", "new": value}
        )

    async def _patch(self, socket, event):
        header = {"msgid": uuid.uuid4().hex, "msgtype": "PATCH-DOC"}
        data = {"header": header, "metadata": {}, "content": {"events": [event]}}
        data["comm_id"] = self.comm_id
        content = {"comm_id": self.comm_id, "data": data}
        await socket.send(socket.message("comm_msg", content))


@asynccontextmanager
async def together(server):
    """Open one kernel of Alice's for her and Bob."""
    alice, bob = await people_on(server)
    async with AsyncExitStack() as stack:
        kernel_id = await stack.enter_async_context(kernel_of(alice))
        sockets = [await stack.enter_async_context(opened(p, kernel_id)) for p in (alice, bob)]
        for code in (PRELUDE, CALLBACKS, "pn.extension()"):
            assert not (await sockets[0].execute(code)).errors
        yield sockets


async def heard(socket, count):
    """Return the lines of the callbacks once there are this many.

    The cell awaits them, so that clicks arrive during a running cell. The cell ends, since
    ipykernel before 7.4 handles no click until then.
    """
    while len(told := (await json_lines(socket, f"await until({count})"))[-1]) < count:
        pass
    return told


@pytest.mark.parametrize("nthreads", [None, 2], ids=["no-pool", "pool"])
async def test_a_callback_sees_who_clicked(server, nthreads):
    """Alice shows buttons, both click in turns: sync, async and threads name the clicking user."""
    async with together(server) as (alice, bob):
        await alice.execute(f"pn.config.nthreads = {nthreads}")
        expected = []
        for kind, callback in BUTTONS.items():
            await alice.execute(f"{kind}_ = pn.widgets.Button(on_click={callback})")
            button = await Widget.shown(alice, [bob], f"{kind}_")
            for socket, name in ((bob, "bob"), (alice, "alice"), (alice, "alice"), (bob, "bob")):
                await button.click(socket)
                expected.append([word.format(name) for word in ANSWERS[kind]])
                assert await heard(alice, len(expected)) == expected


async def test_without_our_wrap_the_pool_knows_nobody(server):
    """The contrast: Panel's original pool gives "no_context" for both; ours names the users."""
    async with together(server) as (alice, bob):
        await alice.execute(
            "import jupyter_session_user.kernel.ipykernel as _s; _w = _s.installed().witnesses\n"
            "_watch, _w._on_message = _w._on_message, lambda _parent: None\n"
            "pn.config.nthreads = 2\n"
            "button = pn.widgets.Button(on_click=lambda _: told(who()))"
        )
        button = await Widget.shown(alice, [bob], "button")
        for count, socket in enumerate((alice, bob), 1):
            await button.click(socket)
            assert (await heard(alice, count))[-1] == ["no_context"]
        await alice.execute("_w._on_message = _watch")
        for count, (socket, name) in enumerate(((bob, "bob"), (alice, "alice")), 3):
            await button.click(socket)
            assert (await heard(alice, count))[-1] == [name]


async def test_another_pool(server):
    """Turning the pool off and on again makes another pool; it is wrapped as well."""
    async with together(server) as (alice, bob):
        await alice.execute("button = pn.widgets.Button(on_click=lambda _: told(who()))")
        button = await Widget.shown(alice, [bob], "button")
        count = 0
        for nthreads in (2, None, 1):
            await alice.execute(f"pn.config.nthreads = {nthreads}")
            for socket, name in ((bob, "bob"), (alice, "alice")):
                await button.click(socket)
                count += 1
                assert (await heard(bob, count))[-1] == [name]


@pytest.mark.parametrize("nthreads", [None, 1], ids=["no-pool", "pool"])
async def test_moves_that_wait_for_the_pool(server, nthreads):
    """Moves of both users, made while the pool is busy, never run as the other user.

    Panel merges waiting changes of one widget into one dictionary: the first user in the pool
    would act on the other user's input.
    """
    async with together(server) as (alice, bob):
        await alice.execute(
            f"pn.config.nthreads = {nthreads}\n"
            "slider = pn.widgets.IntSlider(end=9)\n"
            "slider.param.watch(lambda event: told(event.new, who()), 'value')\n"
            "gate = threading.Event()\n"
            "pn.config.nthreads and pn.state._thread_pool.submit(gate.wait, 30)"
        )
        slider = await Widget.shown(alice, [bob], "slider")
        for socket, value in ((alice, 3), (bob, 4)):
            await slider.move(socket, value)
        await bob.execute("gate.set()")
        await slider.move(alice, 5)
        while [5, "alice"] not in (seen := await heard(alice, 1)):
            pass
        assert [3, "bob"] not in seen and [4, "alice"] not in seen
        assert [4, "bob"] in seen


async def test_jupyter_bokeh(server):
    """A Bokeh model as an ipywidget: its callbacks name the user of the move or click."""
    async with together(server) as (alice, bob):
        made = await json_lines(
            alice,
            "from bokeh.models import Slider\n"
            "from jupyter_bokeh import BokehModel\n"
            "model = Slider(start=0, end=9, value=1)\n"
            "model.on_change('value', lambda attr, old, new: told(new, who()))\n"
            "widget = BokehModel(model)\n"
            "print(json.dumps([widget.comm.comm_id, model.id]))",
        )
        await through_bokeh_widget(made[-1], alice, bob)


async def test_panel_as_an_ipywidget(server):
    """Panel's widgets shown by jupyter_bokeh: the same, also on Panel's pool."""
    async with together(server) as (alice, bob):
        made = await json_lines(
            alice,
            "pn.config.nthreads = 2\n"
            "slider = pn.widgets.IntSlider(end=9, value=1)\n"
            "slider.param.watch(lambda event: told(event.new, who()), 'value')\n"
            "widget = pn.ipywidget(slider)\n"
            "print(json.dumps([widget.comm.comm_id, widget._model.id]))",
        )
        await through_bokeh_widget(made[-1], alice, bob)


async def through_bokeh_widget(ids, alice, bob):
    """Let both users move a slider that jupyter_bokeh shows, and check its callback's lines."""
    comm_id, model_id = ids
    expected = []
    for value, (socket, name) in enumerate(
        ((bob, "bob"), (alice, "alice"), (alice, "alice"), (bob, "bob")), 2
    ):
        event = {"event": "jsevent", "kind": "ModelChanged", "attr": "value", "new": value}
        custom = {"method": "custom", "content": {**event, "model": {"id": model_id}}}
        content = {"comm_id": comm_id, "data": custom}
        await socket.send(socket.message("comm_msg", content))
        expected.append([value, name])
        told = await heard(alice, 1)
        while told[-1] != [value, name]:
            told = await heard(alice, 1)
        assert [each for each, _ in groupby(told)] == expected  # jupyter_bokeh may call twice
