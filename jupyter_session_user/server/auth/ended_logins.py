"""The logins that this server rejects, even if the identity provider accepts them.

A login is ended individually, by the hash of its cookie, or together with all other logins of its
user, by the time at which its cookie was signed. The second way also ends logins that this server
has never seen: cookies that were issued but not used yet.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from jupyter_session_user.core.signed_time import ended_until, seconds_missing
from jupyter_session_user.store.base import MAX_RENEWALS, Ended

if TYPE_CHECKING:
    from jupyter_session_user.core.lifecycle import Moment
    from jupyter_session_user.store.base import EndedStore, Run

__all__ = ["COOKIE_LIMIT_S", "MOST_ENDS", "EndedLogins"]

#: RFC 6265bis section 5.5: no browser keeps a cookie longer. In seconds.
COOKIE_LIMIT_S = 400 * 86_400.0

#: How many logins of one user a server ends one by one. A further one ends together with all other
#: logins of that user: one entry, however often a script logs out.
MOST_ENDS = 1_000
#: How many of them no longer count after each call of ``forget``.
_ENDS_FORGOTTEN = 10


class EndedLogins:
    """The list of ended logins, with this server's clock.

    Args:
        store: The list.
        clock: Returns the time on both clocks.
        realm: Identifies the set of accounts. Entries of other realms in the same list are about
            other users, even with the same usernames. Compare RFC 9110 section 11.5.
    """

    def __init__(self, store: EndedStore, clock: Callable[[], Moment], realm: str = "") -> None:
        self._store = store
        self._clock = clock
        self._realm = f"{realm}\n" if realm else ""
        self._ahead: dict[str, int] = {}
        self._ends: dict[str, int] = {}

    # --------------------------------------------------------------------------- one login

    def how(self, key: str) -> Ended | None:
        """Return how a login ended; None if it did not."""
        return self._store.ended(self._realm + key, self._clock().wall)

    def state(self, key: str) -> str | None:
        """Return ``expired``, ``revoked`` or ``signed_out``; None if the login has not ended."""
        ended = self.how(key)
        return None if ended is None else ended.state

    def end(
        self,
        key: str,
        principal: str,
        state: str,
        seconds: float = COOKIE_LIMIT_S,
        issued_at: int | None = None,
    ) -> bool:
        """End a login for good, including all cookies that it has used.

        Args:
            key: Hash of the login's first credential.
            principal: ``Record.principal``; empty if unknown.
            state: How the login ends.
            seconds: How long to refuse it, in seconds.
            issued_at: When its cookie was signed, in seconds since the epoch; None if unknown.

        Returns:
            Whether the user's other logins have ended with it.
        """
        # A revoked login stays revoked, even if the user signs out or is idle later.
        if state != "revoked" and self.state(key) is not None:
            return False
        now, renewals = self._clock().wall, self._store.renewals(self._realm + key)
        is_new = issued_at is not None and self.state(key) is None
        if is_new and self._is_one_too_many(principal):
            # Until now: another server may be renewing a cookie of this login; or until later, if a
            # cookie was signed with a later time.
            latest = max(issued_at or 0, math.floor(now), self._ahead.get(principal, 0))
            self._store.end_before(self._realm + principal, latest, latest + COOKIE_LIMIT_S)
            return True
        for shown in (self._realm + key, *renewals):
            self._store.end(shown, Ended(state, now, now + seconds))
        if len(renewals) >= MAX_RENEWALS and principal:
            self.end_principal(principal)  # earlier cookies of this login were forgotten
            return True
        return False

    def _is_one_too_many(self, principal: str) -> bool:
        if not principal:
            return False
        self._ends[principal] = self._ends.get(principal, 0) + 1
        return self._ends[principal] > MOST_ENDS

    def reopen(self, key: str) -> None:
        """Accept a login again; harmless if it has not ended."""
        self._store.reopen(self._realm + key, self._clock().wall)

    # ---------------------------------------------------------------------- renewed cookies

    def canonical(self, key: str) -> str:
        """Return the first key of a login; its cookie may have been renewed since."""
        return self._store.canonical(self._realm + key).removeprefix(self._realm)

    def renewed(self, key: str, new: str) -> None:
        """Note that a login now has another cookie, with the key ``new``."""
        until = self._clock().wall + COOKIE_LIMIT_S
        self._store.renew(self._realm + key, self._realm + new, until)

    # ------------------------------------------------------------- all logins of one user

    def end_principal(self, principal: str) -> None:
        """End all logins of a user with a cookie that was signed until now."""
        now = math.floor(self._clock().wall)
        before = self._store.not_before(self._realm + principal)
        until = ended_until(now, before, self._ahead.pop(principal, 0))
        self._store.end_before(self._realm + principal, until, until + COOKIE_LIMIT_S)

    def end_before(self, name: str, seconds: int) -> None:
        """End all logins under a name of the identity provider's that began until then.

        Args:
            name: See ``core/subject.py``.
            seconds: The time, in seconds since the epoch.
        """
        self._store.end_before(self._realm + name, seconds, seconds + COOKIE_LIMIT_S)

    def ended_until(self, name: str) -> int:
        """Return the latest time of ``end_before``; -1 if there is none."""
        return self._store.not_before(self._realm + name)

    # ------------------------------------------------------------------ tokens that count once

    def is_used(self, token: str) -> bool:
        """Tell whether a token that counts once has been used, at any server with this list."""
        return self.state(token) is not None

    def use(self, token: str, until: float) -> None:
        """Note the use of a token that counts once.

        Args:
            token: Hash of its id.
            until: Time after which it would be refused anyway, in seconds since the epoch.
        """
        self._store.end(self._realm + token, Ended("expired", self._clock().wall, until))

    # ------------------------------------------------------------------------ times of cookies

    def seconds_missing(self, principal: str, issued_at: int | None) -> int:
        """Return how many seconds too early a cookie was signed to be valid; 0 if it is valid.

        Args:
            principal: ``Record.principal``.
            issued_at: When the cookie was signed, in whole seconds since the epoch; None if
                unknown.
        """
        return seconds_missing(self._store.not_before(self._realm + principal), issued_at)

    def issued_ahead(self, principal: str, issued_at: int | None) -> None:
        """Note a login with a cookie that carries a later time than that of its signing."""
        self._ahead[principal] = max(issued_at or 0, self._ahead.get(principal, 0))

    # -------------------------------------------------------------------------- the store

    def names_of(self, *texts: str) -> tuple[str, ...]:
        """Return the names under which other servers' changes mention keys and users."""
        return tuple(self._store.name(self._realm + text) for text in texts)

    def name_of(self, principal: str) -> str:
        """Return the name under which other servers' changes mention a user."""
        return self._store.name(self._realm + principal)

    def follow(self, changed: Callable[[Collection[str]], None], run: Run) -> None:
        """Call ``changed`` with the names of logins and users that other servers have ended.

        Args:
            changed: The listener.
            run: Runs a function in the server's thread.
        """
        self._store.follow(changed, run)

    def saved(self) -> Awaitable[None]:
        """Wait until all changes so far would survive the end of this process.

        Raises:
            StoreUnavailable: The changes cannot be saved now; they hold until this process ends.
        """
        return self._store.saved()

    def forget(self) -> None:
        """Remove entries that no browser would send any more."""
        now = self._clock().wall
        self._store.forget(now)
        self._ahead = {principal: at for principal, at in self._ahead.items() if at > now}
        self._ends = {
            principal: count - _ENDS_FORGOTTEN
            for principal, count in self._ends.items()
            if count > _ENDS_FORGOTTEN
        }

    def close(self) -> None:
        """Save the remaining changes."""
        self._store.close()
