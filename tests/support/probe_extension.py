"""A server extension for the tests: clients of the server's own, and looks behind the scenes.

``POST api/probe/run/<kernel>``      runs code inside the request (``when=now``), or in a task
                                     after the request is over (``when=later``)
``GET  api/probe/result``            what came of the code that ran later
``GET  api/probe/socket/<kernel>``   a websocket: runs each message it gets
``GET  api/probe/signed-cookie``     sets a cookie that the server signed
``GET  api/probe/server``            the cookie secret, and the connection class
``POST api/probe/reply/<kernel>``    sends the kernel a control message of the bridge's type
``GET  api/probe/nbmodel``           whom ``CallContext`` names when nbmodel runs a cell
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import sys
import time
from typing import Any, ClassVar

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.call_context import CallContext
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.web import create_signed_value
from tornado.websocket import WebSocketHandler

_NBMODEL: list[list[Any]] = []
_LATER: asyncio.Queue[str] = asyncio.Queue()


async def run(handler: Any, kernel_id: str, code: str) -> str:
    """Run code with a client of the kernel manager, as nbclient and Voila do."""
    client = handler.kernel_manager.get_kernel(kernel_id).client()
    client.start_channels()
    printed: list[str] = []
    try:
        await client.wait_for_ready(timeout=60)
        await client.execute_interactive(
            code, output_hook=lambda message: printed.append(_text(message)), timeout=60
        )
    finally:
        client.stop_channels()
    return "".join(printed)


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return str(content.get("text") or content.get("evalue") or "")


def _context_user() -> str:
    """Return whom the obvious source names: the handler in CallContext."""
    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    return str(handler.current_user.username) if handler is not None else ""


class RunHandler(APIHandler):
    """Runs code for the caller."""

    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    @web.authenticated
    async def post(self, kernel_id: str) -> None:
        """Run the code now or later."""
        body = self.get_json_body()
        if body["when"] == "now":
            self.finish(json.dumps({"text": await run(self, kernel_id, body["code"])}))
            return
        task = asyncio.create_task(self._later(kernel_id, body["code"]))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        self.finish("{}")

    async def _later(self, kernel_id: str, code: str) -> None:
        while not self._finished:
            await asyncio.sleep(0)
        text = await run(self, kernel_id, code)
        _LATER.put_nowait(f"CallContext={_context_user()} {text}")


class ResultHandler(APIHandler):
    """Hands out what ran later."""

    @web.authenticated
    async def get(self) -> None:
        """Wait for it, and answer."""
        self.finish(json.dumps({"text": await _LATER.get()}))


class SocketHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """Runs what it is sent, for as long as the websocket lives."""

    def set_default_headers(self) -> None:
        """Undo what makes no sense for websockets."""

    def get_compression_options(self) -> None:
        """Compress nothing."""

    @ws_authenticated
    async def get(self, kernel_id: str) -> None:
        """Open the websocket."""
        self.kernel_id = kernel_id
        await super().get(kernel_id)

    async def on_message(self, message: str) -> None:
        """Run one message."""
        text = await run(self, self.kernel_id, message)
        await self.write_message(f"CallContext={_context_user()} {text}")


class SignedCookieHandler(APIHandler):
    """Sets a cookie that the server signed ``age`` days ago; a login cookie is only shown.

    A request whose answer sets one goes on with that login, from the server's point of view.
    """

    @web.authenticated
    async def get(self) -> None:
        """Set the cookie, and return its raw value."""
        name, age = self.get_argument("name"), float(self.get_argument("age", "0"))
        signed = create_signed_value(
            self.settings["cookie_secret"],
            name,
            self.get_argument("value"),
            clock=lambda: time.time() - age * 86_400,
        ).decode()
        if name != self.identity_provider.get_cookie_name(self):
            self.set_cookie(name, signed)
        self.finish(json.dumps({"raw": signed}))


class ServerHandler(APIHandler):
    """Tells what no real server tells."""

    @web.authenticated
    async def get(self) -> None:
        """Answer."""
        cls = self.settings["kernel_websocket_connection_class"]
        secret = self.settings["cookie_secret"]
        secret = secret if isinstance(secret, bytes) else secret.encode()
        names = [c.__name__ for c in cls.__mro__]
        self.finish(json.dumps({"secret": secret.hex(), "connection_class": names}))


class ReplyHandler(APIHandler):
    """Sends what the bridge sends, and waits until the kernel has handled it."""

    @web.authenticated
    async def post(self, kernel_id: str) -> None:
        """Answer with the states that the kernel went through."""
        client = self.kernel_manager.get_kernel(kernel_id).client()
        client.start_channels(shell=False, stdin=False, hb=False)
        states: list[str] = []
        while not states:  # until the subscription is through
            message = client.session.msg("jupyter_session_user_reply", {"comm_id": "", "data": {}})
            client.control_channel.send(message)
            states = await _states(client, message["header"]["msg_id"])
        client.stop_channels()
        self.finish(json.dumps(states))


async def _states(client: Any, msg_id: str) -> list[str]:
    """Return the states that a kernel went through for a message; none if they were missed."""
    states: list[str] = []
    with contextlib.suppress(queue.Empty):
        while "idle" not in states:
            answer = await client.get_iopub_msg(timeout=1)
            if answer["parent_header"].get("msg_id") == msg_id:
                states.append(answer["content"]["execution_state"])
    return states


class NbmodelHandler(APIHandler):
    """Tells whom CallContext named."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with pairs of code and username."""
        self.finish(json.dumps(_NBMODEL))


ROUTES = [
    (r"api/probe/run/([\w-]+)", RunHandler),
    (r"api/probe/result", ResultHandler),
    (r"api/probe/socket/([\w-]+)", SocketHandler),
    (r"api/probe/signed-cookie", SignedCookieHandler),
    (r"api/probe/server", ServerHandler),
    (r"api/probe/reply/([\w-]+)", ReplyHandler),
    (r"api/probe/nbmodel", NbmodelHandler),
]


def _watch_nbmodel() -> None:
    """Note whom CallContext names at the moment when nbmodel's worker sends a cell."""
    actions = sys.modules.get("jupyter_server_nbmodel.actions")
    if actions is None:
        return
    execute = actions._execute_snippet

    async def noting(client: Any, ydoc: Any, snippet: str, *rest: Any) -> Any:
        _NBMODEL.append([snippet, _context_user()])
        return await execute(client, ydoc, snippet, *rest)

    actions._execute_snippet = noting


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "probe_extension"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    base = serverapp.web_app.settings["base_url"]
    routes = [(url_path_join(base, pattern), handler) for pattern, handler in ROUTES]
    serverapp.web_app.add_handlers(".*$", routes)
    _watch_nbmodel()
