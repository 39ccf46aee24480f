"""Which services wait for the consent of a user: the pages of that user's login show a notice.

An entry belongs to one login of one user, since the tokens that are exchanged do. So neither
another user of the same kernel nor another browser of the same user sees it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jupyter_session_user.store.base import Record

__all__ = ["Consents", "LoginPage"]

_MAX_LOGINS = 4096


class LoginPage(NamedTuple):
    """The page where users log in again.

    Attributes:
        link: Its address for a page of this server: a path, or a URL if it is on another host.
        url: The whole URL; empty if it is unknown.
    """

    link: str = ""
    url: str = ""


class Consents:
    """The services that wait, by login and user.

    Attributes:
        changed: Called with ``consent_required`` or ``consent_given`` and the session on the kernel
            that asked, if the list of a login has changed.
    """

    def __init__(self) -> None:
        self.changed: Callable[[str, Record], None] = lambda *_: None
        #: Links by the service's name, by login and principal.
        self._waiting: OrderedDict[tuple[str, str], dict[str, str]] = OrderedDict()

    def require(self, record: Record, service: str, link: str) -> None:
        """Note that a service waits; each service counts once.

        Args:
            record: The session that asked for a token.
            service: The name of the entry in the setting.
            link: Where the user agrees; empty if that is unknown.
        """
        of_login = self._waiting.setdefault((record.key, record.principal), {})
        if of_login.get(service) != link:
            of_login[service] = link
            while len(self._waiting) > _MAX_LOGINS:
                self._waiting.popitem(last=False)
            self.changed("consent_required", record)

    def give(self, record: Record, service: str) -> None:
        """Note that a login got a token for the service."""
        of_login = self._waiting.get((record.key, record.principal), {})
        if of_login.pop(service, None) is not None:
            self.changed("consent_given", record)

    def of(self, record: Record) -> list[dict[str, str | None]]:
        """Return what a page of a login shows: ``service``, and ``login_url`` or None."""
        of_login = self._waiting.get((record.key, record.principal), {})
        return [{"service": name, "login_url": link or None} for name, link in of_login.items()]

    def forget(self, key: str) -> None:
        """Forget a login that is over."""
        for waiting in [waiting for waiting in self._waiting if waiting[0] == key]:
            del self._waiting[waiting]
