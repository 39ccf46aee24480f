"""A real PostgreSQL, prepared with the statements of docs/database.md."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["PostgresServer", "missing", "postgres_server", "with_databases"]

_PAGE = Path(__file__).parents[2] / "docs" / "database.md"
_SQL = re.compile(r"^```postgresql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MAKER = "a long random password"


def _program(name: str) -> str | None:
    """Find a program; Debian does not put PostgreSQL's on the path."""
    below = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, below)]))


def missing() -> str:
    """Return what is missing for a server; empty if nothing is."""
    if not (_program("initdb") and _program("postgres")):
        return "PostgreSQL is missing"
    if os.getuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "there is no account postgres, and PostgreSQL does not run as root"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is missing"
    return ""


class PostgresServer:
    """A server on 127.0.0.1, with the superuser ``boss`` and the database ``warehouse``.

    Attributes:
        port: Its port.
        log: Its log, with every statement.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._account = "postgres" if os.getuid() == 0 else None
        if self._account:
            shutil.chown(folder, self._account)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = folder / "postgres.log"
        secret = folder / "boss"
        secret.write_text("boss's password")
        secret.chmod(0o644)
        subprocess.run(
            [
                *(str(_program("initdb")), "-D", str(folder / "data"), "-U", "boss", "--no-sync"),
                *("-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--locale=C"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._account,
            cwd=folder,
            timeout=100,
        )
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(_program("postgres")), "-D", str(self._folder / "data")),
                    *("-k", str(self._folder), "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
                    *("-c", "log_statement=all", "-c", "log_min_messages=debug1"),
                ],
                stdout=log,
                stderr=log,
                user=self._account,
                cwd=self._folder,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.run("SELECT 1", database="postgres"))
        return False

    def stop(self) -> None:
        """End it at once, with all connections."""
        self._process.send_signal(3)  # SIGQUIT: immediate shutdown
        self._process.wait(30)

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

    def run(self, statement: str, *values: Any, database: str = "warehouse") -> list[tuple[Any]]:
        """Run a statement as the superuser; return its rows."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user="boss",
            password="boss's password",
            connect_timeout=5,
            autocommit=True,
        ) as connection:
            found = connection.execute(statement, values or None)
            return found.fetchall() if found.description else []

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
