"""A real PostgreSQL and a real Jupyter server for the tests of database logins."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from local_server import LocalServer
from postgres_server import PostgresServer, missing, postgres_server, with_databases
from row_level import EXAMPLE, Database, database
from servers import DEMO, EXTENSION, own_server

NOTEBOOKS = ("orders.ipynb", "dashboard.ipynb")


@pytest.fixture(scope="module")
def postgres(need) -> Iterator[PostgresServer]:
    """Run PostgreSQL, with the rows of alice and of bob."""
    need(not missing(), missing())
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def server(postgres) -> Iterator[LocalServer]:
    """Run a Jupyter server that gives logins, with the most verbose log."""
    config = with_databases(warehouse=postgres.dsn())
    extensions = (EXTENSION, "probe_extension", "jupyter_server_nbmodel")
    with own_server(*DEMO, "--debug", extensions=extensions, config=config) as running:
        yield running


@pytest.fixture(scope="module")
def orders(need) -> Iterator[Database]:
    """Run PostgreSQL with the schema of ``examples/row_level_security``."""
    need(not missing(), missing())
    with database() as running:
        yield running


@pytest.fixture(scope="module")
def example(orders, need) -> Iterator[LocalServer]:
    """Run a Jupyter server with Voila and the files of the example."""
    need(importlib.util.find_spec("voila"), "voila is missing")
    with own_server(
        *DEMO,
        extensions=(EXTENSION, "voila.server_extension"),
        config=with_databases(warehouse=orders.dsn),
        files={name: (EXAMPLE / name).read_text("utf-8") for name in NOTEBOOKS},
    ) as running:
        yield running
