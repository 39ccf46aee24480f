"""The setting for database logins: kernels connect to a database with their user's rights."""

from __future__ import annotations

from traitlets import Dict, HasTraits

__all__ = ["DatabaseSettings"]


class DatabaseSettings(HasTraits):
    """A part of ``Settings``; see ``docs/database.md``."""

    databases = Dict(
        config=True,
        help="""PostgreSQL databases for which `connect_as_user()` may ask, by name. Each value is a
        dictionary: `dsn`, the connection string of a role with CREATEROLE, which stays in the
        server; `group`, the role whose direct members are the users' roles; `role`, the name of a
        user's role (`{username}`); `kernel_dsn`, host, port and dbname as kernels reach them;
        `lifetime`, how long a password opens connections (300 s); `connection_lifetime`, how much
        longer open connections live at most (300 s); `connections`, how many at once (5). Needs
        psycopg. Kernels that run as the server's own account can read this configuration. The
        default, empty, gives no logins.""",
    )
