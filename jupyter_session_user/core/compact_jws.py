"""The parts of a JWS in compact form (RFC 7515, section 7.1), read strictly.

Two readers of one token must see the same: so each part has one spelling, and each member of a JSON
object one value. What cannot be read is None and no exception, whose context would keep the token.
This file knows neither keys nor claims.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from typing import Any, NamedTuple, NoReturn

__all__ = ["Parts", "json_object", "split"]

_PART = re.compile(r"[A-Za-z0-9_-]+")


class Parts(NamedTuple):
    """The decoded parts of a JWS."""

    header: bytes
    payload: bytes
    signature: bytes


def split(token: str) -> Parts | None:
    """Return the three parts of a token; None if one is missing, empty or no base64url."""
    parts = [data for part in token.split(".") if (data := _decoded(part))]
    return Parts(*parts) if len(parts) == token.count(".") + 1 == 3 else None  # noqa: PLR2004


def json_object(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a part; None if it is none in UTF-8.

    A member that occurs twice is refused: others may read the other value (RFC 7519, section 4).
    """
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
        if isinstance(value, dict):
            return value
    return None


def _decoded(part: str) -> bytes:
    """Return the bytes of a part, each in one spelling only (RFC 4648, sections 3.5 and 5)."""
    if _PART.fullmatch(part):
        with contextlib.suppress(binascii.Error):
            data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
            if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == part:
                return data
    return b""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON
