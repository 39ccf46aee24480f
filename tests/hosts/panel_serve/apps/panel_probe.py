"""Records the visitor in each place of a Panel app, and the answers of the obvious solutions."""

import asyncio
import contextlib
import functools
import threading

import feed
import panel as pn

from jupyter_session_user import bind_current_user, get_current_user

TAG = pn.state.session_args.get("tag", [b""])[0].decode()
DOCUMENTS = vars(asyncio).setdefault("_probe_documents", {})  # of all visitors of this process
DOCUMENTS[TAG] = pn.state.curdoc
say = functools.partial(feed.say, TAG)


def clicked(event):
    line = say("click")
    said.object = f"clicked by {line.get('user') or line['error']}"
    say("cache", cached=pn.state.cache["user"])
    # The answer of pn.state.curdoc in such a thread: the document that the loop is handling.
    threading.Thread(target=say, args=("thread",)).start()
    threading.Thread(target=bind_current_user(say), args=("bound thread",)).start()
    pn.state.execute(later)
    pn.state.execute(lambda: say("executed"))
    if pn.config.nthreads:
        pn.state.execute(lambda: say("on pool"), schedule="thread")
    else:
        with contextlib.suppress(RuntimeError):  # Bokeh 3.10 calls it in a thread without a loop
            asyncio.get_running_loop().create_task(orphan())


async def later():
    say("async")
    await asyncio.sleep(0.01)
    say("async later")
    await asyncio.to_thread(say, "to_thread")


async def orphan():
    await asyncio.sleep(0.1)
    say("orphan")


def broadcast(event):
    for tag, other in list(DOCUMENTS.items()):
        with contextlib.suppress(Exception):  # the document of a visitor that has left
            other.add_next_tick_callback(lambda tag=tag: say("broadcast", on=tag))


def reactive(clicks):
    say("bound function")
    return f"reactive: {get_current_user().name}"


async def stream(clicks):
    say("generator")
    yield "one"
    await asyncio.sleep(0.01)
    say("generator later")
    yield "two"


if "forever" in TAG:
    asyncio._probe_task = asyncio.get_event_loop().create_task(feed.forever())
    pn.state.schedule_task("probe", feed.scheduled, period="1s")

first = say("page")
pn.state.cache["user"] = TAG  # the obvious solution; the last visitor wins
button = pn.widgets.Button(name="Click", on_click=clicked)
everybody = pn.widgets.Button(name="Everybody", on_click=broadcast)
said = pn.pane.Markdown(f"page of {first.get('user') or first['error']}")
pn.state.onload(lambda: say("onload"))
pn.state.add_periodic_callback(lambda: say("periodic"), 300)
pn.Column(
    said,
    button,
    everybody,
    pn.bind(reactive, button.param.clicks),
    pn.bind(stream, button.param.clicks),
).servable()
