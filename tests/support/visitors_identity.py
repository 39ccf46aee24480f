"""An identity provider with a login form, which also accepts visitors without a login."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider, User

__all__ = ["PASSWORD", "VisitorsIdentityProvider"]

#: The password of all users.
PASSWORD = "a password of the tests"


class VisitorsIdentityProvider(PasswordIdentityProvider):
    """Names the user of Jupyter's signed login cookie; without one, an anonymous user."""

    @property
    def auth_enabled(self) -> bool:
        """Return True: there is a login."""
        return True

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user with the name in the form."""
        if handler.get_argument("password", "") != PASSWORD:
            return None
        return User(handler.get_argument("username"))

    async def get_user(self, handler: Any) -> User:
        """Return the user of the cookie, or an anonymous user that gets a cookie."""
        user = await self._get_user(handler)
        if user is None:
            user = self.generate_anonymous_user(handler)
            self.set_login_cookie(handler, user)
        return user
