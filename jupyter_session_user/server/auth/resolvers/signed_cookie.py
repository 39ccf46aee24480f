"""The login cookie's own time stamp, plus the provider's maximum age of such cookies.

The result is an estimate: a provider may renew its cookie, or have additional rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.core.signed_time import signed_at
from jupyter_session_user.server.auth.resolvers.base import Resolution

if TYPE_CHECKING:
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.settings import Settings

__all__ = ["SignedCookieResolver"]

# Tornado's defaults in set_signed_cookie and get_signed_cookie.
EXPIRES_DAYS = 30.0
MAX_AGE_DAYS = 31.0

_DAY_S = timedelta(days=1).total_seconds()


class SignedCookieResolver:
    """Estimates the end of a login from the cookie that the identity provider signed."""

    by_login_cookie = True

    def __init__(self, settings: Settings) -> None:
        del settings

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return when the login cookie will be too old; None if there is no valid one."""
        del user
        provider: IdentityProvider = handler.identity_provider
        name = provider.get_cookie_name(handler)
        if not handler.get_secure_cookie(name, **provider.get_secure_cookie_kwargs):
            return None
        issued_at = signed_at(handler.get_cookie(name) or "")
        if issued_at is None:
            return None
        return Resolution(Expiry(issued_at + min(_lifetimes(provider)), "estimated"))


def _lifetimes(provider: IdentityProvider) -> Iterator[float]:
    """Yield how long the browser keeps the cookie, and how long the server accepts it."""
    options, checks = provider.cookie_options, provider.get_secure_cookie_kwargs
    # RFC 6265, 5.3: Max-Age takes precedence over Expires.
    if options.get("max_age") is not None:
        yield float(options["max_age"])
    elif options.get("expires_days", EXPIRES_DAYS) is not None:
        yield _DAY_S * options.get("expires_days", EXPIRES_DAYS)
    yield _DAY_S * checks.get("max_age_days", MAX_AGE_DAYS)
