"""The logins that the identity provider ends under its own names of them.

See ``core/subject.py``. The list of ended logins holds what a provider has ended. So it counts for
logins that this server has not seen yet, and for those of other servers with the same list.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from jupyter_session_user.core.subject import (
    STATES,
    Subject,
    Target,
    at,
    how_it_ended,
    target_names,
)

if TYPE_CHECKING:
    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.known_login import KnownLogin
    from jupyter_session_user.server.auth.logins import Logins

__all__ = ["Subjects"]

#: How many subjects of one login are remembered: a browser's login here may outlive several at the
#: provider.
_REMEMBERED = 8


class Subjects:
    """Ends logins by the names that the provider has for them.

    Args:
        logins: The logins of this server.
        log: Log for notices that end nothing.
    """

    def __init__(self, logins: Logins, log: logging.Logger) -> None:
        self._logins = logins
        self._ended = logins.ended
        self._log = log

    def end(self, target: Target, before: int, state: str) -> int:
        """End logins, and return how many of them were known here.

        Args:
            target: What the provider ends.
            before: A user's logins that began until then end, in seconds since the epoch.
            state: ``signed_out`` or ``revoked``.
        """
        named = target_names(target)
        for session in named.sessions:
            self._ended.end(session, "", state)
        users = [at(user, state) for user in named.users]
        for user in users:
            self._ended.end_before(user, before)
        count = self._apply(self._ended.names_of(*named.sessions, *users))
        if not count:
            self._log.debug("The provider has ended a login that is not known here")
        return count

    def ended_elsewhere(self, names: Collection[str]) -> None:
        """Apply what other servers have ended.

        Args:
            names: See ``EndedLogins.names_of``.
        """
        self._logins.ended_elsewhere(names)
        self._apply(names)

    def refuses(self, shown: Login) -> bool:
        """Tell whether the provider has ended the login of a request; then it ends here, too."""
        state = self._how(shown.subjects, None)
        if state is None:
            return False
        self._end(shown.key, state)
        return True

    def learn(self, login: KnownLogin, shown: Login) -> None:
        """Remember the provider's names of a login: a later request may leave them out."""
        new = [subject for subject in shown.subjects if subject not in login.subjects]
        if not new:
            return
        subjects = (*login.subjects, *new)[-_REMEMBERED:]
        texts = [name for subject in subjects for name in subject.names]
        self._logins.known.name(login, self._ended.names_of(*texts))
        login.subjects = subjects

    def _apply(self, names: Iterable[str]) -> int:
        count = 0
        for login in self._logins.known.named_by_provider(names):
            state = self._how(login.subjects, login.status.since.wall)
            count += state is not None and self._end(login.key, state)
        return count

    def _end(self, key: str, state: str) -> bool:
        """End a login, and tell whether that is new."""
        new = self._ended.state(key) not in {state, "revoked"}
        if new:
            self._logins.end(key, state)
        return new

    def _how(self, subjects: Iterable[Subject], began: float | None) -> str | None:
        ended = self._ended
        found = {how_it_ended(one, began, ended.state, ended.ended_until) for one in subjects}
        return next((state for state in STATES if state in found), None)
