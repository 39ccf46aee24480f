"""Finds and removes the files that ``pip uninstall`` leaves, since pip did not write them."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path

from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

from jupyter_session_user.cli import voila_config

__all__ = ["leftovers", "remove"]

_LAB_PLUGINS = ("jupyter-session-user", "jupyter-session-user-voila")


def leftovers() -> list[tuple[Path, str]]:
    """Return the files and folders that this package's programs wrote, each with what it is.

    A list of ended logins that ``store_url`` puts elsewhere is not known here.

    Raises:
        ConfigurationError: A ``voila.json`` is not a JSON object.
    """
    settings = Path(os.environ.get("JUPYTERLAB_SETTINGS_DIR") or _lab_settings())
    found = [
        (
            Path(jupyter_data_dir()) / "session-user",
            "the list of ended logins, and keys that sign tokens",
        ),
        *(
            (path, "the address of a server that has ended")
            for path in sorted(Path(jupyter_runtime_dir()).glob("session-user-*.json"))
        ),
        *((settings / name, "settings in JupyterLab") for name in _LAB_PLUGINS),
        *(
            (path.with_name("voila.py"), "written by 'enable voila'")
            for path in voila_config.places()
            if voila_config.wrote_script(path) and not _is_of_wheel(path.with_name("voila.py"))
        ),
    ]
    off = [(p, "a key of 'disable voila'") for p in voila_config.places() if voila_config.is_off(p)]
    return [*((path, what) for path, what in found if path.exists()), *off]


def remove(path: Path) -> None:
    """Remove a file or folder that :func:`leftovers` has found; in ``voila.json`` one key.

    Raises:
        OSError: It cannot be removed.
    """
    if path in voila_config.places():
        voila_config.remove(path)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _lab_settings() -> Path:
    return Path(jupyter_config_dir()) / "lab" / "user-settings"


def _is_of_wheel(path: Path) -> bool:
    """Tell whether pip will remove the file itself."""
    try:
        files = metadata.files("jupyter-session-user") or []
    except metadata.PackageNotFoundError:
        return False
    return any(Path(str(file.locate())).resolve() == path.resolve() for file in files)
