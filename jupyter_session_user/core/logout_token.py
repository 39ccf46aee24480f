"""Tokens with which an identity provider ends logins: their format, and the rules for them.

- logout tokens: OpenID Connect Back-Channel Logout 1.0, sections 2.4 to 2.6
- security event tokens (SET): RFC 8417, with the event ``session-revoked`` of OpenID CAEP 1.0,
  section 3.1, and its subject (RFC 9493; OpenID Shared Signals Framework 1.0, section 3)

The caller checks the signature, between :func:`parse` and :func:`read`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jupyter_session_user.core.compact_jws import json_object, split
from jupyter_session_user.core.digest import digest
from jupyter_session_user.core.subject import Target

__all__ = [
    "LEEWAY_S",
    "LOGOUT",
    "SECURITY_EVENT",
    "Kind",
    "Notice",
    "Parsed",
    "TokenRefused",
    "parse",
    "read",
]

#: How far the clocks of this server and the provider may differ, in seconds.
LEEWAY_S = 30.0

_SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"


class Kind(NamedTuple):
    """One kind of token.

    Attributes:
        name: What the kind is called in errors.
        types: Accepted values of the header ``typ``; empty if it may be missing.
        event: The member of ``events`` that ends logins.
        only_event: Whether tokens without that event are malformed; others are ignored.
        required: Claims that must be there, besides ``iss``, ``aud``, ``iat``, ``jti``, ``events``.
        prohibited: Claims that must not be there.
        max_age: How long after ``iat`` it counts, in seconds.
        state: How the logins end.
    """

    name: str
    types: frozenset[str]
    event: str
    only_event: bool
    required: tuple[str, ...]
    prohibited: tuple[str, ...]
    max_age: float
    state: str


#: ``typ`` is recommended, not required. Libraries that do not know it write "JWT".
LOGOUT = Kind(
    name="logout token",
    types=frozenset({"", "jwt", "logout+jwt"}),
    event="http://schemas.openid.net/event/backchannel-logout",
    only_event=True,
    required=("exp",),
    prohibited=("nonce",),
    max_age=600.0,
    state="signed_out",
)
#: A transmitter repeats a SET until it is accepted, perhaps hours later.
SECURITY_EVENT = Kind(
    name="security event token",
    types=frozenset({"secevent+jwt"}),
    event=_SESSION_REVOKED,
    only_event=False,
    required=(),
    prohibited=(),
    max_age=86_400.0,
    state="revoked",
)


class TokenRefused(Exception):
    """A token does not obey the rules. The text contains no part of the token.

    Attributes:
        code: An error code of RFC 8935, section 2.4.
    """

    def __init__(self, text: str, code: str = "invalid_request") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Parsed:
    """A token, not verified yet.

    Attributes:
        header: Its header.
        claims: Its claims.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a valid token says.

    Attributes:
        id: Hash of its ``iss`` and ``jti``.
        counts_until: Time after which the same token is refused for its age, since the epoch.
        before: Logins of a user that began until then end, in seconds since the epoch.
        state: How the logins end: ``signed_out`` or ``revoked``.
        target: Whose logins end; None if this server ends none for it.
    """

    id: str
    counts_until: float
    before: int
    state: str
    target: Target | None


def parse(token: str, kind: Kind, algorithms: Collection[str]) -> Parsed:
    """Return the parts of a token with a permitted header. Its signature is not verified.

    Args:
        token: A JWS in compact form (RFC 7515).
        kind: What it must be.
        algorithms: The permitted signatures.

    Raises:
        TokenRefused: It is malformed, or is of another kind.
    """
    parts = split(token)
    if parts is None:
        raise TokenRefused(f"the {kind.name} is no signed JWT; send a JWS in compact form")
    header, claims = json_object(parts.header), json_object(parts.payload)
    if header is None or claims is None:
        raise TokenRefused(f"a part of the {kind.name} is no JSON object with different members")
    if header.get("alg") not in algorithms:
        names = ", ".join(algorithms)
        raise TokenRefused(f"the signature's algorithm is not permitted; sign with one of: {names}")
    if "crit" in header:
        raise TokenRefused("the header has crit; this server knows no such extension, leave it out")
    named = header.get("typ", "")
    kind_named = named.lower().removeprefix("application/") if isinstance(named, str) else None
    if kind_named not in kind.types:
        names = " or ".join(sorted(kind.types - {"", "jwt"}))
        raise TokenRefused(f"the header's typ is that of another kind of token; write {names}")
    return Parsed(header, claims)


def read(claims: Mapping[str, Any], kind: Kind, issuer: str, audience: str, now: float) -> Notice:
    """Return what a token says that the provider has signed.

    Args:
        claims: Its claims.
        kind: What it must be.
        issuer: Required ``iss``.
        audience: Value that ``aud`` must equal or contain.
        now: The time, in seconds since the epoch.

    Raises:
        TokenRefused: A claim is missing or wrong.
    """
    if claims.get("iss") != issuer:
        raise TokenRefused("iss is not the issuer in logout_issuer", "invalid_issuer")
    named = claims.get("aud")
    if audience not in (named if isinstance(named, list) else [named]):
        raise TokenRefused("aud does not name this server", "invalid_audience")
    for name in kind.prohibited:
        if name in claims:
            raise TokenRefused(f"a {kind.name} must not have the claim {name}")
    issued = _check_times(claims, kind, now)
    jti = _text(claims, "jti")
    event = _event(claims, kind)
    if event is None:
        target = None
    elif kind is LOGOUT:
        target = _target_of_logout(claims, issuer)
    else:
        target = _target_of_subject(claims.get("sub_id"), issuer)
        issued = min(issued, _number(event, "event_timestamp", issued))
    return Notice(
        id=digest("provider-token", issuer, jti),
        counts_until=now + kind.max_age + 2 * LEEWAY_S,
        before=math.floor(min(issued, now)),
        state=kind.state,
        target=target,
    )


def _check_times(claims: Mapping[str, Any], kind: Kind, now: float) -> float:
    """Return ``iat``, if the token counts now."""
    issued = _number(claims, "iat")
    if issued > now + LEEWAY_S:
        raise TokenRefused("iat is in the future; set the clocks of both servers")
    if issued < now - kind.max_age - LEEWAY_S:
        raise TokenRefused(f"iat is too old; send a new {kind.name}")
    ends = _number(claims, "exp", None if "exp" in kind.required else math.inf)
    if now >= ends + LEEWAY_S:
        raise TokenRefused(f"exp has passed; send a new {kind.name}")
    if _number(claims, "nbf", -math.inf) > now + LEEWAY_S:
        raise TokenRefused("nbf is in the future; set the clocks of both servers")
    return issued


def _number(values: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """Return a NumericDate (RFC 7519 section 2)."""
    value = values.get(name, default)
    if name not in values and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:  # noqa: PLR2004
        raise TokenRefused(f"{name} is missing or no time; write seconds since the epoch")
    return float(value)


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRefused(f"{name} is missing or no text")
    return value


def _event(claims: Mapping[str, Any], kind: Kind) -> Mapping[str, Any] | None:
    """Return the event that ends logins; None if there are only others."""
    events = claims.get("events")
    if not isinstance(events, dict) or not events:
        raise TokenRefused("events is missing or no JSON object")
    event = events.get(kind.event)
    if kind.event not in events and not kind.only_event:
        return None
    if not isinstance(event, dict):
        raise TokenRefused(f"events has no JSON object as its member {kind.event}")
    return event


def _target_of_logout(claims: Mapping[str, Any], issuer: str) -> Target:
    if "sub" not in claims and "sid" not in claims:
        raise TokenRefused("sub and sid are both missing; write one of them")
    sub, sid = (_text(claims, name) if name in claims else "" for name in ("sub", "sid"))
    return Target(issuer, sub, sid)


def _target_of_subject(subject: Any, issuer: str) -> Target | None:
    """Return whose logins a ``session-revoked`` ends.

    Members of a complex subject that a login here does not show, such as ``device``, do not narrow
    it: all logins of that user end. An opaque id is that of a session, as in CAEP's examples.
    """
    form = _format(subject, "sub_id")
    if form != "complex":
        return _simple(subject, form, issuer)
    user, session = (
        _simple(subject[name], _format(subject[name], name), issuer)
        if name in subject
        else Target(issuer)
        for name in ("user", "session")
    )
    if "user" in subject and user is None and subject["user"]["format"] == "iss_sub":
        return None  # a user of another issuer
    found = Target(issuer, user.sub if user else "", session.sid if session else "")
    return found if found.sub or found.sid else None


def _format(subject: Any, name: str) -> str:
    if not isinstance(subject, dict):
        raise TokenRefused(f"{name} is missing or no JSON object; see RFC 9493")
    return _text(subject, "format")


def _simple(subject: Any, form: str, issuer: str) -> Target | None:
    if form == "iss_sub":
        of, sub = _text(subject, "iss"), _text(subject, "sub")
        return Target(issuer, sub) if of == issuer else None
    if form == "opaque":
        return Target(issuer, sid=_text(subject, "id"))
    return None
