"""The text inside a value that Tornado has signed, without a check of the signature.

The value is ``2|1:0|10:<timestamp>|<length>:<name>|<length>:<base64 of the text>|<signature>``; a
length precedes each field.
https://www.tornadoweb.org/en/stable/web.html#tornado.web.create_signed_value
"""

from __future__ import annotations

import base64
import binascii
import re

__all__ = ["unverified_text"]

_VERSION = "2"
_MAX_DIGITS = 5
#: The text goes into a header: no space, and no end of a line (RFC 9110 section 5.5).
_TOKEN = re.compile(r"[\x21-\x7e]+")


def unverified_text(value: str, name: str) -> str | None:
    """Return the text of a signed cookie; None for a value of another form or name.

    Any client can make such a value. The text is only good for a caller that can check it: a token
    that its issuer knows.

    Args:
        value: The cookie's value.
        name: The cookie's name, which the value repeats.
    """
    version, _, rest = value.partition("|")
    fields: list[str] = []
    for _ in ("key version", "timestamp", "name", "text"):
        length, _, rest = rest.partition(":")
        if not (length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS):
            return None
        fields.append(rest[: int(length)])
        if rest[int(length) : int(length) + 1] != "|":
            return None
        rest = rest[int(length) + 1 :]
    if version != _VERSION or fields[2] != name:
        return None
    try:
        text = base64.b64decode(fields[3], validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return text if _TOKEN.fullmatch(text) else None
