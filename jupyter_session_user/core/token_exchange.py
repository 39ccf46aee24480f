"""Token exchange: the request to the provider's token endpoint, and the rules for its answer.

The request is RFC 8693, section 2.1, or RFC 6749, section 6. An answer counts only if it has a new
token, for the service that was asked for, about the user of the login, that is valid now. No text
here holds a token or a part of an answer, except the provider's error code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from jupyter_session_user.core.exchange_terms import EXCHANGE, REFRESH, ExchangeTerms
from jupyter_session_user.core.login_tokens import LoginTokens, claims_in
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import AccessTokenUnavailable, ConsentRequired

__all__ = [
    "Issued",
    "Reply",
    "basic",
    "grant_of",
    "kept_for",
    "read_answer",
    "request_of",
]

#: How far the clocks of server and provider may differ, in seconds.
LEEWAY_S = 60.0
#: What a token without a stated lifetime counts for here, in seconds.
_UNKNOWN_LIFETIME_S = 60
_MAX_LIFETIME_S = 86_400

_TYPE = "urn:ietf:params:oauth:token-type:"
_CODE = re.compile(r"[a-z0-9_.-]{1,64}")
#: The user has to act: RFC 6749, section 5.2; OpenID Connect Core 1.0, section 3.1.2.6.
_CONSENT = frozenset(
    {
        *("account_selection_required", "consent_required", "interaction_required"),
        *("invalid_grant", "login_required"),
    }
)
_OK = 200
_SERVER_ERROR = 500
_TOO_MANY = 429


class Reply(NamedTuple):
    """An answer of the token endpoint.

    Attributes:
        status: The HTTP status.
        body: The JSON of the body; None if it is none.
    """

    status: int
    body: object


class Issued(NamedTuple):
    """A token from the provider.

    Attributes:
        token: The access token for the service.
        seconds: How long it counts, from the answer on.
        tokens: The answer as tokens of the login; the refresh token may be a new one.
    """

    token: Secret
    seconds: float
    tokens: LoginTokens


def grant_of(terms: ExchangeTerms, supported: object) -> str:
    """Return the ``grant_type`` for an entry of the setting.

    Args:
        terms: The entry.
        supported: ``grant_types_supported`` of the provider's metadata (RFC 8414).

    Raises:
        AccessTokenUnavailable: The provider has no token exchange, and the entry no scope.
    """
    if terms.grant:
        return terms.grant
    if isinstance(supported, list) and EXCHANGE in supported:
        return EXCHANGE
    if not (terms.scope or terms.resource):
        raise AccessTokenUnavailable(
            f"the identity provider does not say that it exchanges tokens (RFC 8693) for "
            f'{terms.name!r}; the administrator sets its grant, and a scope for "refresh"',
            reason="refused",
        )
    return REFRESH


def request_of(terms: ExchangeTerms, grant: str, tokens: LoginTokens) -> dict[str, str] | None:
    """Return the form of the request; None if the login has no token for it."""
    asked = {"scope": terms.scope, "resource": terms.resource}
    if grant == REFRESH:
        form, secret = {"grant_type": REFRESH}, tokens.refresh_token
        named = "refresh_token"
    else:
        named = "subject_token"
        secret = tokens.id_token if terms.subject_token == "id_token" else tokens.access_token  # noqa: S105
        form = {
            "grant_type": EXCHANGE,
            "subject_token_type": _TYPE + terms.subject_token,
            "requested_token_type": _TYPE + "access_token",
        }
        asked["audience"] = terms.audience or ("" if terms.resource else terms.name)
    if secret is None:
        return None
    form[named] = secret.reveal()
    return {**form, **{name: value for name, value in asked.items() if value}}


def kept_for(seconds: float) -> int:
    """Return how long a token is given to callers again, in seconds: shortly before its end."""
    return int(seconds - min(60.0, seconds * 0.2))


def basic(client_id: str, secret: str) -> tuple[str, str]:
    """Return name and password of the client for HTTP Basic (RFC 6749, section 2.3.1)."""
    return quote_plus(client_id), quote_plus(secret)


def read_answer(
    terms: ExchangeTerms, targets: frozenset[str], sent: LoginTokens, reply: Reply, now: float
) -> Issued:
    """Read the provider's answer.

    Args:
        terms: The entry of the setting.
        targets: The services of which the token must be for one, if it names any; empty for any.
        sent: The login's tokens, of which one was sent.
        reply: The provider's answer.
        now: The time, in seconds since the epoch.

    Raises:
        ConsentRequired: The user has to agree, or to log in again; without the address.
        AccessTokenUnavailable: It has no token that counts.
    """
    said = reply.body if isinstance(reply.body, Mapping) else {}
    if reply.status != _OK:
        raise _refusal(terms, reply.status, said)
    kind = said.get("token_type")
    tokens = LoginTokens.read(said, now)
    secret = None if tokens is None else tokens.access_token
    if tokens is None or secret is None or not isinstance(kind, str) or kind.lower() != "bearer":
        raise _unusable(terms, "it has no bearer token")
    if secret in (sent.access_token, sent.id_token):
        raise _unusable(terms, "it has the login's own token, which is for no single service")
    _check_user(terms, sent, tokens)
    claims = claims_in(secret.reveal())
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if audience is not None and targets and not targets & set(map(str, named)):
        raise _unusable(terms, "its token is for another service (aud)")
    seconds = _lifetime(terms, said, claims, now)
    return Issued(secret, seconds, tokens)


def _unusable(terms: ExchangeTerms, why: str) -> AccessTokenUnavailable:
    """Return the error for an answer that is not used."""
    return AccessTokenUnavailable(
        f"the identity provider's answer for {terms.name!r} is not used: {why}; ask the "
        "administrator to look at the provider's settings",
        reason="answer",
    )


def _refusal(
    terms: ExchangeTerms, status: int, said: Mapping[str, Any]
) -> AccessTokenUnavailable | ConsentRequired:
    found = said.get("error")
    code = found if isinstance(found, str) and _CODE.fullmatch(found) else ""
    if code in _CONSENT:
        return ConsentRequired(
            f"the identity provider gives no access token for {terms.name!r} until you agree, or "
            f"log in again ({code})"
        )
    if status >= _SERVER_ERROR or status == _TOO_MANY:
        return AccessTokenUnavailable(
            f"the identity provider cannot answer now (status {status}); try again later",
            reason="unreachable",
        )
    return AccessTokenUnavailable(
        f"the identity provider refuses an access token for {terms.name!r} "
        f"({code or f'status {status}'}); ask the administrator to look at the provider's settings",
        reason="refused",
    )


def _check_user(terms: ExchangeTerms, sent: LoginTokens, tokens: LoginTokens) -> None:
    """Refuse tokens about another user than that of the login.

    Raises:
        AccessTokenUnavailable: One of them is about another user, or cannot be compared.
    """
    expected = sent.subject(terms.subject_claim)
    for secret in (tokens.access_token, tokens.id_token):
        found = claims_in(secret.reveal()).get(terms.subject_claim) if secret is not None else None
        if found is None:
            continue
        if expected is None:
            raise _unusable(terms, "it names a user, and no token of the login does, to compare")
        if found != expected:
            raise AccessTokenUnavailable(
                f"the identity provider's token for {terms.name!r} is about another user than the "
                f"login, by its claim {terms.subject_claim!r}; the server keeps it back. Ask the "
                "administrator to look at subject_claim and at the provider",
                reason="other_user",
            )


def _lifetime(
    terms: ExchangeTerms, said: Mapping[str, Any], claims: Mapping[str, Any], now: float
) -> float:
    """Return how long a token counts, in seconds.

    Raises:
        AccessTokenUnavailable: It is not valid now.
    """
    lifetimes = [float(_MAX_LIFETIME_S)]
    for value, base in ((said.get("expires_in"), 0.0), (claims.get("exp"), now)):
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or value != value:  # noqa: PLR0124
            raise _unusable(terms, "its times are no numbers")
        lifetimes.append(float(value) - base)
    starts = [claims.get(name) for name in ("iat", "nbf")]
    early = any(isinstance(start, int | float) and start > now + LEEWAY_S for start in starts)
    if early or min(lifetimes) <= 0:
        raise AccessTokenUnavailable(
            f"the identity provider's token for {terms.name!r} is not valid at this time: the "
            "clocks of this server and of the provider differ. Set both with NTP",
            reason="clock",
        )
    return min(lifetimes) if len(lifetimes) > 1 else float(_UNKNOWN_LIFETIME_S)
