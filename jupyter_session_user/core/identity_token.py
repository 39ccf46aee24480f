"""Identity tokens: their format, and the rules for them.

An identity token is a JWS in compact form (RFC 7515, RFC 7519) with one permitted algorithm and
header. It obeys RFC 8725 (best practices for JWTs): an explicit type, one audience, a short life.
The caller checks the signature, between :func:`parse` and :func:`read`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

from jupyter_session_user.core.bearer import MAX_LIFETIME_S
from jupyter_session_user.core.compact_jws import json_object, split
from jupyter_session_user.errors import InvalidIdentityToken

__all__ = [
    "ALGORITHM",
    "LEEWAY_S",
    "TYPE",
    "Expected",
    "Grant",
    "IdentityClaims",
    "Parsed",
    "claims_of",
    "key_of",
    "parse",
    "read",
    "seconds",
]

ALGORITHM = "ES256"
#: The header ``typ``: no other token of any issuer has it (RFC 8725, section 3.11).
TYPE = "session-user+jwt"
#: How far the clocks of issuer and verifier may differ, in seconds.
LEEWAY_S = 10.0

_MAX_BYTES = 8192  # of a token; groups take the most
_MAX_KEYS = 100
_HEADER = frozenset({"alg", "kid", "typ"})
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes
#: Order of the curve P-256 (SEC 2, section 2.4.2).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF = 32  # bytes of each half of a signature


class Grant(NamedTuple):
    """What the server states in a token.

    Attributes:
        issuer: URL of the server's tokens.
        audience: The service that may accept the token.
        username: The user.
        login: Name of the login; holds no secret.
        kernel_shared: Whether code of other users may have asked for the token.
        groups: The user's groups; None if tokens have none.
        actor: The agent that acts for the user (RFC 8693, section 4.1), if any.
    """

    issuer: str
    audience: str
    username: str
    login: str
    kernel_shared: bool
    groups: tuple[str, ...] | None = None
    actor: str | None = None


class Parsed(NamedTuple):
    """A token, not verified yet.

    Attributes:
        kid: Name of its key.
        claims: Its claims.
    """

    kid: str
    claims: Mapping[str, Any]


class Expected(NamedTuple):
    """What a verifier requires.

    Attributes:
        issuer: Required ``iss``.
        audience: Required ``aud``.
        leeway: How far the clocks may differ, in seconds.
        shared: Whether tokens of shared kernels count.
    """

    issuer: str
    audience: str
    leeway: float = LEEWAY_S
    shared: bool = False


@dataclass(frozen=True, slots=True)
class IdentityClaims:
    """What a verified identity token says.

    Attributes:
        username: The user (``sub``), unique at this issuer only.
        issuer: URL of the issuing server (``iss``).
        audience: The service that the token is for (``aud``).
        issued_at: When it was issued (``iat``), an aware datetime in UTC.
        expires_at: When it ends (``exp``), an aware datetime in UTC.
        id: Unique id of the token (``jti``).
        session_id: Name of the login (``sid``): the same for all tokens of one login.
        groups: The user's groups; empty if the server does not send them.
        actor: The agent that acts for the user (``act``, RFC 8693 section 4.1); None if the user
            acts.
        kernel_shared: Whether code of other users of the kernel may have asked for the token.
    """

    username: str
    issuer: str
    audience: str
    issued_at: datetime
    expires_at: datetime
    id: str
    session_id: str
    groups: tuple[str, ...] = ()
    actor: str | None = None
    kernel_shared: bool = False


def seconds(lifetime: float, now: float, end: float | None) -> int:
    """Return the lifetime of a token in whole seconds; zero or less if it cannot be issued.

    Args:
        lifetime: The requested lifetime, in seconds.
        now: The time, in seconds since the epoch.
        end: The exact end of the login, in seconds since the epoch; None if it has none.
    """
    most = int(min(lifetime, MAX_LIFETIME_S))
    return most if end is None else min(most, int(end) - int(now))


def claims_of(grant: Grant, now: float, lifetime: int, jti: str) -> dict[str, Any]:
    """Return the claims of a new token.

    Args:
        grant: What the server states.
        now: The time, in seconds since the epoch.
        lifetime: How long it counts, in seconds.
        jti: A random id.
    """
    issued = int(now)
    claims: dict[str, Any] = {
        "iss": grant.issuer,
        "sub": grant.username,
        "aud": grant.audience,
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime,
        "jti": jti,
        "sid": grant.login,
        "kernel_shared": grant.kernel_shared,
    }
    if grant.groups is not None:
        claims["groups"] = list(grant.groups)
    if grant.actor is not None:
        claims["act"] = {"sub": grant.actor}
    return claims


def parse(token: object) -> Parsed:
    """Return the parts of a token with the one permitted header. Its signature is not verified.

    Raises:
        InvalidIdentityToken: It is malformed, or is another kind of token.
    """
    if not isinstance(token, str) or len(token) > _MAX_BYTES:
        raise InvalidIdentityToken(
            f"the token is no text, or longer than {_MAX_BYTES} characters; send a token of "
            "get_identity_token()"
        )
    parts = split(token)
    if parts is None:
        raise InvalidIdentityToken(
            "the token is no JWS with three parts in canonical base64url; send it as "
            "get_identity_token() returned it"
        )
    header, claims = json_object(parts.header), json_object(parts.payload)
    if header is None or claims is None:
        raise InvalidIdentityToken(
            "a part of the token is no JSON object with different members; send it as "
            "get_identity_token() returned it"
        )
    if header.keys() != _HEADER:
        raise InvalidIdentityToken(
            "the header has members other than alg, kid and typ, or lacks one of them; send a "
            "token of get_identity_token()",
            reason="header",
        )
    kid = header["kid"]
    if header["alg"] != ALGORITHM or header["typ"] != TYPE or not isinstance(kid, str) or not kid:
        raise InvalidIdentityToken(
            f"the header names another algorithm than {ALGORITHM}, another type than {TYPE}, or no "
            "key; send a token of get_identity_token()",
            reason="header",
        )
    _check_signature_form(parts.signature)
    return Parsed(kid, claims)


def key_of(jwks: object, kid: str) -> dict[str, str]:
    """Return the one public key of this name, without other members.

    Args:
        jwks: A JWKS (RFC 7517), parsed or as text.
        kid: Name of the key.

    Raises:
        InvalidIdentityToken: There is none, or more than one, or it is for another algorithm.
    """
    if isinstance(jwks, str | bytes):
        try:
            jwks = json.loads(jwks)
        except (ValueError, RecursionError):
            jwks = None
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list | tuple) or len(keys) > _MAX_KEYS:
        raise InvalidIdentityToken(
            'jwks is no JWKS; pass what the server\'s jwks.json has, {"keys": [...]}', reason="keys"
        )
    found = [key for key in keys if isinstance(key, Mapping) and key.get("kid") == kid]
    if not found:
        raise InvalidIdentityToken(
            "jwks lacks the key that the token names; fetch the server's jwks.json again",
            reason="unknown_key",
        )
    if len(found) > 1:
        raise InvalidIdentityToken(
            "jwks has several keys of the name in the token; use the jwks.json of one server",
            reason="keys",
        )
    return _public(found[0])


def read(claims: Mapping[str, Any], expected: Expected, now: float) -> IdentityClaims:
    """Return what a token says that the server has signed.

    Args:
        claims: Its claims.
        expected: What the verifier requires.
        now: The time, in seconds since the epoch.

    Raises:
        InvalidIdentityToken: A claim is missing or wrong, or the token does not count now.
    """
    if not expected.issuer or claims.get("iss") != expected.issuer:
        raise InvalidIdentityToken("iss is another issuer", reason="issuer")
    if not expected.audience or claims.get("aud") != expected.audience:
        raise InvalidIdentityToken(
            "the token is for another audience; ask for one for this service", reason="audience"
        )
    issued, ends = _check_times(claims, now, expected.leeway)
    shared = claims.get("kernel_shared")
    if not isinstance(shared, bool):
        raise _wrong("kernel_shared")
    if shared and not expected.shared:
        raise InvalidIdentityToken(
            "the token comes from a kernel that several users share; use a kernel of your own, or "
            "accept such tokens with allow_shared=True",
            reason="shared_kernel",
        )
    return IdentityClaims(
        username=_text(claims, "sub"),
        issuer=expected.issuer,
        audience=expected.audience,
        issued_at=datetime.fromtimestamp(issued, timezone.utc),
        expires_at=datetime.fromtimestamp(ends, timezone.utc),
        id=_text(claims, "jti"),
        session_id=_text(claims, "sid"),
        groups=_groups(claims),
        actor=_actor(claims),
        kernel_shared=shared,
    )


def _check_signature_form(signature: bytes) -> None:
    """Refuse what is no pair of numbers on the curve: RFC 7518, section 3.4; FIPS 186-5, 6.4.2."""
    halves = signature[:_HALF], signature[_HALF:]
    numbers = [int.from_bytes(half, "big") for half in halves]
    if len(signature) != 2 * _HALF or not all(0 < number < _ORDER for number in numbers):
        raise InvalidIdentityToken(
            "the signature is none of ES256; send the token as get_identity_token() returned it",
            reason="signature",
        )


def _public(key: Mapping[str, Any]) -> dict[str, str]:
    right = {"kty": ("EC",), "crv": ("P-256",), "use": ("sig", None), "alg": (ALGORITHM, None)}
    numbers = [key.get(name) for name in ("x", "y")]
    operations = key.get("key_ops", ["verify"])
    good = (
        all(key.get(name) in values for name, values in right.items())
        and isinstance(operations, list | tuple)
        and "verify" in operations
        and all(isinstance(n, str) and _COORDINATE.fullmatch(n) for n in numbers)
    )
    if not good:
        raise InvalidIdentityToken(
            f"the key in jwks is none for {ALGORITHM}; pass the server's jwks.json", reason="keys"
        )
    return {"kty": "EC", "crv": "P-256", "x": str(numbers[0]), "y": str(numbers[1])}


def _check_times(claims: Mapping[str, Any], now: float, leeway: float) -> tuple[int, int]:
    """Return ``iat`` and ``exp``, if the token counts now."""
    issued, start, ends = (_time(claims, name) for name in ("iat", "nbf", "exp"))
    if not issued <= start < ends <= issued + MAX_LIFETIME_S:
        raise InvalidIdentityToken(
            f"iat, nbf and exp are not in order, or more than {MAX_LIFETIME_S} s apart",
            reason="claims",
        )
    if now >= ends + leeway:
        raise InvalidIdentityToken(
            "the token has expired; call get_identity_token() again", reason="time"
        )
    if now < start - leeway:
        raise InvalidIdentityToken(
            "the token is of the future; set the clocks of both servers", reason="time"
        )
    return issued, ends


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < 10**11:
        raise _wrong(name)
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _wrong(name)
    return value


def _groups(claims: Mapping[str, Any]) -> tuple[str, ...]:
    value = claims.get("groups", [])
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise _wrong("groups")
    return tuple(value)


def _actor(claims: Mapping[str, Any]) -> str | None:
    if "act" not in claims:
        return None
    act = claims["act"]
    if not isinstance(act, dict):
        raise _wrong("act")
    return _text(act, "sub")


def _wrong(name: str) -> InvalidIdentityToken:
    return InvalidIdentityToken(
        f"{name} is missing or of a wrong type; send a token of get_identity_token()",
        reason="claims",
    )
