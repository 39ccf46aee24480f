"""The interface of resolvers, and how they are found and called.

A resolver reads an authenticated request. It returns when the login ends, or an id that
distinguishes the login from the user's other logins. It never identifies the user: the identity
provider has done that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol, cast

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.core.subject import Subject
from jupyter_session_user.errors import ConfigurationError

if TYPE_CHECKING:
    import logging

    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.settings import Settings

__all__ = ["GROUP", "Resolution", "Resolver", "is_time", "load_resolvers", "resolve"]

#: The last second that RFC 3339 can express. A time in milliseconds is far beyond it.
_LAST_S = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc).timestamp()

#: The entry-point group; an entry is a function from the settings to a resolver.
GROUP = "jupyter_session_user.resolvers"

# Also in pyproject.toml. This copy is for installations without the package's metadata, or with
# those of an older release: a zip, a path on PYTHONPATH, an editable install.
_BUILT_IN = {
    name: EntryPoint(name, f"jupyter_session_user.server.auth.resolvers.{name}:{factory}", GROUP)
    for name, factory in (
        ("custom", "CustomResolver"),
        ("jwt", "JwtResolver"),
        ("signed_cookie", "SignedCookieResolver"),
    )
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """The information about a login in a request.

    Attributes:
        expiry: When the login ends; None if unknown.
        key: Distinguishes this login from other logins of the same user, and stays the same when a
            token is renewed; None if unknown. The caller hashes it and never shows it.
        subjects: How the identity provider names the login when it ends it; empty if unknown. Only
            what this server has verified may be here.
    """

    expiry: Expiry | None = None
    key: str | None = None
    subjects: tuple[Subject, ...] = ()

    def __repr__(self) -> str:
        """Return the expiry, and whether there is a key: the key may be part of a token."""
        return f"Resolution(expiry={self.expiry!r}, key={'hidden' if self.key else None})"


class Resolver(Protocol):
    """**Protocol:** returns information about the login of a request."""

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return the information in the request; None if there is none.

        Args:
            handler: The handler of an authenticated request. It must not be changed.
            user: The identity provider's user.
        """


class _Guarded:
    """A resolver that cannot raise. It logs each type of error once."""

    def __init__(self, name: str, resolver: Resolver) -> None:
        self._name = name
        self._resolver = resolver
        self._logged_kinds: set[type] = set()
        #: Whether the result depends on nothing but the login cookie: then it is asked once.
        self.by_login_cookie = getattr(resolver, "by_login_cookie", False) is True

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return the resolver's result; None if it fails."""
        try:
            said = self._resolver.resolve(handler, user)
            _check(said)
        except Exception as error:  # noqa: BLE001 - foreign code
            self._tell(type(error), handler.log)
            return None
        return said

    def _tell(self, kind: type, log: logging.Logger) -> None:
        """Log only the type of the error: its text may hold a token."""
        if kind not in self._logged_kinds:
            self._logged_kinds.add(kind)
            log.warning("the session resolver %s failed: %s", self._name, kind.__name__)


def _check(said: object) -> None:
    """Raise if the result is invalid: other code would fail at it on every request."""
    if said is None:
        return
    if not isinstance(said, Resolution) or not isinstance(said.key, str | None):
        raise TypeError(type(said).__name__)
    if said.expiry is not None and not is_time(said.expiry.at):
        raise ValueError(said.expiry.at)
    if not isinstance(said.subjects, tuple):
        raise TypeError(type(said.subjects).__name__)
    for subject in said.subjects:
        if not isinstance(subject, Subject):
            raise TypeError(type(subject).__name__)


def is_time(value: object) -> bool:
    """Tell whether this is a plausible time in seconds since the epoch."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= _LAST_S


def load_resolvers(names: Sequence[str], settings: Settings) -> tuple[Resolver, ...]:
    """Return the resolvers in the order of their calls.

    Args:
        names: Entries of the group :data:`GROUP`. The built-in names are always available.
        settings: Passed to each entry.

    Raises:
        ConfigurationError: A name is unknown, its package is broken, or ``session_resolver`` would
            not be called.
    """
    if settings.session_resolver and "custom" not in names:
        raise ConfigurationError(
            "session_resolver is set, but no resolver calls it; add 'custom' to "
            "c.JupyterSessionUser.resolvers"
        )
    entries = [_entry(name) for name in dict.fromkeys(names)]
    return tuple(_Guarded(entry.name, _make(entry, settings)) for entry in entries)


def resolve(resolvers: Sequence[Resolver], handler: JupyterHandler, user: ServerUser) -> Resolution:
    """Return the information about the login in a request.

    For each field, the first resolver with a value wins. The result of a resolver that raises is
    ignored.

    Args:
        resolvers: The result of :func:`load_resolvers`.
        handler: The handler of an authenticated request.
        user: The identity provider's user.
    """
    expiry, key = None, None
    subjects: tuple[Subject, ...] = ()
    for resolver in resolvers:
        said = resolver.resolve(handler, user)
        if said is not None:
            expiry, key = expiry or said.expiry, key or said.key
            subjects = subjects or said.subjects
        if expiry and key and subjects:
            break
    return Resolution(expiry, key, subjects)


def _entry(name: str) -> EntryPoint:
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted({*_BUILT_IN, *found}))
        raise ConfigurationError(
            f"resolvers: {name!r} is not installed; install its package, or take of these: {known}"
        )
    return found[name]


def _make(entry: EntryPoint, settings: Settings) -> Resolver:
    try:
        factory = cast("Callable[[Settings], Resolver]", entry.load())
        return factory(settings)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"resolvers: {entry.name!r} from {entry.value} cannot start "
            f"({type(error).__name__}: {error}); fix or upgrade its package, or remove it from "
            "c.JupyterSessionUser.resolvers"
        ) from error
