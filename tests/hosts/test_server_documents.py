"""jupyter-server-documents: cells of a shared document that the server runs.

The package replaces parts of every JupyterLab of its environment, so it is not among the tests'
requirements: install it beside them, and run this file.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from audits import Audit
from people import Person
from servers import DEMO, EXTENSION, eventually, opened, own_server, people_on, username

room_module = pytest.importorskip("jupyter_server_documents.rooms.ynotebook_room")

NOTE = "from jupyter_session_user import get_current_user; ran.append(get_current_user().username)"
CELLS = {"setup": "import time; ran = []", "note": NOTE, "slow": f"time.sleep(.3); {NOTE}"}


@pytest.fixture(scope="module")
def documents():
    """Run a server with the package."""
    extensions = (EXTENSION, "jupyter_server_fileid", "jupyter_server_documents")
    with own_server(*DEMO, extensions=extensions) as running:
        yield running


class Document:
    """One notebook that several users have open."""

    def __init__(self, kernel_id: str, room: str) -> None:
        self.kernel_id = kernel_id
        self._room = room

    @classmethod
    async def made_by(cls, person: Person, path: str) -> Document:
        """Write a notebook, and start its kernel."""
        cells = [
            *(
                {"cell_type": "code", "id": name, "source": code, "metadata": {}, "outputs": []}
                for name, code in CELLS.items()
            ),
        ]
        content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        body: dict[str, Any] = {"type": "notebook", "content": content}
        await person.fetch(f"api/contents/{path}", method="PUT", body=body)
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        session = await person.json("api/sessions", method="POST", body=body)
        index = await person.json(f"api/fileid/index?path={path}", method="POST", body=None)
        return cls(session["kernel"]["id"], f"json:notebook:{index['id']}")

    async def run(self, person: Person, *names: str) -> int:
        """Queue cells as a user, and return the status of the response."""
        cells = [
            {"cell_id": name, "source_hash": room_module._source_hash(CELLS[name])}
            for name in names
        ]
        body = {"document_id": self._room, "cells": cells}
        path = f"api/kernels/{self.kernel_id}/execute"
        return (await person.fetch(path, method="POST", body=body)).code

    async def ran(self, person: Person, count: int) -> list[str]:
        """Wait until this many cells have run, and return their users."""
        async with opened(person, self.kernel_id) as socket:

            async def names() -> list[str] | None:
                text = (await socket.execute("import json; print(json.dumps(ran))")).text
                found = json.loads(text or "[]")
                return found if len(found) >= count else None

            return await eventually(names)


async def test_each_cell_is_that_of_who_queued_it(documents):
    """One worker runs the cells of all users, also cells that wait behind another user's."""
    alice, bob = await people_on(documents)
    document = await Document.made_by(alice, "shared.ipynb")
    assert await document.run(alice, "setup") == 200
    turns = [(alice, "slow"), (bob, "note"), (alice, "note"), (bob, "slow"), (bob, "note")]
    for person, name in turns:
        assert await document.run(person, name) == 200
    expected = ["alice" if person is alice else "bob" for person, _ in turns]
    assert await document.ran(alice, len(turns)) == expected


async def test_a_login_that_is_over_runs_no_more_cells(documents):
    """Alice's queued cells do not run after her sign-out; bob's cell behind them does."""
    alice, bob = await people_on(documents)
    document = await Document.made_by(bob, "revoked.ipynb")
    assert await document.run(bob, "setup") == 200
    assert await document.run(alice, "slow", "note", "note") == 200
    everywhere = "api/session-user/logout-everywhere"
    assert (await alice.fetch(everywhere, method="POST", body={})).code == 200
    assert await document.run(bob, "note") == 200

    async def bobs_ran() -> list[str] | None:
        names = await document.ran(bob, 0)
        return names if "bob" in names else None

    names = await eventually(bobs_ran)
    assert names.count("alice") <= 1  # the one that was already running
    assert names[-1] == "bob"


async def test_a_websocket_of_the_package_names_its_own_user(documents):
    """Consoles, widgets and agents use the package's websockets: each cell has its own user."""
    alice, bob = await people_on(documents)
    document = await Document.made_by(alice, "sockets.ipynb")
    async with (
        opened(alice, document.kernel_id) as hers,
        opened(bob, document.kernel_id) as his,
    ):
        for _ in range(3):
            assert (await username(hers), await username(his)) == ("alice", "bob")
        cookies = await hers.execute("import jupyter_session_user as j; len(j.get_cookies())")
        assert not cookies.errors
        kinds = {m["header"]["msg_type"] for s in (hers, his) for m in s.everything}
        assert not {kind for kind in kinds if kind.startswith("jupyter_session_user")}


async def test_a_revoked_websocket_of_the_package_hears_no_more(documents):
    """After bob's revocation his open socket runs nothing, and gets nothing of alice's cells."""
    alice, bob = await people_on(documents)
    document = await Document.made_by(alice, "hears.ipynb")
    async with (
        opened(alice, document.kernel_id) as hers,
        opened(bob, document.kernel_id) as his,
    ):
        await his.execute("seen = 'by bob'")
        everywhere = "api/session-user/logout-everywhere"
        assert (await bob.fetch(everywhere, method="POST", body={})).code == 200
        his.everything.clear()
        refused = await his.execute("seen = 'by bob, too late'")
        assert refused.errors
        assert (await hers.execute("print(seen, 'secret of alice')")).text == (
            "by bob secret of alice\n"
        )
        assert "secret of alice" not in json.dumps(his.everything, default=str)


async def test_the_record_has_each_cell_once(tmp_path):
    """Queued cells have their id and user; a cell of a websocket is one record, with its end."""
    audit = Audit(tmp_path / "audit.jsonl")
    extensions = (EXTENSION, "jupyter_server_fileid", "jupyter_server_documents")
    with audit.server(extensions=extensions) as running:
        alice, bob = await people_on(running)
        document = await Document.made_by(alice, "audit.ipynb")
        for person, name in ((alice, "setup"), (bob, "note"), (alice, "slow")):
            assert await document.run(person, name) == 200
        await document.ran(alice, 2)
        async with opened(bob, document.kernel_id) as his:
            await his.execute("1 / 0", {"cellId": "of bob"})
        runs = await bob.json(f"api/session-user/kernels/{document.kernel_id}/runs")
        shown = {run["cell_id"]: (run["who"]["username"], run["status"]) for run in runs["runs"]}
    expected = {
        "setup": ("alice", "ok"),
        "note": ("bob", "ok"),
        "slow": ("alice", "ok"),
        "of bob": ("bob", "error"),
    }
    assert shown == expected
    found = [r for r in audit.records() if r["cell_id"] is not None]
    assert {r["cell_id"]: (r["username"], r["status"]) for r in found} == expected
    assert len(found) == len(expected)
    ways = {r["cell_id"]: r["via"] for r in found}
    assert ways == {**dict.fromkeys(("setup", "note", "slow"), "documents"), "of bob": "websocket"}


async def test_two_websockets_of_a_kernel_have_ends_of_their_own(tmp_path):
    """Also if both users have read the same kernel's messages before, and one comes back."""
    audit = Audit(tmp_path / "audit.jsonl")
    extensions = (EXTENSION, "jupyter_server_fileid", "jupyter_server_documents")
    with audit.server(extensions=extensions) as running:
        alice, bob = await people_on(running)
        document = await Document.made_by(alice, "two.ipynb")
        kernel = document.kernel_id
        async with opened(alice, kernel) as hers, opened(bob, kernel) as his:
            for turn in range(3):
                await hers.execute("1", {"cellId": f"alice {turn}"})
                await his.execute("2", {"cellId": f"bob {turn}"})
            async with opened(bob, kernel) as again:
                await again.execute("3", {"cellId": "bob again"})
                await his.execute("4", {"cellId": "bob 4"})
        runs = await bob.json(f"api/session-user/kernels/{kernel}/runs")
        shown = {run["cell_id"]: (run["who"]["username"], run["status"]) for run in runs["runs"]}
    cells = [f"{name} {turn}" for name in ("alice", "bob") for turn in range(3)]
    cells += ["bob again", "bob 4"]
    assert shown == {cell: (cell.partition(" ")[0], "ok") for cell in cells}
    assert len([r for r in audit.records() if r["status"] == "ok"]) == len(cells)
