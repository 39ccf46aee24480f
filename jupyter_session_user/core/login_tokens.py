"""The tokens of a login at the identity provider: they stay in the server.

A token that comes straight from the provider's token endpoint is not verified again: TLS has named
the sender (OpenID Connect Core 1.0, section 3.1.3.7, point 6). Other tokens are sent to no one but
the provider.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.compact_jws import json_object, split
from jupyter_session_user.core.secret import Secret

__all__ = ["LoginTokens", "claims_in", "is_token"]

_MAX_TOKEN = 32_768  # characters
#: A token that ends sooner is not sent to the provider any more, in seconds.
_MARGIN_S = 10.0


@dataclass(frozen=True, slots=True)
class LoginTokens:
    """What a provider has given the server for one login (RFC 6749, section 5.1).

    Attributes:
        access_token: The access token; None if there is none.
        refresh_token: The refresh token; None if there is none.
        id_token: The ID token; None if there is none.
        ends_at: When the access token ends, in seconds since the epoch; None if that is unknown.
    """

    access_token: Secret | None = None
    refresh_token: Secret | None = None
    id_token: Secret | None = None
    ends_at: float | None = None

    @classmethod
    def read(cls, given: object, now: float) -> LoginTokens | None:
        """Read the members of a token response, or of what is kept of one.

        Args:
            given: A mapping with ``access_token``, ``refresh_token``, ``id_token``, and
                ``expires_in`` (seconds from now) or ``expires_at`` (seconds since the epoch).
            now: The time, in seconds since the epoch.

        Returns:
            The tokens; None if it has none.
        """
        if not isinstance(given, Mapping):
            return None
        names = ("access_token", "refresh_token", "id_token")
        tokens = {name: Secret(given[name]) for name in names if is_token(given.get(name))}
        if not tokens:
            return None
        return cls(**tokens, ends_at=_end(given, tokens.get("access_token"), now))

    def to_keep(self) -> dict[str, Any]:
        """Return the members in clear, for encryption."""
        found: dict[str, Any] = {}
        for name in ("access_token", "refresh_token", "id_token"):
            secret: Secret | None = getattr(self, name)
            if secret is not None:
                found[name] = secret.reveal()
        return found if self.ends_at is None else {**found, "expires_at": self.ends_at}

    def updated(self, new: LoginTokens) -> LoginTokens:
        """Return the tokens after a refresh: the provider leaves out what has not changed."""
        return dataclasses.replace(
            new,
            refresh_token=new.refresh_token or self.refresh_token,
            id_token=new.id_token or self.id_token,
        )

    def has_ended(self, now: float) -> bool:
        """Tell whether the access token has ended, as far as that is known."""
        return self.ends_at is not None and self.ends_at <= now + _MARGIN_S

    def subject(self, claim: str) -> str | None:
        """Return the provider's name of the user; None if no token has one.

        Args:
            claim: The claim with it.
        """
        for secret in (self.id_token, self.access_token):
            found = claims_in(secret.reveal()).get(claim) if secret is not None else None
            if isinstance(found, str) and found:
                return found
        return None


def claims_in(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT without verifying it; empty for any other text."""
    parts = split(token)
    return (json_object(parts.payload) if parts is not None else None) or {}


def is_token(value: object) -> bool:
    """Tell whether this can be a token: visible characters of ASCII (RFC 6749, appendix A)."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TOKEN:
        return False
    return value.isascii() and value.isprintable() and " " not in value


def _end(given: Mapping[str, Any], access_token: Secret | None, now: float) -> float | None:
    said = claims_in(access_token.reveal()) if access_token is not None else {}
    lifetime: Any = given.get("expires_in")
    end = now + lifetime if _is_number(lifetime) else None
    times = [given.get("expires_at"), said.get("exp"), end]
    return min((float(time) for time in times if _is_number(time)), default=None)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < 10**11  # type: ignore[operator]
