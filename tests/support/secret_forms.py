"""Where a secret stands in a text: as it is, or in a form in which texts often carry others."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

__all__ = ["forms", "holds"]

#: How many characters of base64 depend on what stands 0, 1 or 2 bytes before the secret.
_BEFORE = (0, 2, 3)


def forms(secret: bytes) -> frozenset[bytes]:
    """Return the secret, and its forms in URLs, JSON, hex, UTF-16 and base64 (RFC 4648).

    Base64 has three forms for the three places at which a secret may begin in a longer text.
    """
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift, skipped in enumerate(_BEFORE):
        whole = (shift + len(secret)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"\0" * shift + secret)[skipped:whole])
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return frozenset(found)
    found |= {quote(text, safe="").encode(), quote_plus(text).encode(), text.encode("utf-16-le")}
    return frozenset(found | {json.dumps(text)[1:-1].encode()})


def holds(data: bytes, secret: bytes) -> bool:
    """Tell whether the data has the secret in one of its forms."""
    return any(form in data for form in forms(secret))
