"""Two demo users with passwords: an identity provider that must never protect real data.

It refuses to start without ``c.DemoIdentityProvider.demo = True``.
"""

from __future__ import annotations

import base64
import hmac
import itertools
import json
from html import escape
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.auth.login import LoginFormHandler
from traitlets import Bool, Dict, Unicode

from jupyter_session_user.errors import ConfigurationError

__all__ = ["PEOPLE", "DemoIdentityProvider", "DemoLoginHandler", "DemoUser", "demo_user"]

PEOPLE = {
    "alice": {"name": "Alice Adams", "initials": "AA", "groups": ["finance"]},
    "bob": {"name": "Bob Brown", "initials": "BB", "groups": ["research"]},
}

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Demo login</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ display: grid; place-items: center; min-height: 100vh; margin: 0 }}
form {{ display: grid; gap: .8rem; width: min(20rem, 90vw) }}
input, button {{ font: inherit; padding: .5rem .7rem; border-radius: .4rem }}
input {{ border: 1px solid #888 }}
button {{ background: #1565c0; color: #fff; border: 0 }}
[role=alert] {{ color: #c62828 }}
@media (prefers-color-scheme: dark) {{ [role=alert] {{ color: #ff8a80 }} }}
</style></head><body><form method="post" action="{action}">{xsrf}
<h1>Demo login</h1><div role="alert">{message}</div>
<label for="username">Who are you? (alice or bob)</label>
<input id="username" name="username" autocomplete="username" required autofocus>
<label for="password">Password, as printed by the demo</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button></form></body></html>
"""


class DemoUser(User):
    """A user with groups, as from an identity provider of an institution."""

    groups: tuple[str, ...] = ()
    #: Id of the login, where a provider gives one to each.
    login: str = ""


class DemoLoginHandler(LoginFormHandler):
    """A form with a name and a password; Jupyter's own has only the latter."""

    def _render(self, message: dict[str, str] | None = None) -> None:
        self.finish(
            _PAGE.format(
                action=escape(self.request.uri or ""),
                xsrf=self.xsrf_form_html(),
                message=escape(next(iter((message or {}).values()), "")),
            )
        )


class DemoIdentityProvider(PasswordIdentityProvider):
    """Knows only the demo users."""

    demo = Bool(
        False,
        config=True,
        help="Must be True: confirms that this server protects no data. There is no other value.",
    )
    passwords = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        config=True,
        help="Password of each demo user, by username. A login without one is refused.",
    )
    token_visitors = Bool(
        False,
        config=True,
        help="""Whether each new browser that brings the server's token becomes the next demo
        user in turn (for Binder, where the token is in the link). False: tokens name no user.""",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.demo:
            raise ConfigurationError(
                "DemoIdentityProvider is for demos and protects nothing. Use a real identity "
                "provider, or start the demo with 'make demo' (c.DemoIdentityProvider.demo = True)"
            )
        self.login_handler_class = DemoLoginHandler
        self._turns = itertools.cycle(PEOPLE)

    @property
    def auth_enabled(self) -> bool:
        """Return True: there is always a login."""
        return True

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user with the name and password of the form."""
        username = handler.get_argument("username", "")
        typed = handler.get_argument("password", "")
        expected = self.passwords.get(username, "")
        if not expected or not hmac.compare_digest(expected.encode(), typed.encode()):
            return None
        return self.introduce(handler, username)

    def introduce(self, handler: Any, username: str) -> User:
        """Return a demo user who logs in, and set the cookie that ``get_cookies()`` shows."""
        user = demo_user(username)
        # As from a platform in front of Jupyter.
        details = {"user_id": username, "user_full_name": user.name}
        cookie = base64.b64encode(json.dumps(details).encode()).decode()
        handler.set_cookie("demo_platform_user", cookie, httponly=True, path=handler.base_url)
        return user

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Return the user that the signed cookie names."""
        user = super().user_from_cookie(cookie_value)
        return demo_user(user.username) if user and user.username in PEOPLE else None

    async def get_user_token(self, handler: Any) -> User | None:
        """Return a demo user for the token, if tokens are accepted for that."""
        return await super().get_user_token(handler) if self.token_visitors else None

    def generate_anonymous_user(self, handler: Any) -> User:
        """Return the next demo user in turn, instead of an anonymous one."""
        del handler
        return demo_user(next(self._turns))


def demo_user(username: str) -> DemoUser:
    """Return one of the demo users."""
    person = PEOPLE[username]
    user = DemoUser(username, str(person["name"]), initials=str(person["initials"]))
    user.groups = tuple(person["groups"])
    return user
