"""Verifies identity tokens, in a service that may have no Jupyter at all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from jupyter_session_user.core.identity_token import (
    ALGORITHM,
    LEEWAY_S,
    Expected,
    IdentityClaims,
    key_of,
    parse,
    read,
)
from jupyter_session_user.errors import ConfigurationError, InvalidIdentityToken

__all__ = ["IdentityClaims", "verify_identity_token"]

#: No longer than a token counts.
_MAX_LEEWAY_S = 300


def verify_identity_token(
    token: str,
    jwks: Mapping[str, Any] | str | bytes,
    audience: str,
    *,
    issuer: str,
    allow_shared: bool = False,
    leeway: float = LEEWAY_S,
) -> IdentityClaims:
    """Return what an identity token says, in the service that received it.

    The service needs ``jupyter-session-user[jwt]`` and no Jupyter. It fetches
    ``<issuer>/jwks.json``, keeps a copy for as long as that answer's ``Cache-Control`` says, and
    fetches it again if the reason of an error is ``unknown_key``.

    Args:
        token: The token, without "Bearer ".
        jwks: The server's public keys (RFC 7517), parsed or as text.
        audience: The name of this service, as the server's ``token_audiences`` has it.
        issuer: The server's ``token_issuer``.
        allow_shared: Whether to accept tokens of kernels that several users share.
        leeway: How far the clocks of both servers may differ, in seconds.

    Raises:
        InvalidIdentityToken: The token is not valid here; ``reason`` says why.
        ConfigurationError: joserfc is not installed, or ``leeway`` is not from 0 to 300.
    """
    try:
        from joserfc import jws  # noqa: PLC0415 - optional
        from joserfc.jwk import ECKey  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "verify_identity_token needs joserfc; run: pip install 'jupyter-session-user[jwt]'"
        ) from None
    if not 0 <= leeway <= _MAX_LEEWAY_S:  # NaN is neither
        raise ConfigurationError(
            f"verify_identity_token: leeway is no number of seconds from 0 to {_MAX_LEEWAY_S}"
        )
    parsed = parse(token)
    public = key_of(jwks, parsed.kid)
    refusal = InvalidIdentityToken(
        "the signature is not that of the key which the token names; send the token as "
        "get_identity_token() returned it",
        reason="signature",
    )
    try:
        key = ECKey.import_key(dict(public))
        jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
    except Exception:  # noqa: BLE001 - its errors may quote the token, also in their context
        failed = True
    else:
        failed = False
    if failed:
        raise refusal
    expected = Expected(issuer, audience, leeway, allow_shared)
    return read(parsed.claims, expected, time.time())
