"""Receives the tokens with which the identity provider ends logins.

The rules for tokens are in ``core/logout_token.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_session_user.core.logout_token import (
    LOGOUT,
    SECURITY_EVENT,
    Kind,
    TokenRefused,
    parse,
    read,
)
from jupyter_session_user.core.rate import Failures, TokenBucket
from jupyter_session_user.errors import ConfigurationError, StoreUnavailable
from jupyter_session_user.server.auth.resolvers.jwks import ALGORITHMS, KeyFile, need_joserfc

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.auth.ended_logins import EndedLogins
    from jupyter_session_user.server.auth.subjects import Subjects
    from jupyter_session_user.server.settings import Settings

__all__ = ["ProviderLogout", "provider_logout"]

#: Refused tokens of one address: at once, per second, and for how many seconds it is blocked then.
_BURST, _RATE, _BLOCK_S = 50, 5.0, 10.0
#: Tokens of blocked addresses, per second: a signature costs about 0.1 ms.
_RESERVE_RATE = 100

_MATCHES_NONE = (
    "JupyterSessionUser: logout_issuer can end no login: none shows how the provider names it. Set "
    "c.JupyterSessionUser.jwt_jwks with .jwt_cookie or .jwt_header, or .logout_subject, unless a "
    "resolver of your own returns subjects."
)


class ProviderLogout:
    """Ends logins for the tokens of one identity provider.

    Args:
        keys: The provider's public keys.
        issuer: The provider.
        audiences: The required ``aud`` of each kind of token that is accepted.
        subjects: Ends logins by the provider's names.
        ended: The list of ended logins, which also remembers used tokens.
        clock: Returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        keys: KeyFile,
        issuer: str,
        audiences: dict[Kind, str],
        subjects: Subjects,
        ended: EndedLogins,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audiences = audiences
        self._subjects = subjects
        self._ended = ended
        self._clock = clock
        #: Addresses that have sent refused tokens.
        self.failures = Failures(_RATE, _BURST, _BLOCK_S)
        #: Tokens from blocked addresses that are looked at all the same: one may be the provider's.
        self.reserve = TokenBucket(_RESERVE_RATE, _RESERVE_RATE)

    def accepts(self, kind: Kind) -> bool:
        """Tell whether tokens of this kind are accepted."""
        return kind in self._audiences

    async def receive(self, token: str, kind: Kind) -> bool:
        """End the logins that a token names; return False if the same token came before.

        Args:
            token: Any text.
            kind: What the token must be; one of those that ``accepts`` accepts.

        Raises:
            TokenRefused: The token does not obey the rules, or is not the provider's.
            StoreUnavailable: The logins have ended, but a restart would forget that.
        """
        parsed = parse(token, kind, ALGORITHMS)
        if not self._keys.has_signed(token):
            raise TokenRefused(
                "no key in logout_jwks has signed this token; renew the file if the keys have "
                "changed",
                "invalid_key",
            )
        notice = read(parsed.claims, kind, self._issuer, self._audiences[kind], self._clock())
        if self._ended.is_used(notice.id):
            await self._ended.saved()  # the first of them may still be waiting
            return False
        # First, so that another server that knows of the end also refuses the token.
        self._ended.use(notice.id, notice.counts_until)
        if notice.target is None:
            return True
        self._subjects.end(notice.target, notice.before, notice.state)
        try:
            await self._ended.saved()
        except StoreUnavailable:
            self._ended.reopen(notice.id)  # the provider may send it again
            raise
        return True


def provider_logout(
    settings: Settings, subjects: Subjects, ended: EndedLogins, log: logging.Logger
) -> ProviderLogout | None:
    """Return the receiver of the provider's tokens; None if none is configured.

    Raises:
        ConfigurationError: A setting is missing, or the file holds no keys.
    """
    audiences = {LOGOUT: settings.logout_audience, SECURITY_EVENT: settings.logout_events_audience}
    audiences = {kind: audience for kind, audience in audiences.items() if audience}
    needed = {
        "logout_issuer": settings.logout_issuer,
        "logout_jwks": settings.logout_jwks,
        "logout_audience": audiences,
    }
    if not any((*needed.values(), settings.logout_subject)):
        return None
    missing = [f"c.JupyterSessionUser.{name}" for name, value in needed.items() if not value]
    if missing:
        raise ConfigurationError(f"logout_issuer: also set {', '.join(missing)}")
    need_joserfc("logout_jwks")
    keys = KeyFile(settings.logout_jwks, setting="logout_jwks")
    if not (settings.jwt_jwks or settings.logout_subject):
        log.warning(_MATCHES_NONE)
    return ProviderLogout(keys, settings.logout_issuer, audiences, subjects, ended)
