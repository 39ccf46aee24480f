"""An issuer's keys, and JWTs that it has signed, or has not."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

__all__ = ["FOREIGN", "KEYS", "hmac_signed", "signed", "unsigned", "write_keys"]

KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, parameters={"kid": "r"}),
    "PS256": RSAKey.generate_key(2048, parameters={"kid": "p"}),
    "ES256": ECKey.generate_key("P-256", parameters={"kid": "e"}),
    "Ed25519": OKPKey.generate_key("Ed25519", parameters={"kid": "o"}),
}
FOREIGN = RSAKey.generate_key(2048, parameters={"kid": "r"})  # another issuer's, of the same name


def signed(claims: dict[str, Any], alg: str = "RS256", key: Any = None) -> str:
    """Return a JWT that this key has signed."""
    key = key or KEYS[alg]
    header = {"alg": alg, "kid": key.kid}
    return jwt.encode(header, claims, key, algorithms=[alg])


def unsigned(claims: dict[str, Any], alg: str = "none", signature: str = "") -> str:
    """Return a JWT with a signature that is none."""
    parts = (json.dumps(part).encode() for part in ({"alg": alg, "kid": "r"}, claims))
    return ".".join((*(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts), signature))


def hmac_signed(claims: dict[str, Any], secret: bytes) -> str:
    """Return a JWT signed with HMAC, by hand: libraries refuse a public key as its secret."""
    head = unsigned(claims, "HS256")[:-1]
    signature = hmac.digest(secret, head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def write_keys(path: Path, *keys: Any) -> Path:
    """Write a JWKS of public keys."""
    path.write_text(json.dumps(KeySet(list(keys or KEYS.values())).as_dict(private=False)))
    return path
