"""Apps for Panel's previews, and the part of Bokeh's protocol that a click needs."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from pathlib import Path
from typing import Any

from bokeh.protocol import Protocol
from bokeh.protocol.receiver import Receiver
from browsing import notebook_text
from people import Person
from servers import PATIENCE_S
from sockets import shut
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

__all__ = ["ACTIONS", "EXTENSION", "RENDER", "Preview", "files"]

EXTENSION = "panel.io.jupyter_server_extension"
RENDER = "panel-preview/render/"
EXAMPLE = Path(__file__).parents[3] / "examples" / "panel" / "visitors.py"

#: The actions of the app's buttons, and the answer of each for the user named ``{who}``.
ACTIONS = {
    "sync": "sync: {who}",
    "async": "async: {who} {who}",
    "session": "session: {who} {who} {cookie}",
    "threads": "threads: no_context {who}",
    "execute": "execute: {who}",
    "scheduled": "scheduled: {who}",
    "later": "later: {who}",
    "method": "method: {who}",
}

#: Asks in every place of an app's code, and writes the answers down.
APP = """
import asyncio
import os
import threading

import panel as pn
from ipykernel import get_connection_file

from jupyter_session_user import (
    IdentityUnavailable, bind_current_user, get_cookies, get_current_user, get_session,
)

pn.extension()
pn.config.nthreads = {nthreads}


def who():
    try:
        return get_current_user().username
    except IdentityUnavailable as error:
        return error.reason


notes = pn.pane.Str("", css_classes=["notes"])


def note(*words):
    notes.object += " ".join(map(str, words)) + "; "


def sync(event):
    note("sync:", who())


async def in_async(event):
    before = who()
    await asyncio.sleep(0.01)
    note("async:", before, who())


def session(event):
    note("session:", get_session().user.username, get_session().refresh().user.username,
         get_cookies().get("locale"))


def threads(event):
    heard = []
    for work in (lambda: heard.append(who()), bind_current_user(lambda: heard.append(who()))):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    note("threads:", *heard)


def execute(event):
    pn.state.execute(lambda: note("execute:", who()))


def scheduled(event):
    pn.state.execute(lambda: note("scheduled:", who()), schedule=True)


def later(event):
    pn.state.add_periodic_callback(lambda: note("later:", who()), period=20, count=1)


class Owner:
    def method(self, event):
        note("method:", who())


callbacks = dict(zip({names}, (
    sync, in_async, session, threads, execute, scheduled, later, Owner().method,
)))
buttons = [pn.widgets.Button(name=name, on_click=call) for name, call in callbacks.items()]
slider = pn.widgets.IntSlider(name="slider", end=100)
slider.param.watch(lambda event: note("slider:", who()), "value")
pn.state.onload(lambda: note("loaded:", who()))
note("rendered:", who(), get_cookies().get("locale"))
note("kernel:", os.path.basename(get_connection_file()), "pid:", os.getpid())
note("pool:", pn.config.nthreads)
pn.Column(*buttons, slider, notes).servable()
"""

#: The page is for alice alone, or its button is.
GUARDED = """
import panel as pn
from jupyter_session_user import require_user

pn.extension()
allowed = require_user(usernames="alice", groups="finance")
notes = pn.pane.Str("")
{}
button = pn.widgets.Button(name="Book", on_click=allowed(lambda _: notes.param.update(
    object="the report")))
ready = pn.pane.Str("")
pn.state.onload(lambda: ready.param.update(object="ready"))
pn.Column(button, notes, ready).servable()
"""


def files() -> dict[str, str]:
    """Return the apps by their names: a script, with and without a thread pool; a notebook."""

    def app(nthreads: int | None) -> str:
        return APP.replace("{nthreads}", repr(nthreads)).replace("{names}", repr([*ACTIONS]))

    return {
        "app.py": app(None),
        "pool.py": app(2),
        "app.ipynb": notebook_text(app(None)),
        "guarded.py": GUARDED.format("notes.object = allowed(lambda: 'the report')()"),
        "guarded_click.py": GUARDED.format(""),
        "visitors.py": EXAMPLE.read_text(encoding="utf-8"),
    }


class Preview:
    """A preview's websocket, held by a client with the page's token.

    Attributes:
        kernel_id: The kernel that Panel made for the page.
        notes: The lines of the app that have arrived here so far.
    """

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.kernel_id = ""
        self.notes = ""
        self._socket = socket
        self._protocol = Protocol()
        self._receiver = Receiver(self._protocol)
        self._buttons: dict[str, str] = {}

    @classmethod
    async def open(cls, url: str, token: str, headers: dict[str, str]) -> Preview:
        """Open it, and fetch the document.

        Args:
            url: The page's address.
            token: The token in the page.
            headers: Sent with the handshake: cookies, or none; an origin.
        """
        request = HTTPRequest(f"ws{url[4:]}/ws", headers=headers)
        preview = cls(await websocket_connect(request, subprotocols=["bokeh", token]))
        await preview._until("ACK")
        await preview._send("PULL-DOC-REQ")
        document = (await preview._until("PULL-DOC-REPLY")).content["doc"]
        text = json.dumps(document)
        preview._buttons = {b["attributes"]["label"]: b["id"] for b in _buttons(document)}
        found = re.search(r"kernel: kernel-([\w-]+)\.json", text)
        assert found
        preview.kernel_id = found[1]
        preview.notes = text
        return preview

    async def close(self) -> None:
        """Close it; Panel then shuts the kernel down."""
        await shut(self._socket)

    async def click(self, name: str) -> None:
        """Click the button of this name."""
        values = {"type": "map", "entries": [["model", {"id": self._buttons[name]}]]}
        click = {"type": "event", "name": "button_click", "values": values}
        event = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": click}
        await self._send("PATCH-DOC", {"events": [event]})

    async def until_noted(self, text: str) -> None:
        """Wait until the app has written this line."""
        while text not in self.notes:
            message = await self._until("PATCH-DOC")
            self.notes += json.dumps(message.content)

    async def _send(self, kind: str, content: dict[str, Any] | None = None) -> None:
        header = {"msgid": uuid.uuid4().hex, "msgtype": kind}
        for part in (header, {}, content or {}):
            await self._socket.write_message(json.dumps(part))

    async def _until(self, kind: str) -> Any:
        while True:
            frame = await asyncio.wait_for(self._socket.read_message(), PATIENCE_S)
            assert frame is not None, "the server closed the websocket"
            message = await self._receiver.consume(frame)
            if message is not None and message.msgtype == kind:
                return message


async def page_token(person: Person, name: str) -> str:
    """Open a page as a user without running it, and return the token in it."""
    answer = await person.fetch(RENDER + name)
    assert answer.code == 200, answer.body
    found = re.search(rb'"token":"([^"]+)"', answer.body)
    assert found
    return found[1].decode()


def _buttons(part: Any) -> list[dict[str, Any]]:
    """Return Bokeh's buttons in a document."""
    if isinstance(part, list):
        return [button for each in part for button in _buttons(each)]
    if not isinstance(part, dict):
        return []
    here = [part] if str(part.get("name", "")).endswith("Button") and "attributes" in part else []
    return here + [button for each in part.values() for button in _buttons(each)]
