"""The same orders without a database server: an SQLite view with the rows of the current user.

This is a filter and no wall. The view is for honest code: any code in the kernel can read the table
behind it. For a wall, let PostgreSQL decide: see docs/row_level_data.md.
"""

import sqlite3
from html import escape

import panel as pn

from jupyter_session_user import get_current_user

pn.extension()

# In memory, so that the example leaves nothing behind. A file is no wall, either: all kernels that
# run as its account can read it.
warehouse = sqlite3.connect(":memory:", check_same_thread=False)
warehouse.create_function("current_person", 0, lambda: get_current_user().username)
warehouse.executescript("""
    CREATE TABLE orders (id INTEGER PRIMARY KEY, owner TEXT, item TEXT, price REAL);
    INSERT INTO orders VALUES
        (1001, 'alice', 'Tea, 2 kg', 38.00),
        (1002, 'bob', 'Coffee, 1 kg', 21.50),
        (1003, 'alice', 'Tea pot', 44.90),
        (1004, 'bob', 'Filters, 200', 6.40),
        (1005, 'alice', 'Honey, 500 g', 9.80);
    CREATE TEMP VIEW my_orders AS
        SELECT id, item, price FROM orders WHERE owner = current_person();
""")


def orders():
    # SQLite asks for the current user with each query.
    rows = warehouse.execute("SELECT id, item, price FROM my_orders ORDER BY id").fetchall()
    lines = [f"| {number} | {escape(item)} | {price:.2f} |" for number, item, price in rows]
    return "\n".join(["| Order | Item | Price |", "|---|---|---:|", *lines])


def refresh(_event):
    table.object = orders()


table = pn.pane.Markdown(orders())
pn.Column(
    f"# Orders of {escape(get_current_user().username)}",
    table,
    pn.widgets.Button(name="Refresh", on_click=refresh),
).servable(title="Orders, filtered")
