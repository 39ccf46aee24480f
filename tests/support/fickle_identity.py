"""Identity providers that change their mind, as told by files in the directory ``FICKLE``.

``removed-<username>``   that person is let in no more (``X-User`` behind a proxy)
``down``                 the provider cannot be asked: it raises, as a Hub that is away does
``breaks-on-<username>`` it fails on that person's requests, as a bug of its own would
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

from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

__all__ = ["FickleIdentityProvider", "RenewingIdentityProvider", "SlidingIdentityProvider"]


def _told(name: str) -> bool:
    return Path(os.environ["FICKLE"], name).exists()


class FickleIdentityProvider(HeaderIdentityProvider):
    """Trusts the header, unless the files say otherwise."""

    async def get_user(self, handler: Any) -> User | None:
        """Return the user or None, or fail."""
        if _told("down"):
            raise HTTPError(503, "the Hub is away")
        if _told("slow"):
            await asyncio.sleep(60)
        user = super().get_user(handler)
        if user is not None and _told(f"breaks-on-{user.username}"):
            raise TypeError("a bug of the provider's")
        return None if user is None or _told(f"removed-{user.username}") else user


class RenewingIdentityProvider(PasswordIdentityProvider):
    """Sets a new login cookie with every page, as sliding sessions do; old cookies expire.

    A login cookie is good for ``LIFETIME`` seconds.
    """

    async def _get_user(self, handler: Any) -> User | None:
        self.get_secure_cookie_kwargs = {"max_age_days": float(os.environ["LIFETIME"]) / 86_400}
        user = await super()._get_user(handler)
        if user is not None and "text/html" in handler.request.headers.get("Accept", ""):
            self.set_login_cookie(handler, user)
        return user


class SlidingIdentityProvider(DemoIdentityProvider):
    """The demo users; each response signs the login cookie again, before any other check."""

    async def _get_user(self, handler: Any) -> User | None:
        known = getattr(handler, "_jupyter_current_user", None)
        user = await super()._get_user(handler)
        if user is not None and known is None:
            self.set_login_cookie(handler, user)
        return user
