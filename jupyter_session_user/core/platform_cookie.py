"""A platform's cookie as an identity: whom it names, if anybody.

Nothing here is verified: anybody can send a cookie. Whether to trust it is the caller's to
know, from where the request came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.cookies import CookieJar, Cookies
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import ConfigurationError, CookieError

__all__ = ["PlatformCookie"]

_DECODERS = ("json", "jwt")
_FIELDS = frozenset({"cookie", "decode", "name", "username"})
_MAX_USERNAME = 256  # characters; a longer one is no account's name


@dataclass(frozen=True, slots=True)
class PlatformCookie:
    """How to read it.

    Attributes:
        cookie: Its name.
        username: The field of its JSON with the account's unique name.
        name: The field with the person's name; empty if there is none.
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
        """Return whom the cookie names; None if it is missing, ambiguous or not readable."""
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
        if not isinstance(username, str) or not 0 < len(username) <= _MAX_USERNAME:
            return None
        name = claims.get(self.name, "") if self.name else ""
        return User(username, name if isinstance(name, str) else "")
