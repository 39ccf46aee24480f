"""The tokens in JupyterHub's ``auth_state``, which the Hub encrypts, and renews (``refresh_user``).

The Hub is asked with the token of the person's own login at this server, and never with the
server's: that one would return the owner's tokens for a guest, too. The person's role and the
server's OAuth client need the scope ``admin:auth_state!user``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado.web import HTTPError

from jupyter_session_user.core.login_tokens import LoginTokens
from jupyter_session_user.errors import AccessTokenUnavailable
from jupyter_session_user.upstream.jupyterhub import auth_state

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.auth.capture import Capture
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.server.auth.revalidation import Authority
    from jupyter_session_user.store.base import Record

__all__ = ["HubTokens"]

_NAMES = ("access_token", "refresh_token", "id_token", "expires_at")


class HubTokens:
    """Implements ``TokenSource``.

    Args:
        logins: The logins, with their latest requests.
        authority: Asks the identity provider about such a request.
        capture: Finds the user of a request.
        log: Log for warnings.
        clock: Returns the time, in seconds since the epoch.
    """

    refreshes = False

    def __init__(
        self,
        logins: Logins,
        authority: Authority,
        capture: Capture,
        log: logging.Logger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._logins = logins
        self._authority = authority
        self._capture = capture
        self._log = log
        self._clock = clock

    async def tokens(self, record: Record) -> LoginTokens | None:
        """Return the tokens that the Hub has of the user.

        Raises:
            AccessTokenUnavailable: The Hub does not answer, or a scope is missing.
        """
        login = self._logins.get(record.key)
        if login is None or login.snapshot is None or login.credential != "hub":
            return None
        try:
            handler, user = await self._authority.user_in(login.snapshot)
            if user is None or self._principal(handler, user) != record.principal:
                return None
            state = await auth_state(handler, user)
        except HTTPError:
            raise AccessTokenUnavailable(
                "JupyterHub does not answer, or refuses this login; try again later",
                reason="unreachable",
            ) from None
        if state is None:
            raise AccessTokenUnavailable(
                "JupyterHub does not show the tokens of your login to this server; ask the "
                "administrator for the scope admin:auth_state!user and for enable_auth_state, see "
                "docs/access_tokens.md",
                reason="no_tokens",
            )
        return LoginTokens.read({name: state.get(name) for name in _NAMES}, self._clock())

    def _principal(self, handler: object, user: object) -> str:
        return self._capture.login_of(handler, user).principal  # type: ignore[arg-type]

    async def keep(self, record: Record, tokens: LoginTokens) -> None:
        """Warn: the Hub's copy of a refresh token that counts once is worth nothing now."""
        del tokens
        self._log.warning(
            "JupyterSessionUser: the identity provider has replaced the refresh token that "
            "JupyterHub has for %r; use a token exchange (RFC 8693), see docs/access_tokens.md",
            record.session.user.username,
        )

    def forget(self, record: Record) -> None:
        """Do nothing: the Hub has the tokens."""

    def close(self) -> None:
        """Do nothing."""
