"""The app of the drivers for Panel."""

import asyncio
import contextlib
import threading

import panel as pn
from shared import documents, one_at_a_time, pool, say, tasks, warned, write

from jupyter_session_user import bind_current_user

TAG = pn.state.session_args.get("tag", [b"in advance"])[0].decode()
documents[TAG] = pn.state.curdoc
say(TAG, "page" if pn.state.session_args else "warm")


def thread():
    threading.Thread(target=say, args=(TAG, "thread")).start()


def bound_thread():
    threading.Thread(target=bind_current_user(say), args=(TAG, "bound_thread")).start()


def in_pool():
    pool.submit(bind_current_user(say), TAG, "pool").result()


def outliving():
    async def later():
        await asyncio.sleep(0.3)
        say(TAG, "outliving")

    async def callback():
        tasks.append(asyncio.create_task(later()))

    pn.state.execute(callback)


def put(where, documents):
    for tag, other in documents:
        with contextlib.suppress(Exception):  # the document of a visitor that has left
            other.add_next_tick_callback(lambda tag=tag: say(tag, where, TAG))


def others_document():
    others = {tag: other for tag, other in documents.items() if tag != TAG}
    put("others_document", list(others.items()))


def broadcast():
    put("broadcast", list(documents.items()))


@pn.cache
def cached():
    return warned()


def cache():
    with one_at_a_time:
        write({"tag": TAG, "where": "cache", "user": cached()})


async def generator(clicks):
    yield "one"
    await asyncio.sleep(0.05)
    if clicks:
        say(TAG, "generator")
    yield "two"


CASES = {
    "callback": lambda: say(TAG, "callback"),
    "thread": thread,
    "bound_thread": bound_thread,
    "pool": in_pool,
    "outliving": outliving,
    "others_document": others_document,
    "broadcast": broadcast,
    "cache": cache,
    "nested": lambda: say(TAG, "nested"),
    "others_token": lambda: say(TAG, "others_token"),
}
page = pn.Column()
for case, function in CASES.items():
    page.append(pn.widgets.Button(name=case, on_click=lambda event, run=function: run() and None))
streaming = pn.widgets.Button(name="generator")
page += [streaming, pn.bind(generator, streaming.param.clicks)]
ticks = iter(range(8))
pn.state.add_periodic_callback(lambda: next(ticks, None) is None or say(TAG, "periodic"), 100)
page.servable()
