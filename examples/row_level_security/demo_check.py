"""The check of ``make demo-data``: alice and bob open all pages at the same time, and attack."""

import asyncio
import json
import re

from jupyter_session_user.testing.demo_client import V1, Visitor
from jupyter_session_user.testing.self_check import Row, says

__all__ = ["rows_of_the_app", "rows_of_the_server"]

ORDERS = {
    "alice": ("Tea, 2 kg", "Tea pot", "Honey, 500 g"),
    "bob": ("Coffee, 1 kg", "Filters, 200"),
}
OTHER = {"alice": "bob", "bob": "alice"}
SELECT = """
from jupyter_session_user import connect_as_user
with connect_as_user("warehouse") as connection:
    for (item,) in connection.execute("SELECT item FROM orders"):
        print(item)
"""
#: Statements of a hostile cell, separated by semicolons; ``{other}`` is the other user.
ATTACKS = (
    "SELECT * FROM orders WHERE owner = '{other}'",
    "SET ROLE {other}",
    "SET ROLE postgres",
    "SET ROLE NONE",
    "BEGIN; SET LOCAL ROLE {other}",
    "SET SESSION AUTHORIZATION {other}",
    "BEGIN; SET LOCAL app.\"user\" = '{other}'",
    "SELECT set_config('app.user', '{other}', false)",
    "SET row_security = off",
    "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
    "UPDATE orders SET owner = current_user",
    "GRANT {other} TO current_user",
    "SELECT * FROM notes_of_{other}",
)
#: Runs each statement, whether or not one fails, and shows all rows that it gets; at last the own
#: ones, so that a cell without a database proves nothing.
HOSTILE = (
    """
import psycopg
from jupyter_session_user import connect_as_user
with connect_as_user("warehouse", autocommit=True) as connection:
    for statement in {statements!r}:
        try:
            found = connection.execute(statement)
            print(*(found.fetchall() if found.description else ()))
        except psycopg.Error:
            pass
"""
    + SELECT
)
#: What code in the kernel of filter_sqlite.py can do: it reads the table, not the view.
PAST_THE_FILTER = """
import runpy
warehouse = runpy.run_path({path!r})["warehouse"]
print(*warehouse.execute("SELECT item FROM {table}"))
"""
REFUSED = "DatabaseUnavailable"
NO_WALL = "rows of the other, too: no wall"


def items_in(text, name):
    return [item for item in ORDERS[name] if item in text]


def own(title, name, text):
    """Return the row of a page or a cell: it shows all orders of its user, and no other one."""
    seen = items_in(text, name) + items_in(text, OTHER[name])
    return Row(title, name, "; ".join(seen) or text[-200:] or "nothing", "; ".join(ORDERS[name]))


async def both(work, *arguments):
    """Do something as both users at the same time."""
    return await asyncio.gather(*(work(name, *arguments) for name in ORDERS))


async def rows_of_the_server(server, *, database):
    """Return the rows of Jupyter Server's pages and kernels.

    Args:
        server: The ``DemoServer``.
        database: Whether it has the PostgreSQL database.
    """
    people = {name: Visitor(server.url) for name in ORDERS}
    for name, person in people.items():
        await person.visit(f"session-user-demo/as/{name}?key={server.key}")
        await person.visit("session-user-demo")  # its forms bring the cookie against forged ones

    async def filtered(name):
        text = await bokeh_page(people[name], "panel-preview/render/filter_sqlite.py")
        return own("SQLite filter, in a Panel preview", name, text)

    async def voila(name):
        answer = await people[name].visit("voila/render/dashboard.ipynb")
        return own("PostgreSQL, in a Voila page", name, answer.body.decode())

    async def cells(name):
        kernel_id = await people[name].start_kernel()
        socket = await people[name].connect(kernel_id, V1)
        found = await rows_of_the_attacks(name, socket) if database else []
        found += await rows_of_the_filter(name, socket, server.home / "work" / "filter_sqlite.py")
        await socket.close()
        await people[name].stop_kernel(kernel_id)
        return found

    pages = [await both(voila)] if database else []
    pages.append(await both(filtered))
    in_kernels = await both(cells)
    rows = [row for part in (*pages, *in_kernels) for row in part]
    return [*rows, *await rows_of_a_shared_kernel(people)] if database else rows


async def rows_of_the_attacks(name, socket):
    """Return the rows of an honest cell in a user's own kernel, and of hostile ones."""
    rows = [own("PostgreSQL, in a notebook", name, await says(socket, SELECT))]
    other = OTHER[name]
    for attack in (text.format(other=other) for text in ATTACKS):
        statements = [*attack.split("; "), "SELECT * FROM orders"]
        text = await says(socket, HOSTILE.format(statements=statements))
        seen = f"{len(items_in(text, other))} of {other}" if items_in(text, name) else text[-200:]
        rows.append(Row(f"  {attack}", name, seen, f"0 of {other}"))
    return rows


async def rows_of_the_filter(name, socket, path):
    """Return the rows of the SQLite view, and of code that reads the table behind it."""
    cell = PAST_THE_FILTER.replace("{path!r}", repr(str(path)))
    text = await says(socket, cell.format(table="my_orders"))
    row = own("SQLite filter, in a notebook", name, text)
    text = await says(socket, cell.format(table="orders"))
    found = NO_WALL if items_in(text, OTHER[name]) else text[-200:]
    return [row, Row("  SELECT item FROM orders", name, found, NO_WALL)]


async def rows_of_a_shared_kernel(people):
    """Return the rows of one kernel that both users run cells in: none of them gets a login."""
    kernel_id = await people["alice"].start_kernel()
    sockets = {name: await person.connect(kernel_id, V1) for name, person in people.items()}
    rows = [
        Row("PostgreSQL, in a kernel of both", name, await says(socket, SELECT), REFUSED)
        for name, socket in sockets.items()
    ]
    for socket in sockets.values():
        await socket.close()
    await people["alice"].stop_kernel(kernel_id)
    return rows


async def rows_of_the_app(url, passwords):
    """Return the rows of the app without a kernel; its pool has served both users before."""
    people = {name: Visitor(url) for name in ORDERS}
    for name, person in people.items():
        await person.visit("login")
        await person.post("login", username=name, password=passwords[name])

    async def page(name):
        text = await bokeh_page(people[name], "orders_app")
        return own("PostgreSQL, in a Panel app without a kernel", name, text)

    return [row for _ in range(3) for row in await both(page)]


async def bokeh_page(person, path):
    """Open a page of Panel as a browser does, and return what it shows as text."""
    page = (await person.visit(path)).body.decode()
    found = re.search(r'"token":"([^"]+)"', page)
    if found is None:
        return page
    socket = await person.open_websocket(f"{path}/ws", "bokeh", found[1])
    try:
        await receive(socket, "ACK")
        for part in ({"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}):
            await socket.write_message(json.dumps(part))
        return await receive(socket, "PULL-DOC-REPLY")
    finally:
        socket.close()


async def receive(socket, kind):
    """Return the content of the next message of a kind; each is a header, metadata and content."""
    while True:
        parts = [await asyncio.wait_for(socket.read_message(), 60) for _ in range(3)]
        if None in parts:
            return "the server closed the websocket"
        if json.loads(parts[0])["msgtype"] == kind:
            return parts[2]
