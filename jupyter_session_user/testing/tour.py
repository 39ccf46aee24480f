"""The identity provider of ``jupyter session-user demo``: a button logs a demo user in.

It must never protect real data. The key in the address of the demo's page is the only secret: a
browser that has shown it can be each of the demo users. So the server has to listen on this machine
alone, or ``remote = True`` has to say that the machine is for the demo alone, as on Binder.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
import secrets
import time
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import User
from traitlets import Bool, Unicode

from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.testing.demo_identity import PEOPLE, DemoIdentityProvider, DemoUser
from jupyter_session_user.testing.tour_pages import TOUR, TourLoginHandler

__all__ = ["END_S", "TourIdentityProvider", "ends"]

#: Seconds from a click on the page's button to the end of the login.
END_S = 30.0


class TourIdentityProvider(DemoIdentityProvider):
    """Serves the page of the demo, and logs its users in without a password."""

    key = Unicode(
        "",
        config=True,
        help="""Secret in the address of the demo's page; a browser that shows it can be each of the
        demo users. The default, empty, takes it from `key_file`, else from the server's token.""",
    )
    key_file = Unicode("", config=True, help="Path of a file with the key. Empty: there is none.")
    remote = Bool(
        False,
        config=True,
        help="""Whether the server may listen on other addresses than this machine's own. Only for a
        machine that has no other purpose, such as one of Binder.""",
    )
    folder = Unicode(
        "", config=True, help="Folder of the demo's files, from the server's root; empty: the root."
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.login_handler_class = TourLoginHandler
        self._key = self.key or _first_line(self.key_file) or self.token
        if not self._key:
            raise ConfigurationError(
                "TourIdentityProvider has no key, so every local account could log in; start the "
                "demo with 'jupyter session-user demo'"
            )
        if not self.remote and not _is_local(getattr(self.parent, "ip", "")):
            raise ConfigurationError(
                "TourIdentityProvider asks for no password, and this server would listen beyond "
                "this machine; set c.ServerApp.ip = '127.0.0.1'"
            )
        # JupyterLab's page would send the token with each request; such a login does not end.
        self.token = ""
        #: The ends of the logins, in seconds since the epoch, by username and login.
        self._ends: dict[str, dict[str, float | None]] = {name: {} for name in PEOPLE}

    def get_handlers(self) -> list[tuple[str, object]]:
        """Return the routes of the provider, and of the demo's page."""
        return [*super().get_handlers(), *TOUR]

    # ------------------------------------------------------------------------------- the key

    def is_key(self, text: str) -> bool:
        """Tell whether a text is the key."""
        return hmac.compare_digest(text.encode(), self._key.encode())

    def admits(self, handler: Any) -> bool:
        """Tell whether the browser shows the key, or has shown it before."""
        if any(self.is_key(handler.get_argument(name, "")) for name in ("key", "token")):
            self.remember(handler)
            return True
        return bool(handler.get_secure_cookie(_cookie_name(handler)) == b"shown")

    def remember(self, handler: Any) -> None:
        """Note in the browser that it has shown the key; a login that ends needs it again."""
        handler.set_secure_cookie(
            _cookie_name(handler), "shown", httponly=True, path=handler.base_url, samesite="Lax"
        )

    def link(self, username: str, to: str) -> str:
        """Return the path of the link that logs a user in, from the server's base address."""
        return f"session-user-demo/as/{username}?to={to}&key={self._key}"

    # ------------------------------------------------------------------------------ the users

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user of the button; a browser that has not shown the key gets none."""
        username = handler.get_argument("username", "")
        if username not in PEOPLE or not self.admits(handler):
            return None
        return self.introduce(handler, username)

    def user_to_cookie(self, user: User) -> str:
        """Serialize the user, with an id of this login."""
        login = secrets.token_hex(8)
        self._ends[user.username][login] = None
        return json.dumps({**json.loads(super().user_to_cookie(user)), "login": login})

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Return the user that the signed cookie names."""
        user = super().user_from_cookie(cookie_value)
        if isinstance(user, DemoUser):
            user.login = str(json.loads(cookie_value).get("login", ""))
            self._ends[user.username].setdefault(user.login, None)
        return user

    # ------------------------------------------------------------------------ end of a login

    def end_soon(self, username: str) -> None:
        """End the logins that this user has now, :data:`END_S` from now."""
        end = time.time() + END_S
        for login, old in self._ends[username].items():
            self._ends[username][login] = end if old is None else old

    def seconds_left(self, username: str) -> int:
        """Return how long the login lasts that ends next; 0 if none ends."""
        left = [end - time.time() for end in self._ends[username].values() if end is not None]
        return round(min(filter(lambda each: each > 0, left), default=0))

    def end_of(self, user: Any) -> float | None:
        """Return when a login ends, in seconds since the epoch; None if it does not."""
        return self._ends.get(user.username, {}).get(getattr(user, "login", ""))


def ends(handler: Any, user: Any) -> float | None:
    """Return when the login of a request ends: the demo's ``session_resolver``."""
    return handler.identity_provider.end_of(user)  # type: ignore[no-any-return]


def _first_line(path: str) -> str:
    return Path(path).read_text(encoding="utf-8").strip() if path else ""


def _is_local(ip: str) -> bool:
    try:
        return ip == "localhost" or ipaddress.ip_address(ip).is_loopback
    except ValueError:  # all addresses, or a name
        return False


def _cookie_name(handler: Any) -> str:
    """Return a name that no kernel gets, in the pattern of Jupyter's own; a host has many ports."""
    return re.sub(r"[^A-Za-z0-9]", "-", f"username-demo-{handler.request.host}")
