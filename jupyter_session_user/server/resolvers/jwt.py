"""The claims of a JWT (RFC 7519) that a proxy or an identity provider puts into each request.

It is decoded and **not verified** here: the cookie or header must be one that the identity
provider verifies, or that a proxy sets and lets nobody else set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.cookies import (
    CookieJar,
    Cookies,
    RawCookie,
    parse_cookie_headers,
)
from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import CookieError
from jupyter_session_user.server.resolvers.base import Resolution, is_time

if TYPE_CHECKING:
    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.settings import Settings

__all__ = ["JwtResolver"]

_BEARER = "bearer "


class JwtResolver:
    """Takes the end of a login from ``exp``, and its key from the session that a JWT names."""

    def __init__(self, settings: Settings) -> None:
        self._cookie: str = settings.jwt_cookie
        self._header: str = settings.jwt_header

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return what the header's token says, else the cookie's; None without a good one."""
        del user
        claims = self._from_header(handler) or self._from_cookie(handler)
        return None if claims is None else Resolution(_expiry(claims), _key(claims))

    def _from_header(self, handler: JupyterHandler) -> dict[str, Any] | None:
        values = handler.request.headers.get_list(self._header) if self._header else []
        if len(values) != 1:  # of two, one may be the visitor's own
            return None
        value = values[0]
        if value[: len(_BEARER)].lower() == _BEARER:
            value = value[len(_BEARER) :].strip()
        return _claims(CookieJar((RawCookie(self._header, Secret(value)),)), self._header)

    def _from_cookie(self, handler: JupyterHandler) -> dict[str, Any] | None:
        if not self._cookie:
            return None
        headers = handler.request.headers.get_list("Cookie")
        return _claims(parse_cookie_headers(headers), self._cookie)


def _claims(jar: CookieJar, name: str) -> dict[str, Any] | None:
    """Return the payload of the JWT with this name; None if there is none that is clear."""
    try:
        return Cookies(jar).get_jwt(name)
    except (CookieError, KeyError):
        return None


def _expiry(claims: Mapping[str, Any]) -> Expiry | None:
    """Return the claim ``exp``, a NumericDate; None if it is missing or no time."""
    at: Any = claims.get("exp")
    return Expiry(float(at), "jwt") if is_time(at) else None


def _key(claims: Mapping[str, Any]) -> str | None:
    """Return what names the login at its issuer; None if nothing does.

    OpenID Connect's ``sid`` is the session at the identity provider, and ``auth_time`` is when
    the person signed in: both stay when a token is renewed. ``jti`` and ``iat`` do not.
    """
    sid, auth_time = claims.get("sid"), claims.get("auth_time")
    whose = [claims.get("iss"), claims.get("sub")]
    if isinstance(sid, str) and sid:
        return json.dumps(["sid", *whose, sid])
    return json.dumps(["auth_time", *whose, auth_time]) if is_time(auth_time) else None
