"""Identity providers that take the username from the header ``X-User``, as behind a proxy.

The user object is built as JupyterHub builds its own: a subclass with a ``hub_user`` dict.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User

__all__ = ["AsyncHeaderIdentityProvider", "HeaderIdentityProvider", "HeaderUser"]


class HeaderUser(User):
    """A user with what a Hub would say of it."""

    def __init__(self, username: str) -> None:
        super().__init__(username=username, name=username.title())
        self.hub_user = {"name": username, "kind": "user", "scopes": [f"access!user={username}"]}
        self.groups = {f"{username}s", "staff"}
        self.admin = username == "root"
        self.connection = object()  # no JSON: must not get in anybody's way


class HeaderIdentityProvider(IdentityProvider):
    """Believes the header, at once."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user whom the header names."""
        username = handler.request.headers.get("X-User", "")
        return HeaderUser(username) if username else None


class AsyncHeaderIdentityProvider(HeaderIdentityProvider):
    """Believes the header after a while."""

    async def get_user(self, handler: Any) -> User | None:
        """Return the user whom the header names, some turns of the event loop later."""
        for _ in range(3):
            await asyncio.sleep(0)
        return super().get_user(handler)
