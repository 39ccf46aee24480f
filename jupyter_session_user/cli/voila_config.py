"""Adds this package's keys to ``voila.json`` and removes them; other content is unchanged.

Voila has no directory for configuration snippets, so all packages share one file.
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

__all__ = ["KEYS", "disable", "effective", "enable", "path_for"]

_MODULE = "jupyter_session_user.server.voila"

#: Section, key, value.
KEYS = (
    ("Voila", "kernel_websocket_connection_class", f"{_MODULE}.SessionUserConnection"),
    ("VoilaConfiguration", "multi_kernel_manager_class", f"{_MODULE}.SessionUserKernelManager"),
)


def path_for(where: str | None) -> Path:
    """Return the file for ``sys-prefix`` or ``user``; for None, as Jupyter prefers."""
    where = where or ("sys-prefix" if prefer_environment_over_user() else "user")
    folder = ENV_CONFIG_PATH[0] if where == "sys-prefix" else jupyter_config_dir()
    return Path(folder) / "voila.json"


def enable(path: Path) -> bool:
    """Write our keys; return whether the file changed.

    Raises:
        ConfigurationError: The file is not a JSON object, or has other values for our keys.
    """
    config = _read(path)
    before = json.dumps(config)
    for section, key, value in KEYS:
        values = config.setdefault(section, {})
        if values.get(key, value) != value:
            raise ConfigurationError(
                f"{path} sets {section}.{key} to {values[key]!r} already, and only one "
                "class is possible. Remove it, or derive that class from ours: "
                f"{value}"
            )
        values[key] = value
    return _write(path, config) if json.dumps(config) != before else False


def disable(path: Path) -> bool:
    """Remove our keys; return whether the file changed.

    Raises:
        ConfigurationError: The file is not a JSON object.
    """
    config = _read(path)
    ours = [(s, k) for s, k, value in KEYS if config.get(s, {}).get(k) == value]
    for section, key in ours:
        del config[section][key]
        if not config[section]:
            del config[section]
    return _write(path, config) if ours else False


def effective() -> dict[tuple[str, str], Any]:
    """Return the values of our keys that standalone Voila, started here, would read.

    Raises:
        ConfigurationError: A file is not a JSON object.
    """
    merged: dict[str, Any] = {}
    for folder in reversed([str(Path.cwd()), *jupyter_config_path()]):
        for section, values in _read(Path(folder) / "voila.json").items():
            merged.setdefault(section, {}).update(values)
    return {(section, key): merged.get(section, {}).get(key) for section, key, _ in KEYS}


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
