"""Voila: it starts a kernel for each page, on a Jupyter Server or in a program of its own."""

from __future__ import annotations

import asyncio
import html
import re
import sys
from contextlib import asynccontextmanager, contextmanager

from cases import OUTCOME, Absent, Gives, Works
from drivers.kernel_visits import HERE, Page, serve, served, signed_in
from people import Person
from servers import eventually
from tornado.httpclient import HTTPClientError

sys.path.insert(0, str(HERE.parents[1] / "voila"))

from voila_pages import HEADER, notebook, voila

#: The page shows its version and its outcome; its callbacks are those of the app.
# One text: the kernel may send what two arguments of print write as two outputs.
CELLS = ("import kernel_app", "print('<<{version} ' + kernel_app.outcome() + '>>')")
#: The first cells run before there is a visitor, the last one waits for the visitor.
PREHEATED = notebook(
    f"{OUTCOME}\nfrom pathlib import Path\nimport os",
    "early = outcome()\nPath(f'early-{os.getpid()}').touch()",
    "from voila.utils import wait_for_request\nwait_for_request()",
    "print(f'<<{early}>>')",
)
FORBIDDEN = 403


def page_of(version):
    """Return the page's notebook."""
    return notebook(*(cell.replace("{version}", str(version)) for cell in CELLS))


class _Voila(Page):
    def __init__(self, server, person):
        super().__init__(server, person)
        self.said, self.kernel_id = "", ""
        self._loading = None

    async def load(self, path="voila/render/page.ipynb"):
        """Load the page with all its cells; keep its outcome, and the id of its kernel."""
        self.person.headers["Accept"] = "text/html"
        text = html.unescape((await self.person.fetch(path)).body.decode())
        said, kernel = re.search(r"<<(.*?)>>", text), re.search(r'"kernelId": "([^"]+)"', text)
        assert said and kernel, text[-1000:]
        self.said, self.kernel_id = said[1], kernel[1]

    async def loaded(self):
        """Load the page, unless it is loaded."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(self.load())
        await self._loading

    async def answer(self, case, other):
        if case == "warm":
            await self.load("")
            return self.said
        await asyncio.gather(self.loaded(), other.loaded())
        version, _, outcome = self.said.partition(" ")
        assert version == ("2" if case == "reload" else "1")
        if case in ("page", "first_page"):
            return outcome
        if case == "others_token":
            return await self._steal(other)
        await self.connect(self.kernel_id)
        await self.open_comm()
        if case in ("reload", "anonymous", "forged"):
            return "|".join(sorted({outcome, await self.callback("callback")}))
        return await self.callback(case)

    async def _steal(self, other):
        """Open the websocket of another visitor's kernel; the kernel's id is the token."""
        try:
            socket = await self.person.connect(other.kernel_id)
        except HTTPClientError as error:
            return "error: refused" if error.code == FORBIDDEN else str(error)
        await socket.close()
        return "connected"


WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),  # of a comm, as those of widgets
    "periodic": Works(),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Absent("A kernel, and so its thread pool, has one visitor."),
    "outliving": Works(),
    "others_document": Absent("A kernel has one visitor's page."),
    "broadcast": Absent("A kernel has one visitor's page."),
    "reload": Works(),
    "processes": Absent("Voila's server is one process."),
    "warm": Gives("error: unknown_at_server"),  # preheated kernels
    "reused": Absent("Voila makes a kernel for each page."),
    "cache": Absent("Voila has no cache of its own."),
    "generator": Works(),
    "nested": Absent("Jupyter Server is the outermost server."),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Gives("error: refused"),
}


class _VoilaDriver:
    name = "voila"
    title = "Voila"
    needs = ("voila", "ipywidgets")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        if case == "warm":
            with _preheated() as server:
                yield server
            return
        files = {"page.ipynb": page_of(1)}
        with serve(folder, case, "voila.server_extension", files=files) as server:
            if case == "reload":
                carol = _Voila(server, server.run(signed_in(server, "carol")))
                server.run(carol.load())
                assert carol.said == "1 carol"
                page = server.running.home / "work" / "page.ipynb"
                page.write_text(page_of(2), encoding="utf-8")
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        if person not in server.pages:
            server.pages[person] = _Voila(server, await _browser(server, person))
        yield server.pages[person]


async def _browser(server, person):
    """Return a browser; the login of standalone Voila is a header of the proxy before it."""
    if server.case == "warm":
        return Person(server.running.url, {"X-User": person})
    return await server.do(signed_in(server, person))


@contextmanager
def _preheated():
    """Run standalone Voila with a preheated kernel for each of two visitors."""
    pool = ("--preheat_kernel=True", "--pool_size=2", "--VoilaKernelManager.fill_delay=600")
    with (
        voila(*HEADER, *pool, files={"page.ipynb": PREHEATED}) as running,
        served(running, "warm") as server,
    ):
        work = running.home / "work"
        server.run(eventually(lambda: len(list(work.glob("early-*"))) == 2))
        yield server


DRIVER = _VoilaDriver()
