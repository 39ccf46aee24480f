"""A real PostgreSQL and a real Jupyter server for the tests of database logins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_server import LocalServer
from postgres_server import PostgresServer, missing, postgres_server, with_databases
from servers import DEMO, EXTENSION, own_server


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
