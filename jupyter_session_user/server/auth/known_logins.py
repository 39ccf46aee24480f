"""The logins that a server knows: by key, by user, by the time of the next look, and in use."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.agenda import Agenda
from jupyter_session_user.core.groups import Groups

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.known_login import KnownLogin

__all__ = ["KnownLogins"]


class KnownLogins:
    """A bounded collection; every call costs the same, however many logins it holds.

    Args:
        limit: How many logins without open websockets are remembered. Beyond it, those that were
            seen longest ago are forgotten: the user's own ones if the user has more than a tenth.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._quota = max(1, limit // 10)
        self._logins: OrderedDict[str, KnownLogin] = OrderedDict()
        self._by_principal = Groups()
        #: By the names under which other servers' changes mention a login, and its user.
        self._by_name: dict[str, KnownLogin] = {}
        self._principals: dict[str, str] = {}
        #: Keys of logins, by the identity provider's names.
        self._by_provider: dict[str, dict[str, None]] = {}
        self._followed: list[KnownLogin] = []
        #: Called at once with a login that may be followed from now on.
        self.on_follow: Callable[[KnownLogin], None] = lambda _: None
        #: All open websockets, through weak references.
        self.open: weakref.WeakSet[Any] = weakref.WeakSet()
        #: Called when a websocket has been opened.
        self.on_open: Callable[[], None] = lambda: None
        #: When to look at a login, in monotonic seconds.
        self.agenda = Agenda()

    def __iter__(self) -> Iterator[KnownLogin]:
        """Iterate over the logins; the one that was seen longest ago comes first."""
        return iter(list(self._logins.values()))

    def __contains__(self, key: str) -> bool:
        """Tell whether a login is known."""
        return key in self._logins

    def get(self, key: str) -> KnownLogin | None:
        """Return a login; None if it is unknown."""
        return self._logins.get(key)

    def of_principal(self, principal: str) -> list[KnownLogin]:
        """Return the logins of a user."""
        return [self._logins[key] for key in self._by_principal.of(principal)]

    def named(self, names: Iterable[str]) -> Iterator[KnownLogin]:
        """Yield the logins that changes of other servers mention, themselves or by their user."""
        for name in names:
            if (login := self._by_name.get(name)) is not None:
                yield login
            if (principal := self._principals.get(name)) is not None:
                yield from self.of_principal(principal)

    def name(self, login: KnownLogin, names: tuple[str, ...]) -> None:
        """Set the names that stand for a login at the identity provider; some may be repeated."""
        self._unname(login)
        login.provider_names = tuple(dict.fromkeys(names))
        for name in names:
            self._by_provider.setdefault(name, {})[login.key] = None

    def named_by_provider(self, names: Iterable[str]) -> list[KnownLogin]:
        """Return the logins that have one of these names at the identity provider."""
        keys = {key: None for name in names for key in self._by_provider.get(name, ())}
        return [self._logins[key] for key in keys if key in self._logins]

    def _unname(self, login: KnownLogin) -> None:
        for name in login.provider_names:
            keys = self._by_provider.get(name, {})
            keys.pop(login.key, None)
            if not keys:
                self._by_provider.pop(name, None)
        login.provider_names = ()

    def add(self, login: KnownLogin) -> None:
        """Add a login; the ones that were seen longest ago may be forgotten for it."""
        self._logins[login.key] = login
        name, principal_name = login.names
        self._by_name[name] = login
        self._principals[principal_name] = login.principal
        self._by_principal.put(login.principal, login.key)
        own = self._by_principal.of(login.principal)
        surplus = max(0, len(self._logins) - self._limit)
        crowded = own if len(own) > self._quota else self._logins
        for key in list(itertools.islice(crowded, surplus)):
            old = self._logins[key]
            if old is login or old.in_use:
                self.seen(old)
            else:
                self._forget(old)
        if self._has_open_expired(login.principal):
            self._followed.append(login)

    def seen(self, login: KnownLogin) -> None:
        """Note that a login was seen just now."""
        self._logins.move_to_end(login.key)
        self._by_principal.put(login.principal, login.key)

    def _forget(self, login: KnownLogin) -> None:
        del self._logins[login.key]
        self._by_principal.discard(login.principal, login.key)
        name, principal_name = login.names
        self._by_name.pop(name, None)
        if not self._by_principal.of(login.principal):
            self._principals.pop(principal_name, None)
        self._unname(login)
        self.agenda.drop(login.key)

    # ------------------------------------------------------------------------- logins in use

    def follow(self, login: KnownLogin, socket: Any) -> None:
        """Note that a login may be followed from now on, because of an open websocket."""
        self._followed.append(login)
        self.on_follow(login)
        self.open.add(socket)
        self.on_open()

    def closed(self, key: str, socket: Any) -> None:
        """Note that a kernel websocket of a login has closed; harmless when repeated."""
        self.open.discard(socket)
        login = self.get(key)
        if login is not None:
            login.remove_socket(socket)

    def expired_in_use(self, login: KnownLogin) -> None:
        """Note that an open login has expired: the user's other logins may continue its work."""
        self._followed.extend(self.of_principal(login.principal))

    def newly_followed(self) -> list[KnownLogin]:
        """Return the logins that may be followed since the last call."""
        followed, self._followed = self._followed, []
        return followed

    def is_followed(self, login: KnownLogin) -> bool:
        """Tell whether the end of a login matters now: it has open websockets, or continues one.

        A new login continues the work of the same user's expired login with open websockets.
        """
        return login.in_use or self._has_open_expired(login.principal)

    def _has_open_expired(self, principal: str) -> bool:
        logins = self.of_principal(principal)
        return any(login.status.state == "expired" and login.sockets for login in logins)
