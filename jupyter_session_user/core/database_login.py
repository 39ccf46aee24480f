"""Database logins: which role is a user's, how logins are named, and how long they last.

A login is a role of its own that the server makes for one login of one user on one kernel: a
*login role*. It is a member of one role, the user's, and PostgreSQL drops it to nothing when the
server takes that membership away. Its name says when it ends, so that any server that shares the
database can remove what a crashed one has left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyter_session_user.errors import ConfigurationError

__all__ = [
    "DEFAULT_LIFETIME_S",
    "LOGIN_ROLE_PATTERN",
    "DatabaseTerms",
    "end_in_name",
    "is_fresh",
    "login_role",
    "role_of",
    "terms_of",
]

DEFAULT_LIFETIME_S = 300
#: Most login roles as a regular expression of PostgreSQL and of Python.
LOGIN_ROLE_PATTERN = "^jsu_[0-9]{1,12}_[0-9a-f]{24}$"

#: A login is lent again until this part of its lifetime is left.
_RENEW_AT = 0.2
#: NAMEDATALEN - 1: PostgreSQL cuts longer identifiers, so two names could become one.
_MAX_ROLE_BYTES = 63
#: Names that PostgreSQL gives a meaning of its own where a role may stand.
_RESERVED = frozenset(
    {"current_role", "current_user", "none", "postgres", "public", "session_user", "user"}
)
_RESERVED_PREFIXES = ("pg_", "jsu_")
_LIMITS = {
    "lifetime": (5, 3600),
    "connection_lifetime": (0, 86_400),
    "connections": (1, 100),
}
_KNOWN = frozenset({"dsn", "group", "kernel_dsn", "role", *_LIMITS})
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class DatabaseTerms:
    """What the administrator allows at one database.

    Attributes:
        dsn: The connection string of the role that makes logins. Never leaves the server.
        group: Users' roles are direct members of this role.
        role: Name of a user's role; ``{username}`` stands for the username.
        kernel_dsn: Where kernels connect to; empty for the address in ``dsn``.
        lifetime: How long a password opens connections, in seconds.
        connection_lifetime: How much longer open connections live at most, in seconds.
        connections: How many connections a login may have at once.
    """

    dsn: str = field(repr=False)
    group: str
    role: str = "{username}"
    kernel_dsn: str = ""
    lifetime: int = DEFAULT_LIFETIME_S
    connection_lifetime: int = DEFAULT_LIFETIME_S
    connections: int = 5


def terms_of(name: object, wanted: object) -> DatabaseTerms:
    """Read one entry of the setting ``databases``.

    Args:
        name: Its key.
        wanted: Its value.

    Raises:
        ConfigurationError: It cannot work. The text never quotes a value of ``dsn``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            "databases: a name is no text of 1 to 64 letters, digits, '_', '.' and '-'; name the "
            'database as notebooks should call it, such as "warehouse"'
        )
    if not isinstance(wanted, Mapping) or not wanted.keys() <= _KNOWN:
        raise ConfigurationError(
            f"databases: {name!r} is no dictionary with the keys {', '.join(sorted(_KNOWN))}; "
            "remove the other keys"
        )
    texts = {key: wanted.get(key, default) for key, default in _TEXTS.items()}
    for key, value in texts.items():
        if not isinstance(value, str) or (not value and key != "kernel_dsn"):
            raise ConfigurationError(f"databases: {name!r} needs {key}, a text; set {key!r}")
    if texts["role"].count("{username}") != 1:
        raise ConfigurationError(
            f"databases: role of {name!r} must contain {{username}} once, or several users would "
            'share a role; the default is "{username}"'
        )
    numbers = {key: _number(name, key, wanted) for key in _LIMITS}
    return DatabaseTerms(
        dsn=texts["dsn"],
        group=texts["group"],
        role=texts["role"],
        kernel_dsn=texts["kernel_dsn"],
        lifetime=numbers["lifetime"],
        connection_lifetime=numbers["connection_lifetime"],
        connections=numbers["connections"],
    )


_TEXTS = {"dsn": "", "group": "", "role": "{username}", "kernel_dsn": ""}


def _number(name: str, key: str, wanted: Mapping[str, Any]) -> int:
    low, high = _LIMITS[key]
    value = wanted.get(key, 5 if key == "connections" else DEFAULT_LIFETIME_S)
    if type(value) is not int or not low <= value <= high:
        raise ConfigurationError(
            f"databases: {key} of {name!r} is no whole number from {low} to {high}; set it, or "
            "leave it out"
        )
    return value


def role_of(template: str, username: str) -> str | None:
    """Return the name of a user's role; None if no role may have that name.

    The template contains the username once and nothing is changed in it, so different users never
    get the same role. Whether there is such a role, and what it may do, only the database knows.

    Args:
        template: ``DatabaseTerms.role``.
        username: The user.
    """
    name = template.replace("{username}", username)
    usable = (
        username
        and name.isprintable()
        and name.lower() not in _RESERVED
        and not name.lower().startswith(_RESERVED_PREFIXES)
        and _bytes(name) <= _MAX_ROLE_BYTES
    )
    return name if usable else None


def _bytes(name: str) -> int:
    try:
        return len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair: no text
        return _MAX_ROLE_BYTES + 1


def login_role(end: float, random: str) -> str:
    """Return the name of a new login role.

    Args:
        end: When the server removes it, in seconds since the epoch.
        random: 24 hexadecimal digits.
    """
    return f"jsu_{int(end)}_{random}"


def end_in_name(name: str) -> int | None:
    """Return the end of a login role in seconds since the epoch; None for any other role."""
    return int(name.split("_")[1]) if re.fullmatch(LOGIN_ROLE_PATTERN, name) else None


def is_fresh(left: float, lifetime: float) -> bool:
    """Tell whether a login is still lent to new callers.

    Args:
        left: How much longer its password opens connections, in seconds.
        lifetime: How long it did at first, in seconds.
    """
    return left > lifetime * _RENEW_AT
