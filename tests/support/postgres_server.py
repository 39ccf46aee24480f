"""A real PostgreSQL, prepared with the statements of docs/database.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "row_level_security"))

from private_postgres import PrivatePostgres, missing  # noqa: E402 - a folder of examples

__all__ = ["PostgresServer", "missing", "postgres_server", "with_databases"]

_PAGE = ROOT / "docs" / "database.md"
_SQL = re.compile(r"^```postgresql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MAKER = "a long random password"


class PostgresServer(PrivatePostgres):
    """A server with the superuser ``boss`` and the database ``warehouse``; it logs statements."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "boss's password",
            superuser="boss",
            options=("log_statement=all", "log_min_messages=debug1"),
        )

    def prepare(self) -> None:
        """Run the SQL of the documentation, and put a row of each user into the table."""
        self.run("CREATE DATABASE warehouse", database="postgres")
        self.run("CREATE DATABASE other", database="postgres")
        self.run("REVOKE ALL ON DATABASE other FROM PUBLIC", database="postgres")
        for block in _SQL.findall(_PAGE.read_text("utf-8")):
            self.run(block)
        self.run("INSERT INTO orders VALUES ('alice', 'tea'), ('bob', 'coffee')")

    def dsn(self, port: int | None = None) -> str:
        """Return the connection string of the role that makes logins."""
        where = f"host=127.0.0.1 port={port or self.port} dbname=warehouse"
        return f"{where} user=jupyter_logins password='{_MAKER}'"

    def logins(self) -> list[str]:
        """Return the login roles."""
        return [
            name for (name,) in self.run("SELECT rolname FROM pg_roles WHERE rolname ~ '^jsu_'")
        ]

    def open_logins(self) -> set[str]:
        """Return the login roles with open connections."""
        query = "SELECT usename FROM pg_stat_activity WHERE usename ~ '^jsu_'"
        return {name for (name,) in self.run(query)}


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a prepared server for the block."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name:
        server = PostgresServer(Path(name))
        try:
            server.prepare()
            yield server
        finally:
            server.stop()


def with_databases(more: dict[str, object] | None = None, /, **dsns: str) -> dict[str, str]:
    """Return configuration files with these databases."""
    each = {
        name: {"dsn": dsn, "group": "jupyter_people", **(more or {})} for name, dsn in dsns.items()
    }
    return {"jupyter_server_config.py": f"c.JupyterSessionUser.databases = {each!r}\n"}
