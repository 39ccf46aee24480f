"""The tokens that the identity provider of this server hands over when a user logs in.

The provider sets ``login_tokens`` on the user for whom it sets a login cookie: the members of the
token response (RFC 6749, section 5.1). They are taken off that user at once, and kept encrypted,
bound to the login and the user: what is kept for one login cannot be read for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.digest import digest
from jupyter_session_user.core.login_tokens import LoginTokens

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.auth.sealing import Sealer
    from jupyter_session_user.store.base import Record
    from jupyter_session_user.store.sealed import SealedRows

__all__ = ["HandedOver"]

#: A login cookie of Jupyter counts for 30 days.
_KEPT_S = 31 * 86_400
_ATTRIBUTE = "login_tokens"


class HandedOver:
    """Implements ``TokenSource``.

    Args:
        sealer: Encrypts.
        rows: Keeps what is encrypted.
        log: Log for failures, without tokens.
        clock: Returns the time, in seconds since the epoch.
    """

    refreshes = True

    def __init__(
        self,
        sealer: Sealer,
        rows: SealedRows,
        log: logging.Logger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sealer = sealer
        self._rows = rows
        self._log = log
        self._clock = clock
        # One thread: what is written first is read first.
        self._thread = ThreadPoolExecutor(1, "jupyter-session-user-tokens")
        rows.forget(clock())

    def logged_in(self, user: Any, key: str, principal: str) -> None:
        """Take the tokens off a user who has just logged in.

        Args:
            user: The provider's user.
            key: Hash of the new login.
            principal: Id of the user across logins.
        """
        given = getattr(user, _ATTRIBUTE, None)
        if given is None:
            return
        setattr(user, _ATTRIBUTE, None)
        tokens = LoginTokens.read(given, self._clock())
        if tokens is None:
            self._log.warning(
                "JupyterSessionUser: the identity provider's login_tokens have no token; they are "
                "the members of its token response, such as access_token"
            )
            return
        self._write(key, principal, tokens)

    async def tokens(self, record: Record) -> LoginTokens | None:
        """Return what the provider handed over at this login, as it is now."""
        about = _about(record.key, record.principal)
        loop, now = asyncio.get_running_loop(), self._clock()
        sealed = await loop.run_in_executor(self._thread, self._rows.get, about, now)
        text = None if sealed is None else self._sealer.open(sealed, about)
        return None if text is None else LoginTokens.read(json.loads(text), now)

    async def keep(self, record: Record, tokens: LoginTokens) -> None:
        """Take over what the provider has sent."""
        await asyncio.wrap_future(self._write(record.key, record.principal, tokens))

    def forget(self, record: Record) -> None:
        """Forget the tokens of a login."""
        with contextlib.suppress(RuntimeError):  # the server ends
            self._later(self._rows.remove, _about(record.key, record.principal))

    def close(self) -> None:
        """Write the rest, and close the file."""
        self._thread.shutdown(wait=True)
        self._rows.close()

    def _write(self, key: str, principal: str, tokens: LoginTokens) -> Any:
        about = _about(key, principal)
        sealed = self._sealer.seal(json.dumps(tokens.to_keep()), about)
        return self._later(self._rows.put, about, sealed, self._clock() + _KEPT_S)

    def _later(self, function: Callable[..., None], *arguments: Any) -> Any:
        future = self._thread.submit(function, *arguments)
        future.add_done_callback(self._tell)
        return future

    def _tell(self, future: Any) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._log.error(
                "JupyterSessionUser: the encrypted tokens of a login cannot be saved (%s)",
                type(error).__name__,
            )


def _about(key: str, principal: str) -> str:
    """Return the name of a login's tokens, which is also the associated data."""
    return digest("login-tokens", key, principal)
