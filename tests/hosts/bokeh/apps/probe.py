"""Records the visitor in each place of a Bokeh app: the page, callbacks, threads."""

import asyncio
import contextlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bokeh.io import curdoc
from bokeh.models import Button, Column, Div

from jupyter_session_user import IdentityUnavailable, bind_current_user, get_cookies, get_session

doc = curdoc()
TAG = doc.session_context.request.arguments.get("tag", [b""])[0].decode()
DOCUMENTS = vars(asyncio).setdefault("_probe_documents", {})  # of all visitors of this process
DOCUMENTS[TAG] = doc


def who():
    try:
        session = get_session()
    except IdentityUnavailable as error:
        return {"error": error.reason, "text": str(error)}
    return {
        "user": "-" if session.user.is_anonymous else session.user.username,
        "source": session.source,
        "verified": session.verified,
        "id": session.id,
        "cookies": sorted(get_cookies()),
        "signed": get_cookies().get_signed("user") if "PROBE_SIGNED" in os.environ else None,
        "headers": session.headers,
        "name": session.user.name,
        "pid": os.getpid(),
    }


ORPHANS = []


def say(where, **more):
    line = {"tag": TAG, "where": where, **who(), **more}
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(json.dumps(line) + "\n")
    return line


def clicked():
    line = say("click")
    div.text = f"clicked by {line.get('user') or line['error']}"
    threading.Thread(target=say, args=("thread",)).start()
    threading.Thread(target=bind_current_user(say), args=("bound thread",)).start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(say, "executor").result()
        pool.submit(bind_current_user(say), "bound executor").result()
    doc.add_timeout_callback(lambda: say("timeout"), 20)
    doc.add_next_tick_callback(later)


async def later():
    say("async")
    await asyncio.sleep(0.01)
    say("async later")
    await asyncio.to_thread(say, "to_thread")
    await asyncio.create_task(task())
    ORPHANS.append(asyncio.create_task(orphan()))  # not in clicked(): Bokeh 3.10 has no loop there


async def task():
    say("awaited task")


async def orphan():
    await asyncio.sleep(0.1)
    say("orphan")


def broadcast():
    for tag, other in list(DOCUMENTS.items()):
        with contextlib.suppress(AttributeError):  # the document of a visitor that has left
            other.add_next_tick_callback(lambda tag=tag: say("broadcast", on=tag))


async def forever():
    """One task for the process, like a data feed."""
    while True:
        await asyncio.sleep(0.1)
        say("process-wide")


if "forever" in TAG:
    asyncio._probe_task = asyncio.get_event_loop().create_task(forever())

button, everybody = Button(label="Click"), Button(label="Everybody")
button.on_click(clicked)
everybody.on_click(broadcast)
first = say("page")
div = Div(text=f"page of {first.get('user') or first['error']}", name="said")
doc.add_periodic_callback(lambda: say("periodic"), 300)
doc.add_root(Column(div, button, everybody))
