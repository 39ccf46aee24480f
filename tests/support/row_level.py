"""The rows of ``examples/row_level_security``, and its database as ``make demo-data`` runs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from servers import ROOT

__all__ = ["EVERY", "EXAMPLE", "ORDERS", "Database", "database", "shown"]

EXAMPLE = ROOT / "examples" / "row_level_security"
ORDERS = {
    "alice": ["Tea, 2 kg", "Tea pot", "Honey, 500 g"],
    "bob": ["Coffee, 1 kg", "Filters, 200"],
}
EVERY = [item for items in ORDERS.values() for item in items]


@dataclass(frozen=True)
class Database:
    """The database, and the addresses of its two roles that log in.

    Attributes:
        postgres: The server.
        dsn: For Jupyter Server.
        app_url: For the app without a kernel.
    """

    postgres: Any
    dsn: str
    app_url: str


def shown(text: str) -> list[str]:
    """Return the items in a text, of both users."""
    return [item for item in EVERY if item in text]


@contextmanager
def database() -> Iterator[Database]:
    """Run PostgreSQL with the schema, with the function of the demo."""
    spec = importlib.util.spec_from_file_location("row_level_demo", EXAMPLE / "demo.py")
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    with demo.postgres() as (running, passwords):
        where = f"127.0.0.1:{running.port}/warehouse"
        yield Database(
            running,
            f"host=127.0.0.1 port={running.port} dbname=warehouse user=jupyter_logins "
            f"password={passwords['jupyter_logins']}",
            f"postgresql+psycopg://orders_app:{passwords['orders_app']}@{where}",
        )
