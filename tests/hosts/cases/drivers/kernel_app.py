"""The app of the drivers for hosts with a kernel: it does the case that a page's comm names."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from IPython import get_ipython
from outcome import outcome
from tornado.ioloop import PeriodicCallback
from traitlets import HasTraits, Int

from jupyter_session_user import bind_current_user

pool = ThreadPoolExecutor(1)
pool.submit(int).result()  # its only thread begins without a user
tasks = []
updates = []


class Shared(HasTraits):
    """An object that all pages of the kernel watch."""

    version = Int()


shared = Shared()


def one(outcomes):
    """Return the outcome where all are the same, else all of them."""
    return "|".join(sorted(set(outcomes)))


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


async def periodic():
    ticks = []
    callback = PeriodicCallback(lambda: ticks.append(outcome()), 50)
    callback.start()
    while len(ticks) < 3:
        await asyncio.sleep(0.02)
    callback.stop()
    return one(ticks)


async def outliving():
    await asyncio.sleep(0.3)
    return outcome()


async def words():
    for _ in range(3):
        yield outcome()
        await asyncio.sleep(0.05)


async def generator():
    return one([word async for word in words()])


def broadcast():
    updates.clear()
    shared.version += 1
    assert len(updates) > 1, "one page alone watches"
    return one(updates)


CASES = {
    "callback": outcome,
    "periodic": periodic,
    "thread": lambda: in_thread(outcome),
    "bound_thread": lambda: in_thread(bind_current_user(outcome)),
    "pool": lambda: pool.submit(bind_current_user(outcome)).result(),
    "outliving": outliving,
    "others_document": outcome,
    "broadcast": broadcast,
    "generator": generator,
}


def opened(comm, _):
    """Answer the messages of a page, and watch the shared object."""
    shared.observe(lambda _: updates.append(outcome()), "version")

    def reply(asked, found):
        comm.send({"asked": asked, "outcome": found})

    async def later(asked, work):
        reply(asked, await work)

    @comm.on_msg
    def on_msg(message):
        data = message["content"]["data"]
        found = CASES[data["case"]]()
        if isinstance(found, str):
            reply(data["asked"], found)
        else:
            tasks.append(asyncio.ensure_future(later(data["asked"], found)))


get_ipython().kernel.comm_manager.register_target("cases", opened)
