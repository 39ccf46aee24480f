"""The login cookie's own time stamp, plus how long the provider lets such a cookie live.

An estimate: a provider may renew its cookie, or have other rules besides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.server.resolvers.base import Resolution

if TYPE_CHECKING:
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.settings import Settings

__all__ = ["SignedCookieResolver"]

# Tornado's own defaults, of set_signed_cookie and get_signed_cookie.
EXPIRES_DAYS = 30.0
MAX_AGE_DAYS = 31.0

_DAY_S = timedelta(days=1).total_seconds()

#: Tornado's signed value, version 2: ``2|1:<key version>|10:<seconds>|<name>|<value>|<hash>``,
#: where each field but the last has its length in front.
_SIGNED_V2 = re.compile(r"2\|\d+:\d+\|\d+:(\d{1,12})\|")


class SignedCookieResolver:
    """Estimates the end of a login from the cookie that the identity provider signed."""

    def __init__(self, settings: Settings) -> None:
        del settings

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return when the login cookie will be too old; None if there is no good one."""
        del user
        signed_at = _signed_at(handler)
        if signed_at is None:
            return None
        life = min(_lifetimes(handler.identity_provider), default=None)
        if life is None:
            return None
        return Resolution(Expiry(signed_at + life, "estimated"))


def _signed_at(handler: JupyterHandler) -> int | None:
    """Return when the login cookie was signed, in seconds since the epoch."""
    provider: IdentityProvider = handler.identity_provider
    name = provider.get_cookie_name(handler)
    if not handler.get_secure_cookie(name, **provider.get_secure_cookie_kwargs):
        return None
    match = _SIGNED_V2.match(handler.get_cookie(name) or "")
    return int(match[1]) if match else None


def _lifetimes(provider: IdentityProvider) -> Iterator[float]:
    """Return how long the browser keeps the cookie, and how long the server accepts it."""
    options, checks = provider.cookie_options, provider.get_secure_cookie_kwargs
    # RFC 6265, 5.3: Max-Age counts before Expires.
    if options.get("max_age") is not None:
        yield float(options["max_age"])
    elif options.get("expires_days", EXPIRES_DAYS) is not None:
        yield _DAY_S * options.get("expires_days", EXPIRES_DAYS)
    yield _DAY_S * checks.get("max_age_days", MAX_AGE_DAYS)
