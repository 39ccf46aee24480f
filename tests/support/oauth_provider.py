"""An institution's identity provider: Authlib's authorization server, with token exchange.

``python oauth_provider.py`` runs it as a process of its own, on a port that the system chooses. A
test tells it faults at ``/test/faults``, and reads at ``/test/seen`` what it was asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

__all__ = ["CLIENT", "CLIENT_SECRET", "RunningProvider", "oauth_provider"]

CLIENT, CLIENT_SECRET = "jupyter", "c4n4ry-client-secret"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class RunningProvider:
    """A provider in a process of its own.

    Attributes:
        url: Its issuer.
    """

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.process = process

    def post(self, path: str, value: Any) -> Any:
        """Send JSON, and return the answer's."""
        data = json.dumps(value).encode()
        request = urllib.request.Request(  # noqa: S310 - http
            self.url + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    def faults(self, **faults: Any) -> None:
        """Set what is wrong from now on; nothing, without arguments."""
        self.post("/test/faults", faults)

    def seen(self) -> dict[str, Any]:
        """Return the token requests so far, and all secrets that it has given."""
        return self.post("/test/seen", {})

    def log_in(self, name: str) -> dict[str, Any]:
        """Return the token response of a new login."""
        return self.post("/test/login", {"name": name})


@contextlib.contextmanager
def oauth_provider() -> Iterator[RunningProvider]:
    """Run a provider for the block."""
    command = [sys.executable, __file__]
    env = {**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            yield RunningProvider(process.stdout.readline().strip(), process)
        finally:
            process.terminate()
            process.wait(20)


# ------------------------------------------------------------------------------- the process


class State:
    """What the provider knows.

    Attributes:
        faults: What is wrong: ``down`` (a status), ``slow_s``, ``error`` (a code of RFC 6749),
            ``sub`` (of all tokens), ``clock_s`` (its clock is ahead), ``aud`` (of all tokens),
            ``answer`` (the whole answer), ``lifetime`` (seconds), ``opaque`` (no JWTs),
            ``only`` (names of the users that the faults are for), ``rotate``, ``issuer``,
            ``login_lifetime`` (seconds), ``no_exchange`` (RFC 8693 is not among its grants),
            ``echo`` (a refusal that quotes the request).
    """

    def __init__(self) -> None:
        self.faults: dict[str, Any] = {}
        self.requests: list[dict[str, str]] = []
        self.given: list[str] = []
        #: The user of each access token and refresh token that counts.
        self.users: dict[str, str] = {}
        self.url = ""

    def fault(self, name: str, which: str) -> Any:
        """Return a fault for a user; None if there is none."""
        only = self.faults.get("only")
        return self.faults.get(which) if only is None or name in only else None

    def keep(self, text: str, name: str) -> None:
        """Let a token of a user count."""
        self.given.append(text)
        self.users[text] = name

    def now(self) -> int:
        """Return the time of the provider's clock."""
        return int(time.time() + self.faults.get("clock_s", 0))


class Client:
    """The one client (``authlib.oauth2.rfc6749.ClientMixin``)."""

    client_id = CLIENT

    def get_client_id(self) -> str:
        return CLIENT

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return scope or ""

    def check_redirect_uri(self, uri: str) -> bool:
        del uri
        return False

    def check_client_secret(self, secret: str) -> bool:
        return secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        del endpoint
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, kind: str) -> bool:
        del kind
        return False

    def check_grant_type(self, grant: str) -> bool:
        del grant
        return True


class Credential:
    """A refresh token that counts."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text

    def check_client(self, client: Client) -> bool:
        return client.client_id == CLIENT

    def get_scope(self) -> str:
        return "openid profile sql reports offline_access"


class Mint:
    """Makes tokens, as the faults say."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.key = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})

    def sign(self, name: str, seconds: int, **claims: Any) -> str:
        """Return a JWT about a user."""
        now = self.state.now()
        said = {"iss": self.state.url, "sub": f"id-of-{name}", "iat": now, "exp": now + seconds}
        said |= {"jti": secrets.token_hex(8), **claims}
        return jwt.encode({"alg": "RS256", "kid": "one"}, said, self.key)

    def check(self, name: str) -> None:
        """Wait, or refuse."""
        time.sleep(self.state.fault(name, "slow_s") or 0)
        if code := self.state.fault(name, "error"):
            error = OAuth2Error("no")
            error.error = code
            raise error

    def access_token(self, name: str, audience: str, scope: str) -> dict[str, Any]:
        """Return a response with a new access token."""
        seconds = self.state.fault(name, "lifetime") or 300
        text = secrets.token_urlsafe(32)
        if not self.state.faults.get("opaque"):
            claims = {"aud": self.state.fault(name, "aud") or audience, "scope": scope}
            named = self.state.fault(name, "sub") or name
            text = self.sign(named, seconds, **{k: v for k, v in claims.items() if v})
        self.state.keep(text, name)
        return {"access_token": text, "token_type": "Bearer", "expires_in": seconds}

    def refresh_token(self, name: str) -> dict[str, Any]:
        """Return a new refresh token, as a part of a response."""
        text = "refresh-" + secrets.token_urlsafe(32)
        self.state.keep(text, name)
        return {"refresh_token": text}


class TokenExchangeGrant(BaseGrant, TokenEndpointMixin):
    """RFC 8693."""

    GRANT_TYPE = EXCHANGE
    mint: Mint

    def validate_token_request(self) -> None:
        """Find the user of the subject token."""
        self.request.client = self.authenticate_token_endpoint_client()
        form = self.request.form
        assert form["subject_token_type"].endswith(("access_token", "id_token"))
        self.name = self.mint.state.users.get(form["subject_token"], "")
        if not self.name:
            raise InvalidRequestError("the subject token does not count")

    def create_token_response(self) -> Any:
        """Return a token for the audience."""
        self.mint.check(self.name)
        form = self.request.form
        audience = form.get("audience") or form.get("resource") or ""
        answer = self.mint.access_token(self.name, audience, form.get("scope", ""))
        answer["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
        return 200, answer, self.TOKEN_RESPONSE_HEADER


class Refresh(RefreshTokenGrant):
    """RFC 6749, section 6."""

    mint: Mint

    def authenticate_refresh_token(self, text: str) -> Credential | None:
        """Find the user of the refresh token."""
        name = self.mint.state.users.get(text)
        return None if name is None else Credential(name, text)

    def authenticate_user(self, credential: Credential) -> str:
        """Return the user."""
        return credential.name

    def issue_token(self, user: str, refresh_token: Credential) -> dict[str, Any]:
        """Return a token for the scope; with ``rotate``, each refresh token counts once."""
        self.mint.check(user)
        form, state = self.request.form, self.mint.state
        asked = form.get("scope", "")
        found = self.mint.access_token(user, form.get("resource") or asked, asked)
        if state.faults.get("rotate"):
            state.users.pop(refresh_token.text, None)
            found |= self.mint.refresh_token(user)
        return found

    def revoke_old_credential(self, credential: Credential) -> None:
        """Do nothing: it is done above."""


def build(state: State) -> Flask:
    """Return the app."""
    app, mint = Flask(__name__), Mint(state)
    server = AuthorizationServer(app, lambda client_id: Client() if client_id == CLIENT else None)
    server._save_token = lambda *_: None
    for grant in (TokenExchangeGrant, Refresh):
        grant.mint = mint
        server.register_grant(grant)

    @app.get("/.well-known/openid-configuration")
    def metadata() -> Any:
        grants = ["authorization_code", "refresh_token"]
        grants += [] if state.faults.get("no_exchange") else [EXCHANGE]
        return jsonify(
            issuer=state.faults.get("issuer", state.url),
            token_endpoint=f"{state.url}/token",
            grant_types_supported=grants,
            token_endpoint_auth_methods_supported=["client_secret_basic"],
        )

    @app.post("/token")
    def endpoint() -> Any:
        state.requests.append(request.form.to_dict())
        if status := state.faults.get("down"):
            return "down", status
        if state.faults.get("echo"):
            sent = " ".join([*request.form.values(), request.headers.get("Authorization", "")])
            return jsonify(error="invalid_grant", error_description=sent), 400
        if "answer" in state.faults:
            return jsonify(state.faults["answer"])
        return server.create_token_response()

    _add_doors_for_tests(app, mint)
    return app


def _add_doors_for_tests(app: Flask, mint: Mint) -> None:
    state = mint.state

    @app.post("/test/login")
    def log_in() -> Any:
        name = request.json["name"]
        id_token = mint.sign(name, 3600, aud=CLIENT)
        state.keep(id_token, name)
        found = {**mint.access_token(name, state.url, "openid"), **mint.refresh_token(name)}
        lifetime = state.faults.get("login_lifetime", 3600)
        return jsonify({**found, "id_token": id_token, "expires_in": lifetime})

    @app.post("/test/faults")
    def set_faults() -> Any:
        state.faults = request.json
        return jsonify({})

    @app.post("/test/seen")
    def seen() -> Any:
        return jsonify(requests=state.requests, given=state.given, users=state.users)


def main() -> None:
    """Serve until the process is ended."""
    state = State()
    server = make_server("127.0.0.1", 0, build(state), threaded=True)
    state.url = f"http://127.0.0.1:{server.port}"
    sys.stdout.write(f"{state.url}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
