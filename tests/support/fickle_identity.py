"""Identity providers that change their mind, as told by files in the directory ``FICKLE``.

``removed-<username>``   that person is let in no more (``X-User`` behind a proxy)
``down``                 the provider cannot be asked: it raises, as a Hub that is away does
``slow``                 it does not answer for a minute

A file is the test's end, this class is the server's: nothing in between is made up.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from header_identity import HeaderIdentityProvider
from jupyter_server.auth.identity import PasswordIdentityProvider, User
from tornado.web import HTTPError

__all__ = ["FickleIdentityProvider", "RenewingIdentityProvider"]


def _told(name: str) -> bool:
    return Path(os.environ["FICKLE"], name).exists()


class FickleIdentityProvider(HeaderIdentityProvider):
    """Believes the header, as long as the files do not say otherwise."""

    async def get_user(self, handler: Any) -> User | None:
        """Return the user, nobody, or an error."""
        if _told("down"):
            raise HTTPError(503, "the Hub is away")
        if _told("slow"):
            await asyncio.sleep(60)
        user = super().get_user(handler)
        return None if user is None or _told(f"removed-{user.username}") else user


class RenewingIdentityProvider(PasswordIdentityProvider):
    """Gives a fresh login cookie with every page, as sliding sessions do; accepts old ones not.

    A login cookie is good for ``LIFETIME`` seconds.
    """

    async def _get_user(self, handler: Any) -> User | None:
        self.get_secure_cookie_kwargs = {"max_age_days": float(os.environ["LIFETIME"]) / 86_400}
        user = await super()._get_user(handler)
        if user is not None and "text/html" in handler.request.headers.get("Accept", ""):
            self.set_login_cookie(handler, user)
        return user
