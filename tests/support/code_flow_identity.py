"""A login by the authorization code flow, for the class of docs/providers/generic_oidc.md.

A test writes the page's class into ``campus.py``. The relying party here follows OpenID Connect
Core 1.0, section 3.1, and RFC 9700 (PKCE, a state for each browser, one use).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

from campus import CampusIdentityProvider
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import url_concat
from traitlets import Unicode

__all__ = ["CampusWithCodeFlow"]

_STATE_COOKIE = "campus-state"
_SECONDS = 600


@dataclass
class Begun:
    """A login that has begun, and waits for the provider's redirect."""

    next_url: str
    redirect_uri: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    ends: float = field(default_factory=lambda: time.monotonic() + _SECONDS)

    @property
    def challenge(self) -> str:
        """Return the challenge for the verifier (RFC 7636, section 4.2)."""
        hashed = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


class Login(LoginFormHandler):
    """The login page: it leads to the provider at once."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Redirect to the provider; a user who is logged in goes on."""
        next_url = self.get_argument("next", self.base_url)
        if self.current_user:
            self._redirect_safe(next_url)
            return
        campus = self.identity_provider
        uri = f"{self.request.protocol}://{self.request.host}"
        begun = Begun(next_url, uri + url_path_join(self.base_url, "oauth_callback"))
        state = campus.begin(begun)
        self.set_secure_cookie(
            _STATE_COOKIE,
            state,
            expires_days=None,
            httponly=True,
            samesite="Lax",
            path=self.base_url,
        )
        asked = {
            "client_id": campus.client_id,
            "response_type": "code",
            "redirect_uri": begun.redirect_uri,
            "scope": campus.scope,
            "resource": campus.resource,
            "state": state,
            "nonce": begun.nonce,
            "prompt": "consent",
            "code_challenge": begun.challenge,
            "code_challenge_method": "S256",
        }
        self.redirect(url_concat((await campus.metadata())["authorization_endpoint"], asked))

    @allow_unauthenticated
    def post(self) -> None:
        """Refuse a form: there is none."""
        self.set_status(HTTPStatus.METHOD_NOT_ALLOWED)


class RedirectUri(JupyterHandler):
    """The redirect URI.

    It raises no error of its own: Tornado would log the request's address, which has the code.
    """

    @allow_unauthenticated
    async def get(self) -> None:
        """Log the user in for whom the provider gave the code."""
        state, code = self.get_argument("state", ""), self.get_argument("code", "")
        cookie = (self.get_secure_cookie(_STATE_COOKIE) or b"").decode()
        self.clear_cookie(_STATE_COOKIE, path=self.base_url)
        campus = self.identity_provider
        same = secrets.compare_digest(state.encode(), cookie.encode())
        begun = campus.take(state) if same else None
        if begun is None or self.get_argument("iss", "") != campus.issuer:  # RFC 9207
            self._refuse("this browser has not begun this login")
            return
        try:
            answer = await campus.redeem(code, begun)
            username = await campus.username_in(answer, begun)
        except (HTTPClientError, JoseError, KeyError, OSError, ValueError) as error:
            self.log.warning("A login failed: %s", type(error).__name__)
            self._refuse("the provider has not confirmed it")
            return
        campus.finish_login(self, username, answer)
        _ = self.xsrf_token  # sets the cookie, as pages with a form do: this login has none
        LoginFormHandler._redirect_safe(self, begun.next_url)

    def _refuse(self, why: str) -> None:
        self.set_status(HTTPStatus.FORBIDDEN)
        self.finish(f"No login: {why}. Log in again.")


class CampusWithCodeFlow(CampusIdentityProvider):
    """The class of the page, with its login."""

    issuer = Unicode(config=True, help="The provider.")
    client_id = Unicode("jupyter", config=True, help="The client.")
    client_secret_file = Unicode(config=True, help="The file with the client's secret.")
    scope = Unicode("openid", config=True, help="The scopes of a login.")
    resource = Unicode(config=True, help="The service for which the refresh token counts, too.")

    login_handler_class = Login

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._begun: dict[str, Begun] = {}

    def get_handlers(self) -> list[tuple[str, object]]:
        """Return the handlers, with that of the redirect URI."""
        return [*super().get_handlers(), (r"/oauth_callback", RedirectUri)]

    def begin(self, begun: Begun) -> str:
        """Keep a login that has begun, and return its state."""
        now = time.monotonic()
        self._begun = {state: each for state, each in self._begun.items() if each.ends > now}
        state = secrets.token_urlsafe(32)
        self._begun[state] = begun
        return state

    def take(self, state: str) -> Begun | None:
        """Return the login of a state, once."""
        begun = self._begun.pop(state, None)
        return begun if begun is not None and begun.ends > time.monotonic() else None

    async def metadata(self) -> dict[str, Any]:
        """Return the provider's metadata."""
        return await self._json(f"{self.issuer}/.well-known/openid-configuration")

    async def redeem(self, code: str, begun: Begun) -> dict[str, Any]:
        """Return the token response for a code (RFC 6749, section 4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect_uri,
            "code_verifier": begun.verifier,
        }
        return await self._json(
            (await self.metadata())["token_endpoint"],
            method="POST",
            body=urlencode(form),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            auth_username=quote_plus(self.client_id),
            auth_password=quote_plus(self._secret()),
        )

    async def username_in(self, answer: dict[str, Any], begun: Begun) -> str:
        """Return the user whom the ID token names (OpenID Connect Core 1.0, section 3.1.3.7)."""
        keys = KeySet.import_key_set(await self._json((await self.metadata())["jwks_uri"]))
        claims = jwt.decode(answer["id_token"], keys, algorithms=["RS256"]).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            nonce={"essential": True, "value": begun.nonce},
            exp={"essential": True},
        ).validate(claims)
        username: str = claims["preferred_username"]
        return username

    def _secret(self) -> str:
        return Path(self.client_secret_file).read_text().strip()

    async def _json(self, url: str, **request: Any) -> dict[str, Any]:
        response = await AsyncHTTPClient().fetch(HTTPRequest(url, **request))
        return json.loads(response.body)
