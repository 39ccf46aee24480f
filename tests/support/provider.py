"""An identity provider's keys, the JWTs of its logins, and the tokens with which it ends them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from people import TIMEOUT_S, Person
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

__all__ = ["CLIENT", "ISSUER", "STREAM", "Provider", "post", "send_event", "send_logout"]

ISSUER = "https://op.example.org"
CLIENT = "jupyter"
STREAM = "https://jupyter.example.org/events"

LOGOUT = "api/session-user/backchannel-logout"
EVENTS = "api/session-user/security-events"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

_numbers = itertools.count()


class Provider:
    """Signs tokens, as an identity provider does.

    Args:
        folder: Where its public keys are written.
    """

    def __init__(self, folder: Path) -> None:
        self.key: Any = RSAKey.generate_key(2048, parameters={"kid": "one"})
        second = ECKey.generate_key("P-256", parameters={"kid": "two"})
        self.jwks = folder / "jwks.json"
        keys = KeySet([self.key, second]).as_dict(private=False)
        self.jwks.write_text(json.dumps(keys), encoding="utf-8")

    @property
    def settings(self) -> tuple[str, ...]:
        """The server's settings for both kinds of tokens."""
        return (
            f"--JupyterSessionUser.logout_issuer={ISSUER}",
            f"--JupyterSessionUser.logout_jwks={self.jwks}",
            f"--JupyterSessionUser.logout_audience={CLIENT}",
            f"--JupyterSessionUser.logout_events_audience={STREAM}",
        )

    @property
    def jwt_settings(self) -> tuple[str, ...]:
        """The server's settings for logins with a JWT of this provider, in the cookie ``t``."""
        return (
            "--JupyterSessionUser.jwt_cookie=t",
            f"--JupyterSessionUser.jwt_jwks={self.jwks}",
        )

    def sign(self, claims: Mapping[str, Any], typ: str, **header: Any) -> str:
        """Return a JWT with these claims."""
        head = {"alg": "RS256", "kid": self.key.kid, "typ": typ, **header}
        return jwt.encode(head, dict(claims), self.key, algorithms=["RS256"])

    def browser(self, url: str, name: str, *, sub: str = "", **claims: Any) -> Person:
        """Return a browser with a new login: a proxy names the user, and adds a JWT."""
        person = Person(url, {"X-User": name})
        now = int(time.time())
        said = {"iss": ISSUER, "aud": CLIENT, "sub": sub or f"id-of-{name}", "iat": now}
        claims.setdefault("sid", f"session-{next(_numbers)}")
        person.cookies["t"] = self.sign({**said, "exp": now + 3600, **claims}, "JWT")
        return person

    def logout_claims(self, **claims: Any) -> dict[str, Any]:
        """Return the claims of a valid logout token; None removes a claim."""
        now = int(time.time())
        usual = {
            "iss": ISSUER,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 120,
            "jti": f"logout-{next(_numbers)}",
            "events": {LOGOUT_EVENT: {}},
        }
        return {name: one for name, one in {**usual, **claims}.items() if one is not None}

    def logout_token(self, **claims: Any) -> str:
        """Return a valid logout token, apart from what the arguments say."""
        return self.sign(self.logout_claims(**claims), "logout+jwt")

    def event_token(self, sub_id: Any, **claims: Any) -> str:
        """Return a valid ``session-revoked``, apart from what the arguments say."""
        usual = {
            "iss": ISSUER,
            "aud": STREAM,
            "iat": int(time.time()),
            "jti": f"event-{next(_numbers)}",
            "events": {SESSION_REVOKED: {"event_timestamp": int(time.time())}},
            "sub_id": sub_id,
        }
        return self.sign({**usual, **claims}, "secevent+jwt")


async def post(url: str, body: str | bytes, content_type: str) -> HTTPResponse:
    """Return the answer to a POST of a client without cookies."""
    return await AsyncHTTPClient().fetch(
        HTTPRequest(
            url,
            method="POST",
            headers={"Content-Type": content_type},
            body=body,
            follow_redirects=False,
            request_timeout=TIMEOUT_S,
        ),
        raise_error=False,
    )


async def send_logout(url: str, token: str) -> HTTPResponse:
    """Send a logout token to the server at this base address."""
    form = urlencode({"logout_token": token, "state": "ignored"})
    return await post(url + LOGOUT, form, "application/x-www-form-urlencoded")


async def send_event(url: str, token: str) -> HTTPResponse:
    """Send a security event token to the server at this base address."""
    return await post(url + EVENTS, token, "application/secevent+jwt")
