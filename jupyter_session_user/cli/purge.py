"""Finds and removes the files that ``pip uninstall`` leaves, since pip did not write them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from importlib import metadata
from pathlib import Path

from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

from jupyter_session_user.cli import voila_config
from jupyter_session_user.server.auth.identity_tokens import key_path

__all__ = ["is_in_use", "leftovers", "remove"]

_FOLDER, _LIST, _TOKENS = "session-user", "ended.sqlite3", "login-tokens.sqlite3"

_LAB_PLUGINS = ("jupyter-session-user", "jupyter-session-user-voila")


def leftovers() -> list[tuple[Path, str]]:
    """Return the files and folders that this package's programs wrote, each with what it is.

    A list of ended logins that ``store_url`` puts elsewhere is not known here.

    Raises:
        ConfigurationError: A ``voila.json`` is not a JSON object.
    """
    settings = Path(os.environ.get("JUPYTERLAB_SETTINGS_DIR") or _lab_settings())
    found = [
        *((path, "the list of ended logins") for path in sorted(_folder().glob(f"{_LIST}*"))),
        (key_path(""), "the keys that sign identity tokens"),
        *((path, "encrypted tokens of logins") for path in sorted(_folder().glob(f"{_TOKENS}*"))),
        (_folder(), "the folder of those files"),
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
    keys = [
        (path, "the key with the kernel manager")
        for path in voila_config.places()
        if voila_config.is_off(path) or voila_config.is_named(path)
    ]
    return [*((path, what) for path, what in found if os.path.lexists(path)), *keys]


def is_in_use() -> bool:
    """Tell whether a program has the list of ended logins open; standalone Voila writes no address.

    The last program that closes a database removes its WAL file (https://www.sqlite.org/wal.html),
    also that of a program that was killed.
    """
    path = _folder() / _LIST
    if not path.is_file():
        return False
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return path.with_name(f"{_LIST}-wal").exists()


def remove(path: Path) -> None:
    """Remove a file or folder that :func:`leftovers` has found; in ``voila.json`` one key.

    A link is removed, and what it points to stays. So does a folder with other files.

    Raises:
        OSError: It cannot be removed.
    """
    if path in voila_config.places():
        voila_config.remove(path)
    elif path.is_symlink() or not path.is_dir():
        path.unlink()
    elif path == _folder():
        with contextlib.suppress(OSError):  # other files are in it
            path.rmdir()
    else:
        shutil.rmtree(path)


def _folder() -> Path:
    return Path(jupyter_data_dir()) / _FOLDER


def _lab_settings() -> Path:
    return Path(jupyter_config_dir()) / "lab" / "user-settings"


def _is_of_wheel(path: Path) -> bool:
    """Tell whether pip will remove the file itself."""
    try:
        files = metadata.files("jupyter-session-user") or []
    except metadata.PackageNotFoundError:
        return False
    return any(Path(str(file.locate())).resolve() == path.resolve() for file in files)
