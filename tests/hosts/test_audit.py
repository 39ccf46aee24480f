"""The audit of code that the server itself sends for a visitor: Voila's pages, Panel's previews."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest
from audits import Audit
from servers import EXTENSION, eventually, people_on

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from browsing import notebook_text

#: Writes the kernel's id into a file of the visitor's name.
CELL = """
from pathlib import Path
from ipykernel import get_connection_file
from jupyter_session_user import get_current_user
Path(get_current_user().username + ".txt").write_text(get_connection_file())
"""
#: The way in the records: the package, its extension, the address of the page, and the status that
#: the records have: Panel does not read the kernel's reply.
WAYS = {
    "voila": ("voila", "voila.server_extension", "voila/render/p.ipynb", "ok"),
    "panel": (
        "panel",
        "panel.io.jupyter_server_extension",
        "panel-preview/render/p.ipynb",
        "unseen",
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_two_visitors(way, need, tmp_path):
    """Both request the page at once; each execution in a kernel names the kernel's visitor."""
    package, extension, address, status = WAYS[way]
    need(importlib.util.find_spec(package), f"{package} is missing")
    audit = Audit(tmp_path / "audit.jsonl")
    files = {"p.ipynb": notebook_text(CELL)}
    with audit.server(extensions=(EXTENSION, extension), files=files) as server:
        people = dict(zip(("alice", "bob"), await people_on(server), strict=True))
        pages = await asyncio.gather(*(each.fetch(address) for each in people.values()))
        assert {page.code for page in pages} == {200}
        await eventually(lambda: {r["username"] for r in audit.records()} == set(people))
        whose = {r["kernel_id"]: r["username"] for r in audit.records("execution")}
        asked = {
            (name, whose[kernel_id]): (
                await each.fetch(f"api/session-user/kernels/{kernel_id}/runs")
            ).code
            for name, each in people.items()
            for kernel_id in whose
        }
        seen = {name: (server.home / "work" / f"{name}.txt").read_text() for name in people}
    assert asked["alice", "bob"] != 200 != asked["bob", "alice"]
    if way == "voila":  # Panel's kernel ends without a page
        assert asked == {(a, b): 200 if a == b else 403 for a in people for b in people}
    found = audit.records()
    assert {record["via"] for record in found} == {way}
    kernels = {record["kernel_id"]: record["username"] for record in found}
    assert {(r["kernel_id"], r["username"]) for r in found} == set(kernels.items())
    assert len(kernels) == 2
    assert all(kernel_id in seen[name] for kernel_id, name in kernels.items())
    assert {(record["verified"], record["status"]) for record in found} == {(True, status)}
    assert audit.problems() == []
