"""An identity provider with as many users as a test needs; each has a password."""

from __future__ import annotations

import hmac
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider, User

from jupyter_session_user.testing.demo_identity import DemoLoginHandler

__all__ = ["ManyPeople", "password_of"]


def password_of(name: str) -> str:
    """Return the password of a user."""
    return f"{name}'s password"


class ManyPeople(PasswordIdentityProvider):
    """Knows every user who has the password of that name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.login_handler_class = DemoLoginHandler

    @property
    def auth_enabled(self) -> bool:
        """Return True: there is always a login."""
        return True

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user with the name and password of the form."""
        name = handler.get_argument("username", "")
        typed = handler.get_argument("password", "")
        same = hmac.compare_digest(password_of(name).encode(), typed.encode())
        return User(name) if name and same else None
