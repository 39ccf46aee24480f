"""A user with a Streamlit app, limited to Streamlit's protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sockets import shut
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

__all__ = ["ScriptError", "Tab", "tabs_of"]

PATIENCE_S = 60.0


class ScriptError(AssertionError):
    """The page shows an exception of the script."""


class Tab:
    """One open tab.

    Attributes:
        said: The output of the app so far.
        cookie: The browser's cookie.
        redirect: The address to which the app has redirected the browser, to log in or out.
    """

    def __init__(self, host: str, cookie: str = "", **headers: str) -> None:
        self.said: dict[str, Any] = {}
        self.cookie = cookie
        self.redirect = ""
        self._host = host
        self._headers = headers
        self._buttons: dict[str, tuple[str, str]] = {}
        self._session = ""
        self._socket: Any = None
        self._exception: Any = None

    async def open(self, query: str = "") -> Tab:
        """Connect, and wait until the script has run."""
        await self.connect()
        return await self.run(query)

    async def connect(self) -> None:
        """Reconnect to this tab's previous session, as Streamlit's front end does."""
        cookie = await self._with_xsrf()
        token = cookie.partition("_streamlit_xsrf=")[2].partition(";")[0]
        headers = {"Cookie": cookie, "Origin": f"http://{self._host}", **self._headers}
        self._socket = await websocket_connect(
            HTTPRequest(f"ws://{self._host}/_stcore/stream", headers=headers),
            subprotocols=["streamlit", token, *filter(None, [self._session])],
        )

    async def _with_xsrf(self) -> str:
        health = await AsyncHTTPClient().fetch(f"http://{self._host}/_stcore/health")
        found = [c.partition(";")[0] for c in health.headers.get_list("Set-Cookie")]
        return "; ".join(filter(None, [self.cookie, *found]))

    async def run(self, query: str = "", button: str = "") -> Tab:
        """Run the script, by a button if one is named, and wait until it has finished.

        Raises:
            ScriptError: If the page shows an exception.
        """
        await self.start(query, button)
        await asyncio.wait_for(self._read(), PATIENCE_S)
        return self

    async def start(self, query: str = "", button: str = "") -> None:
        """Run the script without waiting."""
        from streamlit.proto.BackMsg_pb2 import BackMsg

        message = BackMsg()
        message.rerun_script.query_string = query
        if button:
            widget, fragment = self._buttons[button]
            message.rerun_script.fragment_id = fragment
            pressed = message.rerun_script.widget_states.widgets.add()
            pressed.id, pressed.trigger_value = widget, True
        await self._socket.write_message(message.SerializeToString(), binary=True)

    async def _read(self) -> None:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        while (data := await self._socket.read_message()) is not None:
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self._session = message.new_session.initialize.session_id
            elif kind == "auth_redirect":
                self.redirect = message.auth_redirect.url
            elif kind == "delta":
                self._take(message.delta)
            elif kind == "script_finished":
                shown, self._exception = self._exception, None
                if shown:
                    raise ScriptError(shown)
                return
        raise AssertionError((self._socket.close_code, self._socket.close_reason))

    def _take(self, delta: Any) -> None:
        element = delta.new_element
        if element.WhichOneof("type") == "exception":
            self._exception = element.exception
        elif element.WhichOneof("type") == "text":
            self.said.update(json.loads(element.text.body))
        elif element.WhichOneof("type") == "button":
            self._buttons[element.button.label] = (element.button.id, delta.fragment_id)

    async def close(self) -> None:
        """Close the connection; the tab stays."""
        if self._socket is not None:
            await shut(self._socket)
            self._socket = None


@asynccontextmanager
async def tabs_of(host: str, *cookies: str) -> AsyncIterator[list[Tab]]:
    """Make tabs for the block, one for each browser."""
    tabs = [Tab(host, cookie) for cookie in cookies]
    try:
        yield tabs
    finally:
        for tab in tabs:
            await tab.close()
