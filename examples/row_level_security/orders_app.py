"""A Panel app without a kernel: one role of the database for all visitors.

The code is trusted, and says for each transaction who the visitor is. Never do this in a kernel,
where users write the code. To start it, see docs/row_level_data.md.
"""

import os
from contextlib import contextmanager
from html import escape

import panel as pn
from sqlalchemy import create_engine, text

from jupyter_session_user import get_current_user

pn.extension()


@pn.cache  # Panel runs this script for each page; all pages share the pool of connections
def engine():
    return create_engine(os.environ["ORDERS_URL"], pool_size=2)


@contextmanager
def transaction_of_visitor():
    # "true" means SET LOCAL: the pool gives the connection to the next visitor without the name.
    with engine().begin() as connection:
        name = get_current_user().username
        connection.execute(text("SELECT set_config('app.user', :name, true)"), {"name": name})
        yield connection


def orders():
    with transaction_of_visitor() as connection:
        rows = connection.execute(text("SELECT id, item, price FROM orders ORDER BY id")).all()
    lines = [f"| {number} | {escape(item)} | {price} |" for number, item, price in rows]
    return "\n".join(["| Order | Item | Price |", "|---|---|---:|", *lines])


def refresh(_event):
    table.object = orders()  # in a callback, the current user is the user of the click


table = pn.pane.Markdown(orders())
pn.Column(
    f"# Orders of {escape(get_current_user().username)}",
    table,
    pn.widgets.Button(name="Refresh", on_click=refresh),
).servable(title="Orders")
