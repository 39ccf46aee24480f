"""What works here, and how to mend the rest: the findings of ``doctor``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from string import Template
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager

from jupyter_session_user.cli import voila_config
from jupyter_session_user.errors import ConfigurationError

__all__ = ["Finding", "examine"]

#: Oldest releases that work; the first also stands in pyproject.toml.
OLDEST = {"jupyter_server": (2, 16), "ipykernel": (6, 29), "voila": (0, 5), "panel": (1, 5)}

KERNEL_TIMEOUT_S = 60

_PROBE = """
import json
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
print(json.dumps({name: version(name) for name in ("ipykernel", "jupyter-session-user")}))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        verdict: ``ok``, ``absent`` (not installed, nothing to do) or ``mend``.
        text: What was found; for ``mend`` it ends with what to do.
    """

    what: str
    verdict: str
    text: str

    def to_json(self) -> dict[str, str]:
        """Return the finding for a program."""
        return asdict(self)

    def line(self) -> str:
        """Return the finding for a person."""
        return f"{self.verdict.upper():6}  {self.what}: {self.text}"


def examine() -> list[Finding]:
    """Look at the server, every kernel, Voila and Panel."""
    return [_server(), *_kernels(), _voila(), _panel()]


def _server() -> Finding:
    found = _host("jupyter_server")
    if found.verdict != "ok":
        return found
    enabled = ExtensionConfigManager(read_config_path=jupyter_config_path()).enabled(
        "jupyter_session_user"
    )
    if not enabled:
        fix = "run 'jupyter server extension enable jupyter_session_user'"
        return Finding("jupyter_server", "mend", f"the extension is not enabled; {fix}")
    return Finding("jupyter_server", "ok", f"{found.text}, the extension is enabled")


def _kernels() -> Iterator[Finding]:
    for name, entry in sorted(KernelSpecManager().get_all_specs().items()):
        yield _kernel(f"kernel {name}", entry["spec"])


def _kernel(what: str, spec: dict[str, Any]) -> Finding:
    if spec.get("language", "").lower() != "python":
        return Finding(what, "absent", f"{spec.get('language')}: the helper is for Python")
    if not spec.get("argv"):
        return Finding(what, "mend", "its argv is empty; mend or remove the kernelspec")
    python = _executable(spec["argv"][0])
    try:
        run = subprocess.run(  # noqa: S603 - what Jupyter itself would start
            [python, "-c", _PROBE],
            capture_output=True,
            timeout=KERNEL_TIMEOUT_S,
            check=True,
            env=_environment(spec.get("env") or {}),
        )
        versions = json.loads(run.stdout.splitlines()[-1])
        return _kernel_versions(what, python, versions)
    except (OSError, LookupError, TypeError, ValueError, subprocess.SubprocessError) as error:
        text = f"{python} does not run Python code ({type(error).__name__})"
        return Finding(what, "mend", f"{text}; mend or remove the kernelspec")


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """Return the kernel's environment; jupyter_client fills ``${NAME}`` in, too."""
    filled = {k: Template(v).safe_substitute(os.environ) for k, v in extra.items()}
    return {**os.environ, **filled}


def _executable(command: str) -> str:
    """Return what Jupyter starts: a bare ``python`` is the one that runs the server."""
    return sys.executable if re.fullmatch(r"python[\d.]*", command) else command


def _kernel_versions(what: str, python: str, versions: dict[str, str | None]) -> Finding:
    if versions["jupyter-session-user"] is None:
        fix = f"run '{python} -m pip install jupyter-session-user'"
        return Finding(what, "mend", f"the helper is not installed there; {fix}")
    ipykernel = versions["ipykernel"] or "0"
    if _numbers(ipykernel) < OLDEST["ipykernel"]:
        fix = f"run '{python} -m pip install --upgrade ipykernel'"
        return Finding(what, "mend", f"ipykernel {ipykernel} is too old; {fix}")
    return Finding(what, "ok", f"ipykernel {ipykernel}")


def _voila() -> Finding:
    found = _host("voila")
    if found.verdict != "ok":
        return found
    wrong = _voila_trouble()
    if wrong:
        return Finding("voila", "mend", f"{found.text}: works as a server extension; {wrong}")
    return Finding("voila", "ok", f"{found.text}, standalone and as a server extension")


def _voila_trouble() -> str:
    """Return what keeps standalone Voila from working, with what to do; empty if nothing."""
    try:
        values = voila_config.effective()
    except (ConfigurationError, OSError) as error:
        return f"standalone 'voila' may not start; {error}"
    ours = {(section, key): value for section, key, value in voila_config.KEYS}
    for (section, key), value in values.items():
        if value not in (None, ours[section, key]):
            return (
                f"a voila.json sets {section}.{key} to {value!r}, so that standalone 'voila' "
                f"is not enabled; take it out, or derive that class from {ours[section, key]}"
            )
    if values != ours:
        return "standalone 'voila' is not enabled; run 'jupyter session-user enable voila'"
    return ""


def _panel() -> Finding:
    found = _host("panel")
    if found.verdict != "ok":
        return found
    return Finding("panel", "ok", f"{found.text}, in notebooks and as a preview")


def _host(name: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "absent", "not installed")
    oldest = ".".join(map(str, OLDEST[name]))
    if _numbers(version) < OLDEST[name]:
        fix = f"run 'pip install --upgrade \"{name}>={oldest}\"'"
        return Finding(name, "mend", f"{version} is too old; {fix}")
    return Finding(name, "ok", version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
