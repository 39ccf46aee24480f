"""The access token that a proxy in front of the server sends with each request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_session_user.core.login_tokens import LoginTokens
from jupyter_session_user.core.proxy_headers import RequestRefused, one_value
from jupyter_session_user.errors import AccessTokenUnavailable

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.store.base import Record

__all__ = ["HeaderTokens"]

_BEARER = "bearer "


class HeaderTokens:
    """Implements ``TokenSource``: the latest request of the login has the token.

    Args:
        header: Name of the header.
        logins: The logins, with their latest requests.
        clock: Returns the time, in seconds since the epoch.
    """

    refreshes = False

    def __init__(self, header: str, logins: Logins, clock: Callable[[], float] = time.time) -> None:
        self._header = header
        self._logins = logins
        self._clock = clock

    async def tokens(self, record: Record) -> LoginTokens | None:
        """Return the token in the latest request of a login.

        Raises:
            AccessTokenUnavailable: There are two, or another spelling of the header.
        """
        login = self._logins.get(record.key)
        if login is None or login.snapshot is None or login.principal != record.principal:
            return None
        try:
            value = one_value(login.snapshot.headers.get_all(), self._header)
        except RequestRefused as refusal:
            raise AccessTokenUnavailable(
                f"your browser's latest request has {refusal}, so the server cannot tell which "
                "token is yours; the proxy must remove what browsers send under that name",
                reason="no_tokens",
            ) from None
        if value is not None and value[: len(_BEARER)].lower() == _BEARER:
            value = value[len(_BEARER) :].strip()
        return LoginTokens.read({"access_token": value}, self._clock())

    async def keep(self, record: Record, tokens: LoginTokens) -> None:
        """Do nothing: the proxy renews the token."""

    def forget(self, record: Record) -> None:
        """Do nothing: the token is gone with the request."""

    def close(self) -> None:
        """Do nothing."""
