"""Switches the package off and on for standalone Voila, in ``voila.json``; other content stays.

The wheel installs ``etc/jupyter/voila.py``, which does all that Voila needs. So ``disable`` writes
one key into ``voila.json``, which counts more: the class that Voila uses by default. No file gets
the name of a class of ours, since Voila would not start once the package is uninstalled.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from jupyter_core.paths import (
    ENV_CONFIG_PATH,
    jupyter_config_dir,
    jupyter_config_path,
    prefer_environment_over_user,
)

from jupyter_session_user.errors import ConfigurationError

__all__ = [
    "DEFAULT",
    "MANAGER",
    "disable",
    "enable",
    "in_effect",
    "is_named",
    "is_off",
    "path_for",
    "places",
    "remove",
    "wrote_script",
]

MANAGER = "jupyter_session_user.server.voila.SessionUserKernelManager"
#: Voila's own default.
DEFAULT = "jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager"

_SECTION, _KEY = "VoilaConfiguration", "multi_kernel_manager_class"
_NAME = "voila.json"
_SCRIPT = Path(__file__).parents[1] / "_data" / "jupyter-config" / "voila.py.txt"
#: Stands in each ``voila.py`` that uses this package.
_OURS = "jupyter_session_user.server.voila"


def path_for(where: str | None) -> Path:
    """Return the file for ``sys-prefix`` or ``user``; for None, as Jupyter prefers."""
    where = where or ("sys-prefix" if prefer_environment_over_user() else "user")
    folder = ENV_CONFIG_PATH[0] if where == "sys-prefix" else jupyter_config_dir()
    return Path(folder) / _NAME


def places() -> list[Path]:
    """Return all files that ``enable`` and ``disable`` can write."""
    return [path_for("sys-prefix"), path_for("user")]


def enable(path: Path) -> bool:
    """Remove the key that ``disable`` wrote; return whether a file changed.

    If the wheel's ``voila.py`` is not where Voila looks, it is written beside ``path``.

    Raises:
        ConfigurationError: A file cannot be read, or prevents it.
    """
    changed = remove(path)
    value, source = in_effect()
    if value is None:
        return _write_script(path.with_name("voila.py"))
    if value == MANAGER:
        return changed
    if value == DEFAULT:
        options = (f"--{where}" for where in ("user", "sys-prefix") if path_for(where) == source)
        command = "".join(f"run 'jupyter session-user enable voila {o}', or " for o in options)
        raise ConfigurationError(
            f"{source} switches it off as well; {command}remove {_SECTION}.{_KEY} from that file"
        )
    raise ConfigurationError(_other_class(source, value))


def disable(path: Path) -> bool:
    """Write the key that switches the package off; return whether the file changed.

    A class of ours in the file is replaced: Voila would not start after an uninstall.

    Raises:
        ConfigurationError: The file is not a JSON object.
    """
    config = _read(path)
    values = config.setdefault(_SECTION, {})
    if values.get(_KEY) not in {None, MANAGER}:
        return False  # it is off, or another class is used
    values[_KEY] = DEFAULT
    return _write(path, config)


def remove(path: Path) -> bool:
    """Remove the key with which :func:`disable` or we set a class; return whether it was there.

    Raises:
        ConfigurationError: The file is not a JSON object.
    """
    if not is_off(path) and not is_named(path):
        return False
    config = _read(path)
    del config[_SECTION][_KEY]
    if not config[_SECTION]:
        del config[_SECTION]
    return _write(path, config)


def is_off(path: Path) -> bool:
    """Tell whether :func:`disable` has written its key into this file.

    Raises:
        ConfigurationError: The file is not a JSON object.
    """
    return bool(_read(path).get(_SECTION, {}).get(_KEY) == DEFAULT)


def is_named(path: Path) -> bool:
    """Tell whether this file names our class, which an uninstall takes away.

    Raises:
        ConfigurationError: The file is not a JSON object.
    """
    return bool(_read(path).get(_SECTION, {}).get(_KEY) == MANAGER)


def wrote_script(path: Path) -> bool:
    """Tell whether the ``voila.py`` beside this file is the one that the package writes."""
    script = path.with_name("voila.py")
    return script.is_file() and script.read_bytes() == _SCRIPT.read_bytes()


def in_effect() -> tuple[str | None, Path | None]:
    """Return the kernel manager of a Voila that is started here, and the file that names it.

    A ``voila.py`` is not run: it counts as ours if it names our module.

    Raises:
        ConfigurationError: A ``voila.json`` is not a JSON object.
    """
    folders = [Path.cwd(), *map(Path, jupyter_config_path())]
    for path in (folder / _NAME for folder in folders):
        value = _read(path).get(_SECTION, {}).get(_KEY)
        if value is not None:
            return str(value), path
    for path in (folder / "voila.py" for folder in folders):
        if _is_ours(path):
            return MANAGER, path
    return None, None


def _other_class(source: Path | None, value: str) -> str:
    return (
        f"{source} sets {_SECTION}.{_KEY} to {value!r}, and only one class is possible. Remove it, "
        f"or derive that class from ours: {MANAGER}"
    )


def _is_ours(path: Path) -> bool:
    try:
        return _OURS in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _write_script(path: Path) -> bool:
    """Write ``voila.py``; return True.

    Raises:
        ConfigurationError: There is another ``voila.py``.
    """
    if path.exists():
        raise ConfigurationError(
            f"{path} is there already, and is not changed. Add the lines of {_SCRIPT} to it, or "
            "move its settings to voila.json, remove it, and run this command again"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_SCRIPT, path)
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON ({error}); fix the file first") from None
    if not isinstance(config, dict) or not all(isinstance(v, dict) for v in config.values()):
        raise ConfigurationError(f"{path} is not an object of sections; fix the file first")
    return config


def _write(path: Path, config: dict[str, Any]) -> bool:
    """Write the file atomically; remove it if it would be empty."""
    if not config:
        path.unlink()
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.resolve()  # a link stays a link
    scratch = path.with_suffix(".json.new")
    scratch.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if path.exists():
        shutil.copymode(path, scratch)
    scratch.replace(path)
    return True
