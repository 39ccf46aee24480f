"""Encrypts the tokens of logins: AES-GCM (NIST SP 800-38D), each value bound to its login."""

from __future__ import annotations

import base64
import binascii
import contextlib
import secrets
from collections.abc import Sequence
from pathlib import Path

from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.private_file import read_private

__all__ = ["Sealer", "keys_in", "need_cryptography"]

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FIX = "write one made by: openssl rand -base64 32"


class Sealer:
    """Encrypts and decrypts.

    Args:
        keys: Keys of 32 bytes: the first encrypts, all decrypt. None for a key of this process.
    """

    def __init__(self, keys: Sequence[bytes] | None = None) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - optional

        self._ciphers = [AESGCM(key) for key in keys or [secrets.token_bytes(_KEY_BYTES)]]

    def seal(self, text: str, about: str) -> bytes:
        """Return an encrypted text.

        Args:
            text: The text.
            about: Names what it belongs to (the associated data): only ``open`` with the same name
                returns it.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, text.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str | None:
        """Return the text; None if no key fits, if it was changed, or if it is about another."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - optional

        nonce, data = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in self._ciphers:
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, data, about.encode()).decode()
        return None


def keys_in(path: Path) -> list[bytes]:
    """Return the keys of a file.

    Raises:
        ConfigurationError: It cannot be read, others can read it, or it has no such keys.
    """
    setting = "login_token_key_file"
    lines = read_private(setting, path).reveal().split()
    try:
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except binascii.Error:
        keys = []
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise ConfigurationError(
            f"{setting}: {str(path)!r} has a line that is no key of {_KEY_BYTES} bytes as base64; "
            f"{_FIX}"
        )
    return keys


def need_cryptography() -> None:
    """Raise an error with the fix if the library that encrypts is missing.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import cryptography  # noqa: F401, PLC0415 - optional
    except ImportError:
        raise ConfigurationError(
            "token_exchange needs cryptography; run: pip install 'jupyter-session-user[tokens]'"
        ) from None
