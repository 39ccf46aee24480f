"""Finds out why JupyterLab and Notebook 7 would not load this package's extension."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jupyter_core.paths import ENV_JUPYTER_PATH, jupyter_path

from jupyter_session_user.errors import ConfigurationError

__all__ = ["trouble"]

NAME = "jupyter-session-user"


def trouble() -> str:
    """Return why the extension would not load, and the fix; empty if it would."""
    if not any(Path(folder, NAME, "package.json").is_file() for folder in _folders()):
        fix = f"run '{sys.executable} -m pip install --force-reinstall --no-deps {NAME}'"
        return f"the extension is not installed in this environment; {fix}"
    try:
        disabled = _disabled()
    except ConfigurationError as error:
        return str(error)
    # A name may be that of the whole extension, or of one of its plugins.
    ours = sorted(name for name in disabled if name.partition(":")[0] == NAME)
    if not ours:
        return ""
    commands = " and ".join(f"'jupyter labextension enable {name}'" for name in ours)
    return f"{' and '.join(ours)} is disabled, so a login that ends is not shown; run {commands}"


def _folders() -> list[str]:
    return jupyter_path("labextensions")


def _disabled() -> list[str]:
    """Return the names of disabled extensions and plugins.

    Raises:
        ConfigurationError: A file of JupyterLab's configuration cannot be read.
    """
    from jupyterlab_server.config import get_page_config  # noqa: PLC0415 - few need it

    app = os.environ.get("JUPYTERLAB_DIR") or Path(ENV_JUPYTER_PATH[0], "lab")
    try:
        page = get_page_config(_folders(), str(Path(app, "settings")))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigurationError(
            f"JupyterLab's page configuration cannot be read ({type(error).__name__}); run "
            "'jupyter labextension list', and fix the file that it names"
        ) from None
    found = page.get("disabledExtensions", [])
    return [str(name) for name in found if not isinstance(found, dict) or found[name]]
