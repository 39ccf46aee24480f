"""The page for the tests of Solara: each answer is the user in one place of a page."""

import asyncio
import multiprocessing.pool
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import solara
import solara.lab
from solara.server import kernel_context
from who import who

buttons = {}
tasks = []
pools = {}
shared = threading.Lock()
name = solara.reactive("")


def say(case, said):
    buttons[solara.get_kernel_id()].send({"case": case, "said": said})


def lazy(make):
    """Return a pool that the first visitor's click makes, with its threads."""
    with shared:
        if make not in pools:
            pools[make] = make(1)
        return pools[make]


async def waiting_in(kernel_id):
    """Wait within another visitor's context, which Solara then sets for this thread."""
    with kernel_context.contexts[kernel_id]:
        await asyncio.sleep(0.5)


async def within(kernel_id):
    async with kernel_context.contexts[kernel_id]:
        await asyncio.sleep(0)
        said = who()
        await asyncio.sleep(0.05)
        return [said, who()]


async def clicked_async(case, other):
    if case == "to_thread":
        say(case, await asyncio.to_thread(who))
    if case == "async_with":
        mine = solara.get_kernel_id()
        found = [await within(other), who()]
        with kernel_context.contexts[mine]:
            say(case, found)


def changed(value):
    if value:
        say("on_change", who())


def clicked(case, other):
    if case == "executor":
        say(case, lazy(ThreadPoolExecutor).submit(who).result())
    elif case == "thread_pool":
        say(case, lazy(multiprocessing.pool.ThreadPool).apply(who))
    elif case == "wait_elsewhere":
        tasks.append(asyncio.create_task(waiting_in(other)))
    elif case == "after_waiting":
        said = who()
        for kernel_id, button in buttons.items():
            if kernel_id != other:
                button.send({"case": case, "said": said})
    elif case == "on_change":
        name.value = "changed"
    elif case == "outside":
        with kernel_context.without_context():
            said = who()
        say(case, said)
    elif case in {"to_thread", "async_with"}:
        tasks.append(asyncio.create_task(clicked_async(case, other)))
    else:
        say(case, who())


@solara.component
def Page():
    button = solara.v.Btn(children=["Ask"])
    solara.v.use_event(button, "click", lambda _widget, _event, data: clicked(*data))
    mounted = lambda: buttons.update({solara.get_kernel_id(): solara.get_widget(button)})  # noqa: E731
    solara.use_effect(mounted, [])
    solara.use_effect(lambda: say("page", who()), [])

    solara.use_effect(lambda: name.subscribe(changed), [])

    def threaded():
        said = who()
        while solara.get_kernel_id() not in buttons:
            time.sleep(0.01)
        say("use_task", said)

    solara.lab.use_task(threaded, dependencies=[])
