"""A notebook: users whose browsers are connected to one kernel of a Jupyter Server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager

from cases import OUTCOME, Absent, Gives, Works
from drivers.kernel_visits import KERNEL_FILES, Page, serve, signed_in, write
from needs import has_release

ASK = "from outcome import outcome\nprint(outcome())"
#: Cells of cases that need nothing but this cell.
ALONE = {"first_page": ASK, "warm": "print(warm)", "others_token": ASK}
LIBRARY = """
from outcome import outcome
version = 1
def answer():
    return f"{version} {outcome()}"
"""
#: A file of IPython's profile: it runs before the kernel has read any message.
STARTUP = f"{OUTCOME}\nwarm = outcome()\n"
AUTORELOAD = "%load_ext autoreload\n%autoreload 2\nimport library\nprint(library.answer())"


class _Notebook(Page):
    async def answer(self, case, other):
        if case == "reload":
            version, _, outcome = (await self._cell("print(library.answer())")).partition(" ")
            assert version == "2"
            return outcome
        if case in ALONE:
            # The token is the session id that the other user's browser has generated.
            header = {"session": other.socket.session} if case == "others_token" else {}
            return await self._cell(ALONE[case], **header)
        await asyncio.gather(self.open_comm(), other.open_comm())
        if case == "page":
            return await self._cells()
        if case in ("reused", "anonymous", "forged"):
            outcomes = {await self._cells(), await self.callback("callback")}
            return "|".join(sorted(outcomes))
        comm = other.comm_id if case == "others_document" else ""
        return await self.callback(case, comm)

    async def _cell(self, code, **header):
        result = await self.socket.execute(code, **header)
        return result.text.strip() or repr(result.errors)

    async def _cells(self):
        """Return the outcome of a cell, and of a cell in a subshell beside it."""
        if not has_release("ipykernel>=7"):
            return await self._cell(ASK)  # it has no subshells
        socket = self.socket
        create = socket.message("create_subshell_request", {})
        shell = (await socket.finish(await socket.send(create, "control"))).reply["subshell_id"]
        await asyncio.sleep(0)  # the other's cells come between
        outcomes = await asyncio.gather(self._cell(ASK), self._cell(ASK, subshell_id=shell))
        delete = socket.message("delete_subshell_request", {"subshell_id": shell})
        await socket.finish(await socket.send(delete, "control"))
        return "|".join(sorted(set(outcomes)))


WAYS = {
    "page": Works(),  # a cell, also in a subshell
    "first_page": Works(),
    "callback": Works(),  # of a comm, as those of widgets
    "periodic": Works(),
    "thread": Gives("error: no_context"),
    "bound_thread": Works(),
    "pool": Works(),
    "outliving": Works(),
    "others_document": Works(),  # the user that clicks on the other user's widget
    "broadcast": Works(),  # the user that clicks: observers of all pages run as this user
    "reload": Works(),  # IPython's autoreload
    "processes": Absent("A kernel is one process."),
    "warm": Gives("error: first_cell"),  # a startup file of IPython that imports the package
    "reused": Works(),
    "cache": Absent("A kernel has no cache of its own."),
    "generator": Works(),
    "nested": Absent("Jupyter Server is the outermost server."),
    "anonymous": Gives("anonymous"),
    "forged": Gives("anonymous"),
    "others_token": Works(),
}


class _NotebookDriver:
    name = "notebook"
    title = "Notebook, one kernel"
    needs = ("ipykernel",)
    ways = WAYS

    @contextmanager
    def serve(self, folder, case):
        profile = folder / "ipython" / "profile_default"
        write(profile / "startup", {"warm.py": STARTUP} if case == "warm" else {})
        modules = {**KERNEL_FILES, "library.py": LIBRARY}
        home = str(folder / "ipython")
        with serve(folder, case, modules=modules, IPYTHONDIR=home) as server:
            server.run(_first_user(server))
            if case == "reload":
                changed = LIBRARY.replace("version = 1", "version = 2  # changed")
                (folder / "library" / "library.py").write_text(changed, encoding="utf-8")
            yield server

    @asynccontextmanager
    async def visit(self, server, person):
        if person not in server.pages:
            await server.do(_arrive(server, person))
        yield server.pages[person]


async def _first_user(server):
    """Let Carol start the kernel, run what the case needs, and leave."""
    carol = _Notebook(server, await signed_in(server, "carol"))
    server.kernel_id = await carol.person.start_kernel()
    await carol.connect(server.kernel_id)
    if server.case == "reload":
        assert await carol._cell(AUTORELOAD) == "1 carol"
    elif server.case not in ("first_page", "warm"):
        await carol._cell("import kernel_app")
        await carol.open_comm()
        assert await carol.callback("callback") == await carol._cell(ASK) == "carol"
    await carol.close()


async def _arrive(server, name):
    page = server.pages[name] = _Notebook(server, await signed_in(server, name))
    await page.connect(server.kernel_id)


DRIVER = _NotebookDriver()
