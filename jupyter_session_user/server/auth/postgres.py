"""Makes and ends login roles in PostgreSQL, with a connection that only the server has.

Rules of this file:
- a login role has no right of its own: it is a member of the user's role alone, and begins as it.
  What row-level security should look at is ``session_user``, which no session can change, never
  ``current_user``, which ``SET ROLE`` changes;
- the user's role must not be able to log in, since whoever may ``SET ROLE`` to a role may also set
  its password (``ALTER ROLE``, "Ordinary roles can only change their own password");
- no role that the user's role reaches may break out of row-level security or make roles;
- names are identifiers quoted by ``psycopg.sql``. The password travels as a SCRAM verifier, so the
  database's log never has it;
- each call has a deadline, and blocks: call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_session_user.core.database_login import LOGIN_ROLE_PATTERN, DatabaseTerms, end_in_name
from jupyter_session_user.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    import psycopg

__all__ = ["Draft", "NoRole", "Postgres"]

_CONNECT_S = 3
#: For all that happens on one connection, in seconds.
_DEADLINE_S = 6.0
_STATEMENT_MS = 3000
#: How long an ended connection may take to end, in milliseconds.
_TERMINATE_MS = 2000
#: What kernels may know of the administrator's connection string.
_FOR_KERNELS = frozenset(
    {
        "channel_binding",
        "connect_timeout",
        "dbname",
        "gssencmode",
        "host",
        "hostaddr",
        "port",
        "sslcrl",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
    }
)

#: Whether a user's role is safe to lend; and each reason why not.
_ELIGIBLE = """
WITH RECURSIVE reached AS (
    SELECT r.* FROM pg_catalog.pg_roles r WHERE r.rolname::text = %(person)s
  UNION
    SELECT r.* FROM reached
    JOIN pg_catalog.pg_auth_members m ON m.member = reached.oid
    JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
)
SELECT CASE
    WHEN NOT EXISTS (SELECT FROM reached) THEN 'does not exist'
    WHEN NOT EXISTS (
        SELECT FROM pg_catalog.pg_auth_members m
        JOIN pg_catalog.pg_roles p ON p.oid = m.member AND p.rolname::text = %(person)s
        JOIN pg_catalog.pg_roles g ON g.oid = m.roleid AND g.rolname::text = %(group)s
    ) THEN 'is no direct member of the group'
    WHEN EXISTS (SELECT FROM reached WHERE rolcanlogin)
        THEN 'can log in itself, or reaches a role that can (ALTER ROLE ... NOLOGIN)'
    WHEN EXISTS (
        SELECT FROM reached
        WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    ) THEN 'has or reaches SUPERUSER, CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS'
    WHEN EXISTS (
        SELECT FROM reached
        WHERE rolname::text LIKE 'pg\\_%%' OR rolname IN (current_user, session_user)
    ) THEN 'reaches a role of PostgreSQL itself, or the role that makes logins'
END
"""
_SETTINGS = f"""
SET statement_timeout = {_STATEMENT_MS}; SET lock_timeout = {_STATEMENT_MS};
SET search_path = pg_catalog, pg_temp; SET client_min_messages = error
"""


class Draft(NamedTuple):
    """A login to be made.

    Attributes:
        name: Name of the login role.
        password: Its password.
        person: Name of the user's role.
        seconds: How long the password opens connections.
        comment: What the database's administrator reads about it.
    """

    name: str
    password: str
    person: str
    seconds: float
    comment: str

    def __repr__(self) -> str:
        """Return a text without the password."""
        return f"Draft({self.name})"


class Postgres:
    """One database.

    Args:
        name: Its name, for errors.
        terms: What the administrator allows.

    Raises:
        ConfigurationError: A connection string is malformed, or psycopg is missing.
    """

    def __init__(self, name: str, terms: DatabaseTerms) -> None:
        try:
            import psycopg  # noqa: F401, PLC0415 - optional
        except ImportError:
            raise ConfigurationError(
                "databases needs psycopg; run: pip install 'jupyter-session-user[postgres]'"
            ) from None
        self._name = name
        self._terms = terms
        self.address = self._address()

    def make(self, draft: Draft) -> None:
        """Make a login role, in one transaction with the check whether it may be made.

        Raises:
            NoRole: There is no role for the user that may be lent.
            psycopg.Error: The database failed.
        """
        from psycopg import sql  # noqa: PLC0415

        with self._connected() as connection, connection.transaction():
            names = {"person": draft.person, "group": self._terms.group}
            row = connection.execute(_ELIGIBLE, names).fetchone()
            if row is None or row[0] is not None:
                raise NoRole(row[0] if row else "is unknown")
            secret = connection.pgconn.encrypt_password(
                draft.password.encode(), draft.name.encode(), b"scram-sha-256"
            )
            query = "SELECT (now() + make_interval(secs => %s))::text"
            (until,) = connection.execute(query, [draft.seconds]).fetchone() or ("",)
            role, person = sql.Identifier(draft.name), sql.Identifier(draft.person)
            connection.execute(
                sql.SQL(
                    "CREATE ROLE {} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE "
                    "NOREPLICATION NOBYPASSRLS CONNECTION LIMIT {} PASSWORD {} VALID UNTIL {} "
                    "IN ROLE {}"
                ).format(role, sql.Literal(self._terms.connections), secret.decode(), until, person)
            )
            connection.execute(
                sql.SQL("ALTER ROLE {} SET role = {}").format(role, sql.Literal(draft.person))
            )
            connection.execute(
                sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(draft.comment))
            )

    def end(self, names: Sequence[str]) -> list[str]:
        """End logins: no new connections, no rights, no open connections, no role.

        Args:
            names: Login roles; unknown ones are no error.

        Returns:
            The roles that are powerless and remain, since they own objects in other databases.

        Raises:
            psycopg.Error: The database failed; some logins may not have ended.
            TimeoutError: The same, with a connection that does not end.
        """
        with self._connected() as connection:
            return [name for name in names if not self._end(connection, name)]

    def sweep(self, before: float) -> tuple[int, bool]:
        """End the logins that a server has left behind.

        Args:
            before: Logins that ended until then, in seconds since the epoch.

        Returns:
            How many, and whether the role of the connection string is a superuser.
        """
        with self._connected() as connection:
            query = "SELECT rolname FROM pg_roles WHERE rolname ~ %s"
            found = [str(name) for (name,) in connection.execute(query, [LOGIN_ROLE_PATTERN])]
            old = [name for name in found if (end_in_name(name) or 0) < before]
            for name in old:
                self._end(connection, name)
            row = connection.execute(
                "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            return len(old), bool(row and row[0])

    def _end(self, connection: psycopg.Connection[Any], name: str) -> bool:
        """End one login; tell whether its role is gone."""
        import psycopg  # noqa: PLC0415
        from psycopg import sql  # noqa: PLC0415

        role = sql.Identifier(name)
        parents = connection.execute(
            "SELECT p.rolname FROM pg_auth_members m JOIN pg_roles p ON p.oid = m.roleid "
            "JOIN pg_roles s ON s.oid = m.member WHERE s.rolname::text = %s",
            [name],
        ).fetchall()
        known = connection.execute("SELECT FROM pg_roles WHERE rolname::text = %s", [name])
        if known.fetchone() is None:
            return True
        with connection.transaction():
            connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(role))
            for (parent,) in parents:
                connection.execute(
                    sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(parent), role)
                )
            # Without a right of its own, the role lends its members the right to end it.
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE usename::text = %s",
            [_TERMINATE_MS, name],
        ).fetchall()
        if not all(done for (done,) in ended):
            raise TimeoutError
        with contextlib.suppress(psycopg.errors.DependentObjectsStillExist):
            with connection.transaction():
                connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
                connection.execute(sql.SQL("DROP ROLE {}").format(role))
            return True
        return False

    @contextlib.contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Return a connection of the administrator's role for the block."""
        import psycopg  # noqa: PLC0415

        connection = psycopg.connect(
            self._terms.dsn,
            connect_timeout=_CONNECT_S,
            application_name="jupyter-session-user",
            autocommit=True,
        )
        guard = threading.Timer(_DEADLINE_S, _cut, [connection])
        guard.daemon = True
        guard.start()
        try:
            connection.execute(_SETTINGS)
            yield connection
        finally:
            guard.cancel()
            connection.close()

    def _address(self) -> dict[str, str]:
        """Return the parameters of a kernel's connection, without user and password."""
        import psycopg  # noqa: PLC0415
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

        terms = self._terms
        parsed: list[dict[str, Any]] = []
        with contextlib.suppress(psycopg.ProgrammingError):
            parsed = [conninfo_to_dict(terms.dsn), conninfo_to_dict(terms.kernel_dsn)]
        if not parsed:  # outside of the error, which may quote the password
            raise ConfigurationError(
                f"databases: dsn or kernel_dsn of {self._name!r} is no connection string; write "
                '"host=db.example.org dbname=warehouse user=jupyter_logins passfile=/path/to/file"'
            )
        own, given = parsed
        if not given.keys() <= _FOR_KERNELS:
            raise ConfigurationError(
                f"databases: kernel_dsn of {self._name!r} may only have "
                f"{', '.join(sorted(_FOR_KERNELS))}; remove the rest, which kernels must not get"
            )
        chosen = given or {key: value for key, value in own.items() if key in _FOR_KERNELS}
        if "dbname" not in chosen or not chosen.keys() & {"host", "hostaddr"}:
            raise ConfigurationError(
                f"databases: dsn of {self._name!r} has no host or no dbname; write both, since "
                "kernels would take them from their environment"
            )
        return {key: str(value) for key, value in chosen.items() if value is not None}


class NoRole(DatabaseUnavailable):
    """There is no role for the user that may be lent.

    Attributes:
        why: The reason, for the server's log: a user learns nothing about other roles.
    """

    def __init__(self, why: str) -> None:
        super().__init__(
            "the database has no role for you that this server may use; its administrator finds "
            "the reason in the server's log, and the fix in docs/database.md",
            reason="no_role",
        )
        self.why = why


def _cut(connection: psycopg.Connection[Any]) -> None:
    """Interrupt a connection whose database does not answer; its thread then gets an error."""
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as own:
        own.shutdown(socket.SHUT_RDWR)
