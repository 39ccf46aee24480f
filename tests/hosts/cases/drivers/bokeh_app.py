"""The app of the driver for Bokeh's own server."""

import asyncio
import contextlib
import threading

from bokeh.io import curdoc
from bokeh.models import Button, Column
from shared import documents, pool, say, tasks

from jupyter_session_user import bind_current_user

doc = curdoc()
TAG = doc.session_context.request.arguments.get("tag", [b""])[0].decode()
documents[TAG] = doc
say(TAG, "page")


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

    doc.add_next_tick_callback(callback)


def put(where, documents):
    for tag, other in documents:
        with contextlib.suppress(Exception):  # the document of a visitor that has left
            other.add_next_tick_callback(lambda tag=tag: say(tag, where, TAG))


def others_document():
    others = {tag: other for tag, other in documents.items() if tag != TAG}
    put("others_document", list(others.items()))


def broadcast():
    put("broadcast", list(documents.items()))


CASES = {
    "callback": lambda: say(TAG, "callback"),
    "thread": thread,
    "bound_thread": bound_thread,
    "pool": in_pool,
    "outliving": outliving,
    "others_document": others_document,
    "broadcast": broadcast,
    "others_token": lambda: say(TAG, "others_token"),
}
buttons = []
for case, function in CASES.items():
    button = Button(label=case)
    button.on_click(function)
    buttons.append(button)
ticks = iter(range(8))
doc.add_periodic_callback(lambda: next(ticks, None) is None or say(TAG, "periodic"), 100)
doc.add_root(Column(*buttons))
