"""An identity provider that names some people, and makes the others up as Jupyter does."""

from __future__ import annotations

from typing import Any

from header_identity import HeaderIdentityProvider
from jupyter_server.auth.identity import User

__all__ = ["HeaderOrMadeUpIdentityProvider"]


class HeaderOrMadeUpIdentityProvider(HeaderIdentityProvider):
    """Believes the header; without one, Jupyter's own anonymous user."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user whom the header names, or one made up for this browser."""
        user = super().get_user(handler)
        return user or self.get_user_cookie(handler) or self._made_up(handler)

    def _made_up(self, handler: Any) -> User:
        user = self.generate_anonymous_user(handler)
        self.set_login_cookie(handler, user)
        return user
