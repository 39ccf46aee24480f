"""Reads secrets from files that only their owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import ConfigurationError

__all__ = ["read_private"]


def read_private(setting: str, path: Path) -> Secret:
    """Return the text of a file, without white space at its ends.

    Args:
        setting: The setting that names the file, for the errors.
        path: The file.

    Raises:
        ConfigurationError: It cannot be read, is empty, or other accounts can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().decode().strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{setting}: {str(path)!r} cannot be read ({type(error).__name__}); see that it is "
            "there, and that the server's account may read it"
        ) from None
    if os.name != "nt" and mode & 0o077:  # Windows has no such modes
        raise ConfigurationError(
            f"{setting}: {str(path)!r} has the mode {stat.S_IMODE(mode):04o}, and other accounts "
            f"may read it; run 'chmod 600 {path}'"
        )
    if not text:
        raise ConfigurationError(f"{setting}: {str(path)!r} is empty; write the secret into it")
    return Secret(text)
