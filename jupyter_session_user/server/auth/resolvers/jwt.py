"""The claims of a JWT (RFC 7519) that a proxy or an identity provider adds to each request.

With ``jwt_jwks``, only JWTs that the issuer's keys have signed count. Without it, a JWT is decoded
and **not verified**: the identity provider must verify that cookie or header, or a proxy must set
it and remove it from visitors' requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from traitlets.log import get_logger

from jupyter_session_user.core.cookies import (
    CookieJar,
    Cookies,
    RawCookie,
    parse_cookie_headers,
)
from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.core.subject import Subject, subject_of
from jupyter_session_user.errors import CookieError
from jupyter_session_user.server.auth.resolvers.base import Resolution, is_time
from jupyter_session_user.server.auth.resolvers.jwks import key_file

if TYPE_CHECKING:
    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.settings import Settings

__all__ = ["JwtResolver"]

_BEARER = "bearer "
_NOT_VERIFIED = (
    "JupyterSessionUser: the JWT in %r is not verified here: a client that can write it chooses "
    "when that login ends, and which one it is. Set c.JupyterSessionUser.jwt_jwks to a file with "
    "the issuer's public keys, unless the identity provider or the proxy verifies it each time."
)


class JwtResolver:
    """Reads the end of a login from ``exp``, and its key from the session in a JWT."""

    def __init__(self, settings: Settings) -> None:
        self._cookie: str = settings.jwt_cookie
        self._header: str = settings.jwt_header
        self.by_login_cookie = not (self._cookie or self._header)  # it reads none
        self._keys = key_file(settings)
        if self._keys is None and (self._cookie or self._header):
            get_logger().warning(_NOT_VERIFIED, self._header or self._cookie)

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return the result of the header's token, or else the cookie's; None without either."""
        del user
        headers = handler.request.headers
        values = headers.get_list(self._header) if self._header else []
        said = self._say([RawCookie(self._header, Secret(_without_scheme(v))) for v in values])
        if said is not None or not self._cookie:
            return said
        jar = parse_cookie_headers(headers.get_list("Cookie"))
        return self._say([cookie for cookie in jar.cookies if cookie.name == self._cookie])

    def _say(self, tokens: Sequence[RawCookie]) -> Resolution | None:
        found = [self._claims(token) for token in tokens]
        if self._keys is None:
            # If there are two, the visitor may have added one.
            return _resolution(found[0]) if len(found) == 1 and found[0] is not None else None
        # Unsigned tokens are ignored, so that they hide no other token. Of several signed tokens,
        # the first that expires ends the login.
        said = [_resolution(claims) for claims in found if claims is not None]
        if not said:
            return None
        ends = [each.expiry for each in said if each.expiry is not None]
        keys = {each.key for each in said}
        first = min(ends, key=lambda end: end.at, default=None)
        # A second token of the visitor does not hide the one that names this login.
        subjects = tuple(dict.fromkeys(_subjects(claims for claims in found if claims is not None)))
        return Resolution(first, keys.pop() if len(keys) == 1 else None, subjects)

    def _claims(self, token: RawCookie) -> Mapping[str, Any] | None:
        """Return the payload of a JWT; None if it is invalid, or unsigned where that matters."""
        cookies = Cookies(CookieJar((token,)))
        try:
            if self._keys is not None:
                return self._keys.claims(cookies[token.name])
            return cookies.get_jwt(token.name)
        except (CookieError, KeyError):
            return None


def _without_scheme(value: str) -> str:
    bearer = value[: len(_BEARER)].lower() == _BEARER
    return value[len(_BEARER) :].strip() if bearer else value


def _resolution(claims: Mapping[str, Any]) -> Resolution:
    at: Any = claims.get("exp")  # a NumericDate
    return Resolution(Expiry(float(at), "jwt") if is_time(at) else None, _key(claims))


def _subjects(tokens: Iterable[Mapping[str, Any]]) -> Iterator[Subject]:
    """Yield how their issuer names the login. ``auth_time`` stays the same in a renewed token."""
    for claims in tokens:
        issuer, sub, sid = (claims.get(name) for name in ("iss", "sub", "sid"))
        if not (isinstance(issuer, str) and isinstance(sub, str) and issuer and sub):
            continue
        times: list[Any] = [claims.get("auth_time"), claims.get("iat")]
        since = next((float(time) for time in times if is_time(time)), None)
        yield subject_of(issuer, sub, sid if isinstance(sid, str) else "", since)


def _key(claims: Mapping[str, Any]) -> str | None:
    """Return the issuer's id of the login; None if there is none.

    OpenID Connect's ``sid`` is the session at the identity provider, and ``auth_time`` is the time
    when the user signed in. Both stay the same when a token is renewed; ``jti`` and ``iat`` do not.
    """
    sid, auth_time = claims.get("sid"), claims.get("auth_time")
    whose = [claims.get("iss"), claims.get("sub")]
    if isinstance(sid, str) and sid:
        return json.dumps(["sid", *whose, sid])
    return json.dumps(["auth_time", *whose, auth_time]) if is_time(auth_time) else None
