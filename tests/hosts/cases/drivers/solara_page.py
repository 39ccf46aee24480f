"""The page of the driver for Solara; ``solara run`` serves it, or the app in ``solara_app.py``."""

import asyncio
import functools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import solara
import solara.lab
from outcome import outcome
from solara.server import kernel_context

from jupyter_session_user import bind_current_user, identity_from_cookie

POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
VERSION = 1
buttons = {}
tasks = set()

if os.environ["MODE"] == "run":
    identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")


def say(case, said):
    buttons[solara.get_kernel_id()].send({"case": case, "said": said})


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@functools.lru_cache
def cached(key):
    return outcome()


def on_others(case, kernel_ids):
    for kernel_id in kernel_ids:
        with kernel_context.contexts[kernel_id]:
            say(case, outcome())


def outlive():
    async def later():
        await asyncio.sleep(0.3)
        say("outliving", outcome())

    task = asyncio.create_task(later())
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def clicked(case, other):
    ways = {
        "bound_thread": lambda: say(case, in_thread(bind_current_user(outcome))),
        "broadcast": lambda: on_others(case, list(buttons)),
        "others_document": lambda: on_others(case, [other]),
        "outliving": outlive,
        "pool": lambda: say(case, POOL.submit(bind_current_user(outcome)).result()),
        "thread": lambda: say(case, in_thread(outcome)),
    }
    ways.get(case, lambda: say(case, outcome()))()


@solara.component
def Page():
    made_for = outcome()
    count = solara.use_reactive(0)
    button = solara.v.Btn(children=["Ask"])
    solara.v.use_event(button, "click", lambda _widget, _event, data: clicked(*data))

    def ready():
        buttons[solara.get_kernel_id()] = solara.get_widget(button)
        say("page", made_for)
        say("warm", AT_IMPORT)
        say("version", VERSION)

    def gone():
        buttons.pop(solara.get_kernel_id(), None)

    def threaded():
        said = outcome()
        while solara.get_kernel_id() not in buttons:
            time.sleep(0.01)
        say("own_thread", said)

    async def tick():
        for _ in range(2):
            await asyncio.sleep(0.05)
            count.value += 1
        say("periodic", outcome())

    solara.use_effect(lambda: ready() or gone, [])
    solara.lab.use_task(tick, dependencies=[])
    solara.use_thread(threaded, dependencies=[])
