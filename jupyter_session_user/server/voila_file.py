"""What ``etc/jupyter/voila.py`` calls, which the wheel installs: standalone Voila needs no setup.

Voila reads that file at its start, on each way to start it, and has no directory for snippets of
configuration. The file is Python and not JSON, since JSON can only name a class: Voila would end
where that class cannot be imported.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_path

from jupyter_session_user.errors import SessionUserError
from jupyter_session_user.server import check_version

__all__ = ["add_to"]

_log = logging.getLogger("jupyter_session_user")


def add_to(config: Any) -> None:
    """Have standalone Voila use our kernel manager; change nothing where it cannot work.

    A ``voila.json`` in any of Jupyter's directories takes precedence, and so does the command line.

    Args:
        config: The configuration of the file that is being read.
    """
    if _is_set_elsewhere():
        return
    try:
        check_version()
        # Only now: an older Jupyter Server has other modules.
        from jupyter_session_user.server.voila import SessionUserKernelManager  # noqa: PLC0415
    except (ImportError, SessionUserError) as error:
        _log.warning(
            "Voila runs without jupyter-session-user, and its pages have no user: %s", error
        )
        return
    config.VoilaConfiguration.multi_kernel_manager_class = SessionUserKernelManager


def _is_set_elsewhere() -> bool:
    """Tell whether another file names a kernel manager.

    Inside a virtual environment, this package's file would count more than the user's.
    """
    folders = (Path.cwd(), *map(Path, jupyter_config_path()))
    return any(_names_manager(folder) or _sets_manager(folder) for folder in folders)


def _sets_manager(folder: Path) -> bool:
    """Tell whether a ``voila.py`` sets it without this package; the file is not run."""
    try:
        text = (folder / "voila.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return "multi_kernel_manager_class" in text and "jupyter_session_user" not in text


def _names_manager(folder: Path) -> bool:
    try:
        settings = json.loads((folder / "voila.json").read_text(encoding="utf-8"))
        return bool(settings["VoilaConfiguration"]["multi_kernel_manager_class"])
    except (OSError, ValueError, LookupError, TypeError):
        return False  # not there, without that key, or for Voila itself to complain about
