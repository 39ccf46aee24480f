"""What a resolver is, how resolvers are found, and how they are asked.

A resolver looks at an authenticated request, and says when its login ends, or by what the
login can be told from another of the same person. It reads; it never decides who is there:
the identity provider has done that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol, cast

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.errors import ConfigurationError

if TYPE_CHECKING:
    import logging

    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.settings import Settings

__all__ = ["GROUP", "Resolution", "Resolver", "is_time", "load_resolvers", "resolve"]

#: The last second that RFC 3339 can write. A time in milliseconds lies far beyond it.
_LAST_S = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc).timestamp()

#: The entry-point group; an entry is a function from the settings to a resolver.
GROUP = "jupyter_session_user.resolvers"

# Also in pyproject.toml. From here they are found where the package's metadata are not, or are
# an older release's: a zip, a path on PYTHONPATH, an editable install.
_BUILT_IN = {
    name: EntryPoint(name, f"jupyter_session_user.server.resolvers.{name}:{factory}", GROUP)
    for name, factory in (
        ("custom", "CustomResolver"),
        ("jwt", "JwtResolver"),
        ("signed_cookie", "SignedCookieResolver"),
    )
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a request says of its login.

    Attributes:
        expiry: When the login ends; None if nothing says so.
        key: What tells this login from another of the same person, and stays the same when
            a token is renewed; None if nothing does. The caller hashes it and never shows it.
    """

    expiry: Expiry | None = None
    key: str | None = None

    def __repr__(self) -> str:
        """Return the expiry, and whether there is a key: it may be part of a token."""
        return f"Resolution(expiry={self.expiry!r}, key={'hidden' if self.key else None})"


class Resolver(Protocol):
    """**Protocol:** says what it can of the login that a request belongs to."""

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return what the request says; None if nothing.

        Args:
            handler: The handler of an authenticated request. It must not be changed.
            user: Whom the identity provider named.
        """


class _Guarded:
    """A resolver that cannot raise. A log says so once for each type of error."""

    def __init__(self, name: str, resolver: Resolver) -> None:
        self._name = name
        self._resolver = resolver
        self._told: set[type] = set()

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return what the resolver says; None where it fails."""
        try:
            said = self._resolver.resolve(handler, user)
            _check(said)
        except Exception as error:  # noqa: BLE001 - somebody else's code
            self._tell(type(error), handler.log)
            return None
        return said

    def _tell(self, kind: type, log: logging.Logger) -> None:
        """Name the type of the error alone: its text may hold a token."""
        if kind not in self._told:
            self._told.add(kind)
            log.warning("the session resolver %s failed: %s", self._name, kind.__name__)


def _check(said: object) -> None:
    """Raise where the answer is of no use: others would fail at it, on every request."""
    if said is None:
        return
    if not isinstance(said, Resolution) or not isinstance(said.key, str | None):
        raise TypeError(type(said).__name__)
    if said.expiry is not None and not is_time(said.expiry.at):
        raise ValueError(said.expiry.at)


def is_time(value: object) -> bool:
    """Tell whether these are seconds since the epoch that somebody can mean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= _LAST_S


def load_resolvers(names: Sequence[str], settings: Settings) -> tuple[Resolver, ...]:
    """Return the resolvers in the order in which they are asked.

    Args:
        names: Entries of the group :data:`GROUP`. The built-in names are always there.
        settings: Passed to each entry.

    Raises:
        ConfigurationError: A name is not known, or its package is broken, or
            ``session_resolver`` would not be asked.
    """
    if settings.session_resolver and "custom" not in names:
        raise ConfigurationError(
            "session_resolver is set, and nobody asks it; add 'custom' to "
            "c.JupyterSessionUser.resolvers"
        )
    entries = [_entry(name) for name in dict.fromkeys(names)]
    return tuple(_Guarded(entry.name, _make(entry, settings)) for entry in entries)


def resolve(resolvers: Sequence[Resolver], handler: JupyterHandler, user: ServerUser) -> Resolution:
    """Return what the request says of its login.

    For each field, the first resolver that says something wins. One that raises says nothing.

    Args:
        resolvers: What :func:`load_resolvers` returned.
        handler: The handler of an authenticated request.
        user: Whom the identity provider named.
    """
    expiry, key = None, None
    for said in _answers(resolvers, handler, user):
        expiry, key = expiry or said.expiry, key or said.key
        if expiry and key:
            break
    return Resolution(expiry, key)


def _answers(
    resolvers: Sequence[Resolver], handler: JupyterHandler, user: ServerUser
) -> Iterator[Resolution]:
    for resolver in resolvers:
        said = resolver.resolve(handler, user)
        if said is not None:
            yield said


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
            f"({type(error).__name__}: {error}); mend or upgrade its package, or take it out of "
            "c.JupyterSessionUser.resolvers"
        ) from error
