"""A server extension for the tests: server-side clients, and internal data of the server.

``POST api/probe/run/<kernel>``      runs code inside the request (``when=now``), or in a task
                                     after the request is over (``when=later``)
``POST api/probe/outside/<kernel>``  starts a server inside the request, connects to it, and has
                                     what that server accepts run code (``way``: how it listens)
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
import socketserver
import sys
import time
from contextvars import ContextVar
from typing import Any, ClassVar

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.call_context import CallContext
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.tcpserver import TCPServer
from tornado.web import create_signed_value
from tornado.websocket import WebSocketHandler

_NBMODEL: list[list[Any]] = []
_LATER: asyncio.Queue[str] = asyncio.Queue()


class OwnClient(AsyncKernelClient):
    """A runner's own class of clients."""


def make_client(manager: Any, way: str) -> Any:
    """Return a client of a kernel, made in one of the usual ways."""
    if way == "manager":  # nbclient, Voila
        return manager.client()
    if way == "factory":  # jupyter-server-documents
        client = manager.client_factory(parent=manager, config=manager.config)
        client.load_connection_info(manager.get_connection_info())
        return client
    client = OwnClient()
    client.load_connection_file(manager.connection_file)
    return client


async def run(handler: Any, kernel_id: str, code: str, way: str = "manager") -> str:
    """Run code with a server-side client."""
    client = make_client(handler.kernel_manager.get_kernel(kernel_id), way)
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
    """Return the user of the obvious source: the handler in CallContext."""
    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    return str(handler.current_user.username) if handler is not None else ""


class RunHandler(APIHandler):
    """Runs code for the caller."""

    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    @web.authenticated
    async def post(self, kernel_id: str) -> None:
        """Run the code now or later."""
        body = self.get_json_body()
        way = body.get("way", "manager")
        if body["when"] == "now":
            self.finish(json.dumps({"text": await run(self, kernel_id, body["code"], way)}))
            return
        task = asyncio.create_task(self._later(kernel_id, body["code"], way))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        self.finish("{}")

    async def _later(self, kernel_id: str, code: str, way: str) -> None:
        while not self._finished:
            await asyncio.sleep(0)
        text = await run(self, kernel_id, code, way)
        _LATER.put_nowait(f"CallContext={_context_user()} {text}")


class Outside:
    """Servers that listen in the context of a request, with connections from outside.

    Args:
        answer: Returns what a connection is told, from a task of that connection.
    """

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def over_asyncio(self) -> str:
        """Listen as uvicorn does."""

        async def accepted(reader: Any, writer: Any) -> None:
            writer.write((await self._answer()).encode())
            writer.close()

        async with await asyncio.start_server(accepted, "127.0.0.1", 0) as listening:
            return await self._said(listening.sockets[0].getsockname()[1])

    async def over_tornado(self) -> str:
        """Listen as another web server of Tornado does."""
        answer = self._answer

        class Server(TCPServer):
            async def handle_stream(self, stream: Any, address: Any) -> None:
                await stream.write((await answer()).encode())
                stream.close()

        server = Server()
        server.listen(0, "127.0.0.1")
        try:
            (listening,) = server._sockets.values()
            return await self._said(listening.getsockname()[1])
        finally:
            server.stop()

    async def over_thread(self) -> str:
        """Listen as ``http.server`` does, in a thread that has the request's context."""
        loop, answer = asyncio.get_running_loop(), self._answer

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                # A task has the context of the code that makes it: this thread's.
                told = asyncio.run_coroutine_threadsafe(answer(), loop)
                self.request.sendall(told.result().encode())

        with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
            serving = asyncio.create_task(asyncio.to_thread(server.serve_forever))
            try:
                return await self._said(server.server_address[1])
            finally:
                server.shutdown()
                await serving

    async def _said(self, port: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = await reader.read()
        writer.close()
        return said.decode()


_obvious: ContextVar[str] = ContextVar("probe_obvious", default="")


class OutsideHandler(APIHandler):
    """A request that starts a server and runs while the server accepts a connection."""

    @web.authenticated
    async def post(self, kernel_id: str) -> None:
        """Answer with the results of the connection, and of code that this request runs later."""
        body = self.get_json_body()
        _obvious.set(self.current_user.username)

        async def answer() -> str:
            return f"context={_obvious.get()} {await run(self, kernel_id, body['code'])}"

        outside = await getattr(Outside(answer), f"over_{body['way']}")()
        inside = await run(self, kernel_id, body["code"])
        self.finish(json.dumps({"outside": outside.strip(), "inside": inside.strip()}))


class ResultHandler(APIHandler):
    """Returns the result of code that ran later."""

    @web.authenticated
    async def get(self) -> None:
        """Wait for the result, and answer."""
        self.finish(json.dumps({"text": await _LATER.get()}))


class SocketHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """Runs each message as code while the websocket is open."""

    def set_default_headers(self) -> None:
        """Undo settings that websockets cannot have."""

    def get_compression_options(self) -> None:
        """Disable compression."""

    @ws_authenticated
    async def get(self, kernel_id: str) -> None:
        """Open the websocket."""
        self.kernel_id = kernel_id
        await super().get(kernel_id)

    async def on_message(self, message: str) -> None:
        """Run one message."""
        text = await run(self, self.kernel_id, message)
        await self.write_message(f"CallContext={_context_user()} {text}")


class PublicHandler(JupyterHandler):
    """A page for everybody, which no decorator marks, as many extensions have."""

    def get(self) -> None:
        """Greet the user."""
        self.finish(f"welcome, {getattr(self.current_user, 'username', 'nobody')}")


class ProxyHandler(WebSocketHandler, JupyterHandler):
    """Answers plain HTTP with a class for websockets, as jupyter-server-proxy does."""

    @web.authenticated
    async def get(self) -> None:
        """Greet the user."""
        self.finish(f"welcome, {self.current_user.username}")


class SignedCookieHandler(APIHandler):
    """Sets a cookie that the server signed ``age`` days ago; a login cookie is only returned.

    For the server, a request whose response sets a login cookie continues with that login.
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
    """Returns data that no real server returns."""

    @web.authenticated
    async def get(self) -> None:
        """Answer."""
        cls = self.settings["kernel_websocket_connection_class"]
        secret = self.settings["cookie_secret"]
        secret = secret if isinstance(secret, bytes) else secret.encode()
        names = [c.__name__ for c in cls.__mro__]
        self.finish(json.dumps({"secret": secret.hex(), "connection_class": names}))


class ReplyHandler(APIHandler):
    """Sends a message of the bridge's type, and waits until the kernel has handled it."""

    @web.authenticated
    async def post(self, kernel_id: str) -> None:
        """Answer with the states that the kernel went through."""
        client = self.kernel_manager.get_kernel(kernel_id).client()
        client.start_channels(shell=False, stdin=False, hb=False)
        states: list[str] = []
        while "busy" not in states:  # the subscription was not complete when the first was sent
            message = client.session.msg("jupyter_session_user_reply", {"comm_id": "", "data": {}})
            client.control_channel.send(message)
            states = await _states(client, message["header"]["msg_id"])
        client.stop_channels()
        self.finish(json.dumps(states))


async def _states(client: Any, msg_id: str) -> list[str]:
    """Return the states that a kernel went through for a message; the first may be missed."""
    states: list[str] = []
    with contextlib.suppress(queue.Empty):
        while "idle" not in states:
            answer = await client.get_iopub_msg(timeout=1)
            if answer["parent_header"].get("msg_id") == msg_id:
                states.append(answer["content"]["execution_state"])
    return states


class NbmodelHandler(APIHandler):
    """Returns the users that CallContext named."""

    @web.authenticated
    async def get(self) -> None:
        """Answer with pairs of code and username."""
        self.finish(json.dumps(_NBMODEL))


ROUTES = [
    (r"api/probe/run/([\w-]+)", RunHandler),
    (r"api/probe/outside/([\w-]+)", OutsideHandler),
    (r"api/probe/result", ResultHandler),
    (r"api/probe/socket/([\w-]+)", SocketHandler),
    (r"probe/public", PublicHandler),
    (r"probe/proxy", ProxyHandler),
    (r"api/probe/signed-cookie", SignedCookieHandler),
    (r"api/probe/server", ServerHandler),
    (r"api/probe/reply/([\w-]+)", ReplyHandler),
    (r"api/probe/nbmodel", NbmodelHandler),
]


def _watch_nbmodel() -> None:
    """Record the user of CallContext when nbmodel's worker sends a cell."""
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
