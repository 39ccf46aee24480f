"""An identity provider that names some users; the others are anonymous, as in Jupyter."""

from __future__ import annotations

from typing import Any

from header_identity import HeaderIdentityProvider
from jupyter_server.auth.identity import User

__all__ = ["HeaderOrAnonymousIdentityProvider"]


class HeaderOrAnonymousIdentityProvider(HeaderIdentityProvider):
    """Trusts the header; without one, Jupyter's own anonymous user."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user that the header names, or an anonymous user for this browser."""
        user = super().get_user(handler)
        return user or self.get_user_cookie(handler) or self._anonymous(handler)

    def _anonymous(self, handler: Any) -> User:
        user = self.generate_anonymous_user(handler)
        self.set_login_cookie(handler, user)
        return user
