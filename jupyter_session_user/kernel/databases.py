"""``connect_as_user``: a connection to a database with the rights of the current user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_session_user.core.bearer import Password
from jupyter_session_user.core.database_login import is_fresh
from jupyter_session_user.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    RemoteProtocolError,
    WrongArgument,
)
from jupyter_session_user.kernel.current import valid_session
from jupyter_session_user.kernel.kept import Kept

if TYPE_CHECKING:
    import psycopg

__all__ = ["connect_as_user"]

_MAX_NAME = 64  # characters
_CONNECT_S = 10
#: What the server decides.
_FIXED = frozenset(
    {"conninfo", "dbname", "host", "hostaddr", "passfile", "password", "port", "service", "user"}
)


class _Login(NamedTuple):
    """A login, and the arguments of ``psycopg.connect`` that name its database."""

    address: dict[str, str]
    user: str
    password: Password


#: By session and database.
_kept: Kept[_Login] = Kept(is_fresh, most=64)


def connect_as_user(database: str, **options: Any) -> psycopg.Connection[Any]:
    """Connect to a PostgreSQL database with the rights of the current user, and of no other.

        with connect_as_user("warehouse") as connection:
            rows = connection.execute("SELECT * FROM orders").fetchall()

    Jupyter Server makes a login in the database that counts for minutes, and ends it, with its open
    connections, when the user's login ends or when another user joins this kernel. Connect anew
    for each piece of work. A login is used again until shortly before its end.

    Args:
        database: The database, as the server's ``databases`` names it.
        options: Further arguments of ``psycopg.connect``, such as ``autocommit=True``.

    Returns:
        A new connection of psycopg 3; close it, or use it in a ``with`` block.

    Raises:
        DatabaseUnavailable: There is no such connection for this code; ``reason`` says why.
        ConfigurationError: psycopg is not installed here.
        IdentityUnavailable: The user cannot be determined.
        RequestTimeout: The server did not answer.
        SessionExpired: The login is over.
        WrongArgument: An argument is of the wrong type, or the server decides it.
    """
    _check(database, options)
    try:
        import psycopg  # noqa: PLC0415 - optional
    except ImportError:
        raise ConfigurationError(
            "connect_as_user needs psycopg; run: pip install 'jupyter-session-user[postgres]'"
        ) from None
    session = valid_session()
    key = (session.id, database)
    login, is_new = _login(key, session)
    while True:
        secret: dict[str, Any] = {**login.address, "user": login.user, "password": login.password}
        try:
            return psycopg.connect(**{"connect_timeout": _CONNECT_S, **secret, **options})
        # Without the errors themselves: their tracebacks have the password.
        except psycopg.ProgrammingError as error:
            problem, usable = str(error), False
        except psycopg.OperationalError as error:
            problem, usable = str(error), True
        problem = problem.replace(login.password, "<hidden>")
        if not usable:
            raise WrongArgument(f"connect_as_user: {problem.strip()}; leave the option out")
        _kept.forget(key)
        if is_new:
            raise DatabaseUnavailable(
                f"{problem.strip()}. If another user has joined this kernel, use a kernel of your "
                "own; otherwise, ask the administrator to look at the database's log",
                reason="unreachable",
            )
        login, is_new = _login(key, session)  # the server has ended the one that was kept


def _login(key: tuple[str, str], session: Any) -> tuple[_Login, bool]:
    """Return a login, and whether the server has given it now."""

    def fetch() -> tuple[_Login, int]:
        result = session.own_database_login(key[1])
        address, user, password = (result.get(name) for name in ("address", "user", "password"))
        seconds = result.get("seconds")
        texts = isinstance(user, str) and isinstance(password, str) and isinstance(address, dict)
        if not texts or type(seconds) is not int:
            raise RemoteProtocolError("database_login: malformed reply")
        return _Login(dict(address or {}), str(user), Password(password)), seconds

    return _kept.get(key, fetch)


def _check(database: object, options: dict[str, Any]) -> None:
    """Refuse arguments that the server would not understand, or that it decides.

    Raises:
        WrongArgument: One of them is wrong.
    """
    if not isinstance(database, str) or not 0 < len(database) <= _MAX_NAME:
        raise WrongArgument(
            "connect_as_user: database is not the name of a database; write "
            'connect_as_user("warehouse"), as c.JupyterSessionUser.databases has it'
        )
    if fixed := sorted(_FIXED & options.keys()):
        raise WrongArgument(f"connect_as_user: the server decides {', '.join(fixed)}; leave it out")
