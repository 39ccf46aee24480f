"""Identity providers that name a user by an assertion which a proxy makes for each request.

The environment variable ``HEADER`` names the header.

``ShortLived``  ``<username> <seconds since the epoch>``, good for ``LIFETIME`` seconds
``OneTime``     ``<username> <anything>``, each good once
``Token``       a JWT with ``sub`` and ``exp``; its signature is not looked at
"""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User

__all__ = ["OneTime", "ShortLived", "Token"]


def _assertion(handler: Any) -> str:
    text: str = handler.request.headers.get(os.environ["HEADER"], "")
    return text


class ShortLived(IdentityProvider):
    """Accepts an assertion until it is too old."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user that a fresh assertion names."""
        name, _, made = _assertion(handler).partition(" ")
        fresh = name and time.time() < float(made) + float(os.environ["LIFETIME"])
        return User(username=name) if fresh else None


class OneTime(IdentityProvider):
    """Accepts each assertion once."""

    used: set[str] = set()  # noqa: RUF012 - of this process

    def get_user(self, handler: Any) -> User | None:
        """Return the user that a new assertion names."""
        assertion = _assertion(handler)
        if not assertion or assertion in self.used:
            return None
        self.used.add(assertion)
        return User(username=assertion.partition(" ")[0])


class Token(IdentityProvider):
    """Accepts a JWT until it expires."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user that the token names."""
        parts = _assertion(handler).split(".")
        if len(parts) != 3:
            return None
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return User(username=claims["sub"]) if time.time() < claims["exp"] else None
