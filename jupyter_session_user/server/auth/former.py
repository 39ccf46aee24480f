"""Remembers a browser's former login while the user signs in again.

A browser that signs in again no longer sends its former cookie, but a client that copied the cookie
could.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

__all__ = ["COOKIE", "forget_former", "former_key", "remember_former"]

#: Signed by this server; holds the hash of a login, which cannot be used to log in.
COOKIE = "session-user-former"

#: Maximum time for signing in, in days.
_DAYS = 1


def remember_former(handler: JupyterHandler, key: str) -> None:
    """Store the login's key in the browser, while the login cookie is cleared.

    Args:
        handler: The request that clears the cookie.
        key: Hash of the login.
    """
    handler.set_secure_cookie(
        COOKIE,
        key,
        expires_days=_DAYS,
        path=handler.base_url,
        httponly=True,
        samesite="Lax",
        secure=handler.request.protocol == "https",
    )


def former_key(handler: JupyterHandler) -> str | None:
    """Return the key of the former login; None if there is none."""
    value: Any = handler.get_secure_cookie(COOKIE, max_age_days=_DAYS)
    return value.decode() if value else None


def forget_former(handler: JupyterHandler) -> None:
    """Remove the key from the browser."""
    handler.clear_cookie(COOKIE, path=handler.base_url)
