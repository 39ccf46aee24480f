"""Identity providers that take the username from the header ``X-User``, as behind a proxy.

The user object is built as JupyterHub builds its own: a subclass with a ``hub_user`` dict.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User

__all__ = [
    "CANARY",
    "AsyncHeaderIdentityProvider",
    "HeaderIdentityProvider",
    "HeaderUser",
    "HubIdentityProvider",
]


#: Stands for fields of a provider's user that no kernel may see.
CANARY = "c4n4ry-0f-th3-pr0v1d3r"


class HeaderUser(User):
    """A user with the fields of JupyterHub's user."""

    def __init__(self, username: str) -> None:
        super().__init__(username=username, name=username.title())
        self.hub_user = {
            "name": username,
            "kind": "user",
            "scopes": [f"access!user={username}"],
            "token_secret": CANARY,
            "nested": [{"id": CANARY}],
        }
        self.email = f"{username}@example.org"
        self.given_name = username.title()
        self.id_token = self.password = self._token = CANARY
        self.everything = {CANARY: CANARY}
        self.groups = {f"{username}s", "staff"}
        self.admin = username == "root"
        self.connection = object()  # not JSON: must not cause an error


class HeaderIdentityProvider(IdentityProvider):
    """Trusts the header, without waiting."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user that the header names."""
        username = handler.request.headers.get("X-User", "")
        return HeaderUser(username) if username else None


class AsyncHeaderIdentityProvider(HeaderIdentityProvider):
    """Trusts the header after some turns of the event loop."""

    async def get_user(self, handler: Any) -> User | None:
        """Return the user that the header names, some turns of the event loop later."""
        for _ in range(3):
            await asyncio.sleep(0)
        return super().get_user(handler)


class HubIdentityProvider(IdentityProvider):
    """Names a user as JupyterHub does: ``X-Hub: <username> <session id> <token id>``."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user that the Hub would name."""
        name, _, ids = handler.request.headers.get("X-Hub", "").partition(" ")
        if not name:
            return None
        session_id, token_id = ids.split(" ")
        user = HeaderUser(name)
        user.hub_user |= {"session_id": session_id or None, "token_id": token_id}
        return user
