"""The client of an identity provider's token endpoint.

Its answers are small JSON texts over TLS; it follows no redirect, and logs neither requests nor
answers.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from jupyter_session_user.core.exchange_terms import REFRESH, ExchangeTerms, is_secure_url
from jupyter_session_user.core.login_tokens import LoginTokens
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.core.token_exchange import (
    Issued,
    Reply,
    basic,
    grant_of,
    read_answer,
    request_of,
)
from jupyter_session_user.errors import (
    AccessTokenUnavailable,
    ConfigurationError,
    ConsentRequired,
)
from jupyter_session_user.server.auth.private_file import read_private

__all__ = ["Issuer", "TokenProvider", "client_secrets"]

#: The provider's metadata is asked for again after that time, in seconds.
_METADATA_S = 3600.0
#: For an answer, in seconds. A kernel gives up earlier, and gets it at its next call: an answer
#: that is not read may hold the only refresh token.
_TIMEOUT_S = 20.0
_MAX_BODY = 256 * 1024  # bytes


class Issuer:
    """An identity provider: its metadata, and requests to it.

    Args:
        url: The ``issuer``.
        monotonic: A clock, in seconds.
    """

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._monotonic = monotonic
        self._known: tuple[float, Mapping[str, Any]] | None = None

    async def metadata(self) -> Mapping[str, Any]:
        """Return the provider's metadata (OpenID Connect Discovery 1.0, section 4).

        Raises:
            AccessTokenUnavailable: There is none that counts.
        """
        now = self._monotonic()
        if self._known is not None and now - self._known[0] < _METADATA_S:
            return self._known[1]
        url = f"{self._url.rstrip('/')}/.well-known/openid-configuration"
        response = await self.fetch(HTTPRequest(url, headers={"Accept": "application/json"}))
        found = _json(response) if response.code == HTTPStatus.OK else None
        endpoint = found.get("token_endpoint") if isinstance(found, dict) else None
        if not isinstance(found, dict) or not isinstance(endpoint, str):
            raise _unreachable("has no metadata at its issuer's address")
        if found.get("issuer") != self._url:  # section 4.3
            raise _wrong_metadata("name another issuer than the setting")
        if not is_secure_url(endpoint):
            raise _wrong_metadata("have a token endpoint that is not encrypted (https)")
        self._known = now, found
        return found

    async def fetch(self, request: HTTPRequest) -> HTTPResponse:
        """Return the answer to a request, whatever its status.

        Raises:
            AccessTokenUnavailable: There is no answer.
        """
        request.follow_redirects = False
        request.connect_timeout = request.request_timeout = _TIMEOUT_S
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_MAX_BODY)
        try:
            return await client.fetch(request, raise_error=False)
        except Exception as error:  # noqa: BLE001 - whatever prevents an answer
            raise _unreachable(f"does not answer ({type(error).__name__})") from None
        finally:
            client.close()


class TokenProvider:
    """Asks for the tokens of one entry of the setting ``token_exchange``.

    Args:
        terms: The entry.
        issuer: Its identity provider.
        secret: Returns the client's secret; None if it has none.
        clock: Returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        terms: ExchangeTerms,
        issuer: Issuer,
        secret: Callable[[], Secret] | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.terms = terms
        self._issuer = issuer
        self._secret = secret
        self._clock = clock

    async def grant(self) -> str:
        """Return the ``grant_type`` that this provider has.

        Raises:
            AccessTokenUnavailable: It cannot be asked, or has none.
        """
        return grant_of(self.terms, (await self._issuer.metadata()).get("grant_types_supported"))

    async def issue(self, grant: str, tokens: LoginTokens) -> Issued | None:
        """Return a token for the service; None if the login has no token for the request.

        Args:
            grant: The ``grant_type``.
            tokens: The login's tokens.

        Raises:
            AccessTokenUnavailable: There is no token that counts.
            ConsentRequired: The user has to agree, or to log in again.
        """
        form = request_of(self.terms, grant, tokens)
        if form is None:
            return None
        reply = await self._post(form)
        return read_answer(self.terms, self.terms.targets(grant), tokens, reply, self._clock())

    async def renew(self, tokens: LoginTokens) -> LoginTokens:
        """Return the login's tokens with a new access token (RFC 6749, section 6).

        Raises:
            AccessTokenUnavailable: There is no token that counts.
            ConsentRequired: The user has to log in again.
        """
        if tokens.refresh_token is None:
            raise ConsentRequired(
                f"your login's token at the identity provider has ended, so it gives no access "
                f"token for {self.terms.name!r} until you log in again"
            )
        form = {"grant_type": REFRESH, "refresh_token": tokens.refresh_token.reveal()}
        reply = await self._post(form)
        issued = read_answer(self.terms, frozenset(), tokens, reply, self._clock())
        return tokens.updated(issued.tokens)

    async def _post(self, form: Mapping[str, str]) -> Reply:
        metadata = await self._issuer.metadata()
        fields, name, password = dict(form), None, None
        secret = None if self._secret is None else self._secret().reveal()
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if secret is not None and "client_secret_basic" in methods:
            name, password = basic(self.terms.client_id, secret)
        else:
            fields["client_id"] = self.terms.client_id
            if secret is not None:
                fields["client_secret"] = secret
        request = HTTPRequest(
            metadata["token_endpoint"],
            method="POST",
            body=urlencode(fields),
            headers={
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            auth_username=name,
            auth_password=password,
        )
        response = await self._issuer.fetch(request)
        return Reply(response.code, _json(response))


def client_secrets(
    entries: Mapping[str, ExchangeTerms], environment: MutableMapping[str, str] = os.environ
) -> dict[str, Callable[[], Secret] | None]:
    """Return what returns the client's secret of each entry, by the entry's name.

    A file is read at each use, so that a secret can be replaced. Variables are taken out of the
    environment, which kernels would inherit.

    Raises:
        ConfigurationError: A file or a variable is missing.
    """
    found: dict[str, Callable[[], Secret] | None] = {}
    for name, terms in entries.items():
        if terms.client_secret_file:
            found[name] = _from_file(name, Path(terms.client_secret_file).expanduser())
        elif terms.client_secret_env:
            found[name] = _from_variable(name, environment.get(terms.client_secret_env, ""))
        else:
            found[name] = None
    for terms in entries.values():
        if terms.client_secret_env:
            environment.pop(terms.client_secret_env, None)
    return found


def _from_file(name: str, path: Path) -> Callable[[], Secret]:
    setting = f"token_exchange: client_secret_file of {name!r}"
    read_private(setting, path)

    def read() -> Secret:
        try:
            return read_private(setting, path)
        except ConfigurationError:
            raise AccessTokenUnavailable(
                f"the server cannot read its secret for {name!r}; ask the administrator to look at "
                "client_secret_file",
                reason="refused",
            ) from None

    return read


def _from_variable(name: str, text: str) -> Callable[[], Secret]:
    if not text:
        raise ConfigurationError(
            f"token_exchange: client_secret_env of {name!r} names a variable that is not set; set "
            "it in the server's environment"
        )
    secret = Secret(text)
    return lambda: secret


def _json(response: HTTPResponse) -> object:
    try:
        return json.loads(response.body or b"")
    except (ValueError, RecursionError):
        return None


def _unreachable(why: str) -> AccessTokenUnavailable:
    return AccessTokenUnavailable(
        f"the identity provider {why}; try again later, and ask the administrator to look at the "
        "server's log",
        reason="unreachable",
    )


def _wrong_metadata(why: str) -> AccessTokenUnavailable:
    return AccessTokenUnavailable(
        f"the identity provider's metadata {why}; ask the administrator to look at the issuer in "
        "c.JupyterSessionUser.token_exchange",
        reason="answer",
    )
