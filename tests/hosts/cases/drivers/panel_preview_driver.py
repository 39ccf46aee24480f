"""Panel's preview on a Jupyter Server: Panel starts a kernel for each page."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager

from cases import OUTCOME, Absent, Gives, Works
from drivers.bokeh_visits import HERE, SHARED, serving
from drivers.kernel_visits import Page, serve, signed_in
from sockets import shut

APP = (HERE / "panel_app.py").read_text(encoding="utf-8")
EXTENSION = "panel.io.jupyter_server_extension"
PATH = "/panel-preview/render/main.py"
THE_OTHERS = "the page's visitor"
_numbers = iter(range(100_000))


class _Preview(Page):
    def __init__(self, server, person, name):
        super().__init__(server, person)
        self.name = name
        self.page = self._browser(f"{name} {next(_numbers)}", person)

    async def answer(self, case, other):
        if case == "others_token":
            return await self._steal(other)
        if self._opening is None:
            self._opening = asyncio.ensure_future(self.page.open())
        await self._opening
        if case in ("page", "first_page"):
            return await self.said("page")
        if case == "periodic":
            lines = await self.server.log.wait(2, tag=self.page.tag, where="periodic")
            return "|".join(sorted({line["user"] for line in lines}))
        if case in ("reload", "anonymous", "forged"):
            await self.page.click("callback")
            version = {"version": 2} if case == "reload" else {}
            places = ("page", "callback")
            return "|".join(sorted({await self.said(where, **version) for where in places}))
        await self.page.click(case)
        return await self.said(case)

    async def close(self):
        if self.page.socket is not None:
            await shut(self.page.socket)

    async def said(self, where, **more):
        """Return the user that the page names."""
        return await self.server.log.user(tag=self.page.tag, where=where, **more)

    async def _steal(self, other):
        """Click on a page of another user, with its token and the visitor's own cookies."""
        page = _Preview(self.server, other.person, other.name)
        await page.page.load()
        thief = self._browser(f"{page.page.tag} is stolen", self.person)
        await thief.connect(page.page.token)
        await thief.click("others_token")
        outcome = await page.said("others_token")
        await shut(thief.socket)
        return THE_OTHERS if outcome == other.name else outcome

    def _browser(self, tag, person):
        return serving.Visit(self.server.log, tag, cookies=person.cookies)


WAYS = {
    "page": Works(),
    "first_page": Works(),
    "callback": Works(),
    "periodic": Works(),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Absent("A kernel, and so its thread pool, has one visitor."),
    "outliving": Works(),
    "others_document": Absent("A kernel has one visitor's page."),
    "broadcast": Absent("A kernel has one visitor's page."),
    "reload": Works(),
    "processes": Absent("Jupyter Server is one process."),
    "warm": Absent("Panel starts a kernel when its visitor asks for the page."),
    "reused": Absent("Panel makes a kernel for each page, and ends it with the page."),
    "cache": Works(),  # pn.cache is of the kernel, which has one visitor
    "generator": Works(),
    "nested": Absent("Jupyter Server is the outermost server."),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Gives(THE_OTHERS),  # docs/hosts/panel.md: the page token is a key
}


class _PanelPreview:
    name = "panel_preview"
    title = "Panel preview on Jupyter Server"
    needs = ("panel", "pyviz_comms")
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        said = folder / "said.jsonl"
        modules = {"outcome.py": OUTCOME, "shared.py": SHARED}
        options = {"modules": modules, "files": {"main.py": APP}, "PROBE_LOG": str(said)}
        with serve(folder, case, EXTENSION, **options) as server:
            running = server.running
            server.log = serving.Server(
                running.url.rstrip("/"), said, running.process, running.log, PATH
            )
            if case == "reload":
                server.run(_change(server, folder))
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        if person not in server.pages:
            browser = await server.do(signed_in(server, person))
            server.pages[person] = _Preview(server, browser, person)
        yield server.pages[person]


async def _change(server, folder):
    """Change the app's file and a library of it after Carol has seen the page."""
    carol = _Preview(server, await signed_in(server, "carol"), "carol")
    await carol.page.load()
    assert await carol.said("page", version=1) == "carol"
    for path, old, new in (
        (server.running.home / "work" / "main.py", "import ", "changed = 1\nimport "),
        (folder / "library" / "shared.py", "version = 1", "version = 2  # changed"),
    ):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


DRIVER = _PanelPreview()
