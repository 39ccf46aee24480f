"""npm's oidc-provider in a process of its own, and people who log in at its pages.

The provider is ``node_provider.mjs``. Logins go through the authorization code flow with PKCE
(RFC 6749, section 4.1; RFC 7636), and through the provider's own pages.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet
from node_programs import node_program, npm_file

__all__ = [
    "ACCESS_TOKEN",
    "CLIENT_SECRETS",
    "EXCHANGE",
    "REPORTS",
    "SCOPE",
    "NodeProvider",
    "node_provider",
    "provider_module",
]

CLIENT_SECRETS = {"jupyter": "c4n4ry-secret-of-jupyter", "other": "c4n4ry-secret-of-other"}
#: The service that has a URL as its name (RFC 8707). The other one is ``trino``.
REPORTS = "https://reports.example.org"
SCOPE = "openid profile offline_access reports"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
#: A redirect URI at which no server listens: the tests read the code from the redirect.
NOWHERE = "http://127.0.0.1:1/oauth_callback"

_PROGRAM = Path(__file__).with_name("node_provider.mjs")
_FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class NodeProvider:
    """A running provider.

    Attributes:
        url: Its issuer.
        process: Its process.
    """

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.process = process
        self._http = httpx.Client(base_url=url, timeout=30)

    def stop(self) -> None:
        """End it."""
        self._http.close()
        self.process.terminate()
        self.process.wait(20)

    def metadata(self) -> dict[str, Any]:
        """Return its metadata (OpenID Connect Discovery 1.0)."""
        return self._http.get("/.well-known/openid-configuration").json()

    def given(self, kind: str = "", account: str = "") -> list[str]:
        """Return the tokens and codes that it has given, of one kind and of one account."""
        found = self._http.get("/test/given").json()
        return [
            each["value"]
            for each in found
            if kind in ("", each["kind"]) and account in ("", each["account"])
        ]

    def token(
        self, client: str = "jupyter", secret: str | None = None, **form: str
    ) -> httpx.Response:
        """Send a request to the token endpoint."""
        auth = (client, CLIENT_SECRETS[client] if secret is None else secret)
        return self._http.post("/token", data=form, auth=auth)

    def revoke(self, token: str) -> None:
        """Revoke a token, and what the user agreed to (RFC 7009)."""
        auth = ("jupyter", CLIENT_SECRETS["jupyter"])
        self._http.post("/token/revocation", data={"token": token}, auth=auth).raise_for_status()

    def exchange(self, token: str, **form: Any) -> httpx.Response:
        """Exchange a token for one for trino (RFC 8693); ``form`` has what differs from that."""
        kinds = {"subject_token_type": ACCESS_TOKEN, "requested_token_type": ACCESS_TOKEN}
        fixed = {"grant_type": EXCHANGE, "subject_token": token, "audience": "trino", **kinds}
        return self.token(**{k: v for k, v in {**fixed, **form}.items() if v is not None})

    def log_in(self, account: str, client: str = "jupyter") -> dict[str, Any]:
        """Return the token response of a new login of a person, without a Jupyter Server."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "client_id": client,
            "response_type": "code",
            "redirect_uri": NOWHERE,
            "scope": SCOPE if client == "jupyter" else "openid offline_access",
            "resource": REPORTS if client == "jupyter" else "",
            "state": state,
            "prompt": "consent",
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        query = urlencode({name: value for name, value in asked.items() if value})
        back = self.walk(f"{self.url}/auth?{query}", account, NOWHERE)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        assert answer["state"] == state and answer["iss"] == self.url
        response = self.token(
            client,
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=NOWHERE,
            code_verifier=verifier,
        )
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()

    def walk(self, url: str, account: str, redirect_uri: str) -> str:
        """Go through the provider's pages in a new browser, as a person who agrees to all.

        Args:
            url: Where the client sends the browser.
            account: What the person types at the login page.
            redirect_uri: Where the pages lead.

        Returns:
            The address of the last redirect, which has the code.
        """
        with httpx.Client(timeout=30) as browser:
            response = browser.get(url)
            for _ in range(10):
                if response.is_redirect:
                    url = urljoin(url, response.headers["location"])
                    if url.startswith(redirect_uri):
                        return url
                    response = browser.get(url)
                    continue
                response.raise_for_status()
                (action,) = re.findall(r'<form[^>]* action="([^"]+)"', response.text)
                form = dict(_FIELD.findall(response.text))
                if 'name="login"' in response.text:
                    form |= {"login": account, "password": "any"}
                url = urljoin(url, html.unescape(action))
                response = browser.post(url, data=form)
        raise AssertionError(f"the pages lead nowhere: {url}")

    def verified(self, token: str, leeway: int = 0) -> dict[str, Any]:
        """Return the claims of an access token that this provider has signed (RFC 9068).

        Args:
            token: The token.
            leeway: How many seconds ago it may have expired.
        """
        keys = KeySet.import_key_set(self._http.get("/jwks").json())
        found = jwt.decode(token, keys, algorithms=["RS256"])
        assert found.header["typ"] == "at+jwt"
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.url}, exp={"essential": True}, leeway=leeway
        ).validate(found.claims)
        return found.claims


def provider_module() -> Path | None:
    """Return the package's main module; None if it is not here."""
    return npm_file("oidc-provider", "oidc-provider/lib/index.js")


@contextlib.contextmanager
def node_provider(*, login_s: int = 3600, service_s: int = 120) -> Iterator[NodeProvider]:
    """Run a provider for the block.

    Args:
        login_s: How long the access token of a login counts, in seconds.
        service_s: The same for a service's token.
    """
    node, module = node_program(), provider_module()
    assert node is not None and module is not None
    seconds = {"login": login_s, "service": service_s}
    options = json.dumps({"secrets": CLIENT_SECRETS, "seconds": seconds})
    with subprocess.Popen(
        [node, str(_PROGRAM), str(module), options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        # Before the address, it may print notices.
        url = next((line.strip() for line in process.stdout if line.startswith("http://")), "")
        assert url, "the provider ended at its start"
        running = NodeProvider(url, process)
        try:
            yield running
        finally:
            running.stop()
