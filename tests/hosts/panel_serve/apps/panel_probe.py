"""Records the visitor in each place of a Panel app, and the answers of the obvious solutions."""

import asyncio
import contextlib
import json
import os
import threading
from pathlib import Path

import feed
import panel as pn

from jupyter_session_user import (
    IdentityUnavailable,
    SessionUserError,
    bind_current_user,
    get_access_token,
    get_cookies,
    get_current_user,
    get_session,
)

TAG = pn.state.session_args.get("tag", [b""])[0].decode()
DOCUMENTS = vars(asyncio).setdefault("_probe_documents", {})  # of all visitors of this process
DOCUMENTS[TAG] = pn.state.curdoc


def own_token():
    """Return the access token of the visitor's login, or the code of the error."""
    try:
        return str(get_access_token("trino"))
    except SessionUserError as error:
        return error.code


def who():
    try:
        session = get_session()
    except IdentityUnavailable as error:
        return {"error": error.reason, "text": str(error)}
    return {
        "user": "-" if session.user.is_anonymous else session.user.username,
        "source": session.source,
        "verified": session.verified,
        "cookies": sorted(get_cookies()),
        "headers": session.headers,
        "name": session.user.name,
        "groups": session.user.groups,
        "expires_at": str(session.expires_at),
        "pid": os.getpid(),
        "token": own_token(),
        "pn_user": pn.state.user,
        "pn_header": pn.state.headers.get("X-Forwarded-User") if pn.state.curdoc else None,
    }


def say(where, **more):
    line = {"tag": TAG, "where": where, **who(), **more}
    line["pool"] = threading.current_thread() is not threading.main_thread()
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(json.dumps(line) + "\n")
    return line


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


async def forever():
    """One task for the process, like a data feed."""
    while True:
        await asyncio.sleep(0.1)
        say("process-wide")


if "forever" in TAG and not vars(asyncio).get("_probe_task"):
    asyncio._probe_task = asyncio.get_event_loop().create_task(forever())
    feed.say = say
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
