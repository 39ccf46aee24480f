"""The files of ``examples/row_level_security``: both users at the same time, their own rows."""

from __future__ import annotations

import asyncio
import json
import re

from row_level import EVERY, EXAMPLE, ORDERS, shown
from servers import ROOT, kernel_of, opened, people_on


def cells(name: str) -> list[str]:
    """Return the code of a notebook, cell by cell."""
    found = json.loads((EXAMPLE / name).read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


async def test_the_notebook_cell_by_cell(example):
    """Both people run it at the same time; each attempt in it ends without a row of the other."""

    async def run(person) -> list[str]:
        async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
            results = [await socket.execute(code) for code in cells("orders.ipynb")]
            assert [result.errors for result in results] == [[]] * len(results)
            return [result.text for result in results]

    people = dict(zip(ORDERS, await people_on(example), strict=True))
    texts = await asyncio.gather(*map(run, people.values()))
    for (name, other), text in zip((("alice", "bob"), ("bob", "alice")), texts, strict=True):
        who, rows, _, roles, attempts = text
        assert who == repr(name) and shown(rows) == ORDERS[name]
        assert roles.startswith(f"[('{name}', 'jsu_")
        assert shown("".join(text)) == ORDERS[name]
        lines = attempts.splitlines()
        assert len(lines) == 8
        for line in lines:
            seen = line[:25].strip()
            assert seen in (f"0 rows of {other}", "InsufficientPrivilege", "UndefinedObject"), line


async def test_the_voila_page_for_two(example):
    """Both open it at the same time, three times: each page has the visitor's orders alone."""
    alice, bob = await people_on(example)
    for _ in range(3):
        answers = await asyncio.gather(
            *(p.fetch("voila/render/dashboard.ipynb") for p in (alice, bob))
        )
        assert [shown(answer.body.decode()) for answer in answers] == list(ORDERS.values())


ATTACK = """
from jupyter_session_user import connect_as_user
with connect_as_user("warehouse") as connection:
    connection.execute("SELECT set_config('app.user', %s, true)", [{other!r}])
    for (item,) in connection.execute("SELECT item FROM orders"):
        print(item)
"""


async def test_a_policy_for_everyone_would_believe_a_kernel(example, orders):
    """``TO orders_app`` keeps the app's policy from the kernels: without it, the name is enough."""

    async def seen() -> list[list[str]]:
        found = []
        for person, other in zip(await people_on(example), ("bob", "alice"), strict=True):
            async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                result = await socket.execute(ATTACK.format(other=other))
                assert not result.errors
                found.append(shown(result.text))
        return found

    assert await seen() == list(ORDERS.values())
    orders.postgres.run("ALTER POLICY rows_of_the_visitor ON orders TO public")
    try:
        assert await seen() == [EVERY, EVERY]
    finally:
        orders.postgres.run("ALTER POLICY rows_of_the_visitor ON orders TO orders_app")


def test_the_function_is_that_of_the_documentation():
    """The schema has the function of docs/database.md, word for word."""
    page = (ROOT / "docs" / "database.md").read_text("utf-8")
    function = page[page.index("CREATE FUNCTION jupyter_person()") : page.index("$$;") + 3]
    assert function in (EXAMPLE / "schema.sql").read_text("utf-8")


#: Beginnings of the blocks of docs/row_level_data.md, and the files that have them word for word.
EXCERPTS = {
    "CREATE POLICY own_rows": "schema.sql",
    "CREATE POLICY rows_of_the_visitor": "schema.sql",
    "def query(sql):": "orders.ipynb",
    "@contextmanager": "orders_app.py",
}


def test_the_page_shows_the_files():
    """Each block of the page stands in a file that the tests run."""
    page = (ROOT / "docs" / "row_level_data.md").read_text("utf-8")
    blocks = re.findall(r"^```(?:python|postgresql)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(EXCERPTS)
    for (beginning, name), block in zip(sorted(EXCERPTS.items()), sorted(blocks), strict=True):
        text = (EXAMPLE / name).read_text("utf-8")
        code = "\n".join(cells(name)) if name.endswith("ipynb") else text
        assert block.startswith(beginning) and block in code
