"""What a source of a login's tokens does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jupyter_session_user.core.login_tokens import LoginTokens
    from jupyter_session_user.store.base import Record

__all__ = ["TokenSource"]


class TokenSource(Protocol):
    """Finds the tokens of one login of one user.

    Attributes:
        refreshes: Whether the server renews the access token itself. If not, the source has always
            the latest one.
    """

    refreshes: bool

    async def tokens(self, record: Record) -> LoginTokens | None:
        """Return the tokens of a login that is open; None if there are none.

        Args:
            record: The session of the login's user.

        Raises:
            AccessTokenUnavailable: The source cannot be asked now, or lacks a right.
        """

    async def keep(self, record: Record, tokens: LoginTokens) -> None:
        """Take over what the provider has sent; a refresh token may count once.

        Args:
            record: The session.
            tokens: All tokens of the login from now on.
        """

    def forget(self, record: Record) -> None:
        """Forget the tokens of a login that has ended for good."""

    def close(self) -> None:
        """Release all resources."""
