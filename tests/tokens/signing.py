"""Signs any bytes as a JWS, also what no library would sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://jupyter.example.org/api/session-user"
AUDIENCE = "https://data.example.org"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value: Any) -> bytes:
    """Return JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


class Signer:
    """An issuer that signs whatever it is given.

    Args:
        curve: The curve of its key.
    """

    def __init__(self, curve: ec.EllipticCurve | None = None, kid: str = "k1") -> None:
        self.key = ec.generate_private_key(curve or ec.SECP256R1())
        self.size = (self.key.curve.key_size + 7) // 8
        self.kid = kid
        self.header = {"alg": "ES256", "typ": "session-user+jwt", "kid": kid}

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key."""
        numbers = self.key.public_key().public_numbers()
        x, y = (b64(n.to_bytes(self.size, "big")) for n in (numbers.x, numbers.y))
        names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp256k1": "secp256k1"}
        curve = names[self.key.curve.name]
        return {"kty": "EC", "crv": curve, "x": x, "y": y, "kid": self.kid, "use": "sig"}

    @property
    def jwks(self) -> dict[str, Any]:
        """The JWKS with this key alone."""
        return {"keys": [self.jwk]}

    def numbers(self, data: bytes) -> tuple[int, int]:
        """Return r and s."""
        return decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))

    def join(self, head: str, body: str, r: int | None = None, s: int | None = None) -> str:
        """Return a token with these parts; its signature is valid unless a number is given."""
        valid = self.numbers(f"{head}.{body}".encode())
        r, s = (given if given is not None else v for given, v in zip((r, s), valid, strict=True))
        return f"{head}.{body}.{b64(r.to_bytes(self.size, 'big') + s.to_bytes(self.size, 'big'))}"

    def token(self, claims: Any = None, header: Any = None, **more: Any) -> str:
        """Return a token; without arguments a good one."""
        head = compact(header if header is not None else {**self.header, **more})
        return self.join(b64(head), b64(compact(good() if claims is None else claims)))


def hmac_token(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """Return a token with an HMAC."""
    text = f"{b64(compact(header))}.{b64(compact(claims))}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def good(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token, with changes; None removes a claim."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "j1",
        "sid": "s1",
        "kernel_shared": False,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}
