"""The settings on the pages of identity providers, for a server on this machine."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

__all__ = ["on_this_machine"]

_ISSUER = "https://login.example.org/realms/research"


def on_this_machine(block: str, folder: Path, client_secret: str, issuer: str = "") -> str:
    """Return a block of a page with this machine's files, and with the address of a provider.

    Args:
        block: The block.
        folder: Where the files shall be.
        client_secret: The client's secret.
        issuer: The provider; empty to keep the page's.
    """
    files = {"client-secret": client_secret}
    files["login-token-key"] = base64.b64encode(secrets.token_bytes(32)).decode()
    for name, text in files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        block = block.replace(f"/etc/jupyter/{name}", str(path))
    return block.replace(_ISSUER, issuer) if issuer else block
