"""A platform's cookie as an identity: reads the user that it names, if any.

Nothing here is verified: any client can send a cookie. The caller decides whether to trust it, by
the source of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.cookies import CookieJar, Cookies
from jupyter_session_user.core.user import User
from jupyter_session_user.core.usernames import is_plain, is_username
from jupyter_session_user.errors import ConfigurationError, CookieError

__all__ = ["PlatformCookie"]

_DECODERS = ("json", "jwt")
_FIELDS = frozenset({"cookie", "decode", "name", "username"})


@dataclass(frozen=True, slots=True)
class PlatformCookie:
    """How to read the user from the platform's cookie.

    Attributes:
        cookie: Name of the cookie.
        username: The JSON field with the account's unique name.
        name: The JSON field with the user's full name; empty if there is none.
        decode: ``json`` (plain, URL-encoded, base64) or ``jwt`` (a payload, not checked).
    """

    cookie: str
    username: str
    name: str = ""
    decode: str = "json"

    @classmethod
    def from_config(cls, config: Mapping[str, str]) -> PlatformCookie:
        """Read the setting ``identity_from_cookie``.

        Raises:
            ConfigurationError: A field is missing, or unknown.
        """
        unknown = set(config) - _FIELDS
        if unknown or not config.get("cookie") or not config.get("username"):
            raise ConfigurationError(
                "identity_from_cookie needs 'cookie' and 'username', and may have 'name' and "
                f"'decode'; it has {sorted(config)}. Write, for example, "
                "{'cookie': 'numerous_user_info', 'username': 'user_id', "
                "'name': 'user_full_name'}"
            )
        if config.get("decode", "json") not in _DECODERS:
            raise ConfigurationError(
                f"identity_from_cookie: decode is {config['decode']!r}; write 'json' or 'jwt'"
            )
        return cls(**config)

    def user(self, jar: CookieJar) -> User | None:
        """Return the user that the cookie names; None if it is missing, ambiguous or unreadable."""
        cookies = Cookies(jar)
        try:
            if self.cookie not in cookies:
                return None
            read = cookies.get_jwt if self.decode == "jwt" else cookies.get_json
            claims = read(self.cookie)
        except CookieError:
            return None
        return self._user(claims)

    def _user(self, claims: Any) -> User | None:
        if not isinstance(claims, dict):
            return None
        username = claims.get(self.username)
        if not is_username(username):
            return None
        name = claims.get(self.name, "") if self.name else ""
        return User(username, name if isinstance(name, str) and is_plain(name) else "")
