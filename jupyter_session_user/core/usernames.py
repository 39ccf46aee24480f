"""Checks account names that come only from a cookie or a header."""

from __future__ import annotations

import unicodedata
from typing import TypeGuard

__all__ = ["is_plain", "is_username"]

_MAX_USERNAME = 256  # characters; no account name is longer

#: Controls, lone surrogates, line and paragraph separators (UAX 44, General_Category).
_NOT_PLAIN = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: Characters that change the text direction, so that a name can look like another (UAX 9, 2.7).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_plain(text: str) -> bool:
    """Tell whether a text has no control characters and none that change its direction."""
    if text.isascii():
        return text.isprintable()
    return not any(c in _BIDI or unicodedata.category(c) in _NOT_PLAIN for c in text)


def is_username(value: object) -> TypeGuard[str]:
    """Tell whether this can be an account name: plain text of 1 to 256 characters."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_USERNAME and is_plain(value)
