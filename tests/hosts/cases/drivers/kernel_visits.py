"""Visitors of a Jupyter Server: shared code of the drivers of hosts with a kernel.

Each server has an event loop of its own, so that its visitors stay from one test to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import OUTCOME
from local_server import LocalServer
from people import KernelSocket, Person
from servers import EXTENSION, ROOT, eventually, own_server
from tornado.httpclient import AsyncHTTPClient
from tornado.web import create_signed_value
from visitors_identity import PASSWORD

__all__ = ["HERE", "KERNEL_FILES", "Page", "Server", "serve", "served", "signed_in", "write"]

HERE = Path(__file__).parent
#: The modules that kernels import.
KERNEL_FILES = {
    "outcome.py": OUTCOME,
    "kernel_app.py": (HERE / "kernel_app.py").read_text(encoding="utf-8"),
}
_LOGIN = (
    "--ServerApp.identity_provider_class=visitors_identity.VisitorsIdentityProvider",
    "--ServerApp.disable_check_xsrf=True",
)


@dataclass
class Server:
    """A running server, and its visitors.

    Attributes:
        running: Its process.
        case: The case that it is started for; empty for most.
        loop: Where the visitors' connections live.
        pages: The open pages, by visitor.
    """

    running: LocalServer
    case: str
    loop: asyncio.AbstractEventLoop
    pages: dict[str, Any] = field(default_factory=dict)

    async def do(self, work: Any) -> Any:
        """Wait for work that is done in the server's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def run(self, work: Any) -> Any:
        """Do work in the server's loop, in a program without one."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


class Page:
    """A visitor's page, with a websocket to its kernel and a comm of ``kernel_app``."""

    def __init__(self, server: Server, person: Person) -> None:
        self.server, self.person = server, person
        self.comm_id = uuid.uuid4().hex
        self.socket: KernelSocket | None = None
        self._opening: asyncio.Task[None] | None = None

    async def ask(self, case: str, other: Any) -> str:
        """Do the case, and return the outcome."""
        outcome: str = await self.server.do(self.answer(case, other))
        return outcome

    async def answer(self, case: str, other: Any) -> str:
        """Do the case; this runs in the server's loop."""
        raise NotImplementedError

    async def connect(self, kernel_id: str) -> KernelSocket:
        """Open the websocket."""
        self.socket = self.socket or await self.person.connect(kernel_id)
        return self.socket

    async def callback(self, case: str, comm_id: str = "") -> str:
        """Send a message to a comm, and return what its callback answers."""
        assert self.socket is not None
        asked = uuid.uuid4().hex
        content = {"comm_id": comm_id or self.comm_id, "data": {"case": case, "asked": asked}}
        socket = self.socket
        await socket.send(socket.message("comm_msg", content))

        def answers() -> list[str]:
            contents = [message["content"] for message in socket.everything]
            datas = [content.get("data", {}) for content in contents]
            return [data["outcome"] for data in datas if data.get("asked") == asked]

        outcome: str = (await eventually(answers))[0]
        return outcome

    async def open_comm(self) -> None:
        """Open the page's comm, unless it is open."""
        assert self.socket is not None
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open_comm(self.socket))
        await self._opening

    async def close(self) -> None:
        """Close the page."""
        if self.socket is not None:
            await self.socket.close()

    async def _open_comm(self, socket: KernelSocket) -> None:
        content = {"comm_id": self.comm_id, "target_name": "cases", "data": {}}
        await socket.send(socket.message("comm_open", content))
        await self.callback("callback")  # it is open once it answers


async def signed_in(server: Server, name: str) -> Person:
    """Return a browser with the login cookie of a user, a forged one, or none."""
    person = Person(server.running.url)
    if name == "forged":
        cookie = f"username-{re.sub('[^0-9A-Za-z]', '-', person.url.split('/')[2])}"
        signed = create_signed_value("another secret", cookie, '{"username": "alice"}')
        person.cookies[cookie] = signed.decode()
    elif name:
        await person.log_in(PASSWORD, name)
    return person


@contextmanager
def serve(
    folder: Path,
    case: str,
    *extensions: str,
    modules: Mapping[str, str] = KERNEL_FILES,
    files: Mapping[str, str] | None = None,
    **env: str,
) -> Iterator[Server]:
    """Run a Jupyter Server that has a login form.

    Args:
        folder: For the modules; ``library`` in it is on the path of the kernels.
        case: The case that it is for.
        extensions: Besides ours.
        modules: What its kernels import, by file name.
        files: For the folder that the server shows.
        env: Its environment variables.
    """
    library = write(folder / "library", modules)
    env["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "support", library)))
    options = {"extensions": (EXTENSION, *extensions), "files": files, "env": env}
    with own_server(*_LOGIN, **options) as running, served(running, case) as server:
        yield server


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a new folder, and return it."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@contextmanager
def served(running: LocalServer, case: str) -> Iterator[Server]:
    """Give a running server the loop of its visitors."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Server(running, case, loop)
    try:
        yield server
    finally:
        server.run(_leave(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _leave(server: Server) -> None:
    for page in server.pages.values():
        await page.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    for task in left:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    AsyncHTTPClient().close()
