"""The findings of ``doctor``: which parts work, and the fix for each part that does not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from string import Template
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager
from packaging.version import Version

from jupyter_session_user.cli import lab, sessions, voila_config
from jupyter_session_user.errors import ConfigurationError, SessionUserError
from jupyter_session_user.upstream import trouble

__all__ = ["Finding", "examine"]

#: Oldest releases that work; the first also stands in pyproject.toml.
OLDEST = {
    "jupyter_server": (2, 16),
    "ipykernel": (6, 29),
    "jupyterlab": (4,),
    "voila": (0, 5),
    "panel": (1, 5),
}

#: What a server's process has, and what the package uses private names of.
_BESIDE_SERVER = (
    *("jupyter_server", "tornado", "jupyterhub"),
    *("jupyter_server_nbmodel", "jupyter_server_documents"),
)

KERNEL_TIMEOUT_S = 60

#: With it, a user's token at JupyterHub can ask for its own end.
_SCOPE = "read:tokens!user"

_PROBE = """
import json
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
found = {name: version(name) for name in ("ipykernel", "jupyter-session-user")}
try:
    from jupyter_session_user.upstream import trouble
    found["trouble"] = trouble("ipykernel", load=True)
except ImportError:  # an older helper
    pass
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        verdict: ``ok``, ``absent`` (not installed, nothing to do) or ``fix``.
        text: What was found; for ``fix`` it ends with the fix.
    """

    what: str
    verdict: str
    text: str

    def to_json(self) -> dict[str, str]:
        """Return the finding for a program."""
        return asdict(self)

    def line(self) -> str:
        """Return the finding as a line of text."""
        return f"{self.verdict.upper():6}  {self.what}: {self.text}"


def examine(wanted: str | None = None) -> list[Finding]:
    """Look at the server, every kernel, JupyterLab, Voila and Panel, and at the servers that run.

    Args:
        wanted: Address or port of the only running server to ask; None for all.

    Raises:
        SessionUserError: That server does not run.
    """
    try:
        servers = sessions.find(wanted)
    except SessionUserError:
        if wanted is not None:
            raise
        servers = []  # none runs
    kernels = sorted(KernelSpecManager().get_all_specs().items())
    return [
        _project("jupyter_server", _server_trouble, "the extension is enabled"),
        *(_kernel(f"kernel {name}", entry["spec"]) for name, entry in kernels),
        _project(
            "jupyterlab", lambda _version: lab.trouble(), "the chip and the notices are enabled"
        ),
        _project("voila", _voila_trouble, "standalone and as a server extension"),
        _project(
            "panel", lambda _version: _trouble("panel", "bokeh"), "in notebooks and as a preview"
        ),
        *_hub(),
        *(finding for server in servers for finding in _asked(server)),
    ]


def _project(name: str, find_trouble: Callable[[str], str], works: str) -> Finding:
    """Look at an installed project.

    Args:
        name: Its name.
        find_trouble: Gets its version; returns what to fix, or an empty string.
        works: Describes what works if there is nothing to fix.
    """
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "absent", "not installed")
    oldest = ".".join(map(str, OLDEST[name]))
    if Version(version).release < OLDEST[name]:
        fix = f"run 'pip install --upgrade \"{name}>={oldest}\"'"
        return Finding(name, "fix", f"{version} is too old; {fix}")
    wrong = find_trouble(version)
    return Finding(name, "fix", wrong) if wrong else Finding(name, "ok", f"{version}, {works}")


def _server_trouble(_version: str) -> str:
    manager = ExtensionConfigManager(read_config_path=jupyter_config_path())
    if not manager.enabled("jupyter_session_user"):
        fix = "run 'jupyter server extension enable jupyter_session_user'"
        return f"the extension is not enabled; {fix}"
    return _trouble(*_BESIDE_SERVER)


def _hub() -> Iterator[Finding]:
    """Look at the environment that JupyterHub gives to a user's server, and to its terminals."""
    if "JUPYTERHUB_API_URL" not in os.environ:
        return
    try:
        allowed = json.loads(os.environ.get("JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES") or "[]")
    except ValueError:
        allowed = []
    if _SCOPE in allowed:
        yield Finding("jupyterhub", "ok", "the Hub tells when each login ends")
        return
    text = (
        "the Hub tells when a login ends only at the login itself; if this server starts again "
        f'without the Hub, the end is an estimate. For an exact one, add "{_SCOPE}" to '
        "c.Spawner.oauth_client_allowed_scopes in jupyterhub_config.py"
    )
    yield Finding("jupyterhub", "ok", text)


def _asked(server: sessions.Server) -> Iterator[Finding]:
    what = f"server {server.url}"
    try:
        health = server.health()
    except SessionUserError as error:
        yield Finding(what, "fix", str(error))
        return
    failing = health["revalidation_failing"]
    if failing:
        text = f"open logins cannot be validated again ({failing}); look at the server's log"
        yield Finding(what, "fix", text)
    else:
        yield Finding(what, "ok", "open logins are validated again")
    # A server that runs an older release does not say it.
    for sender in health.get("senders_without_user", ()):
        messages = sender["messages"]
        yield Finding(
            f"{sender['package']} on {what}",
            "fix",
            f"has run code in kernels {messages} time{'' if messages == 1 else 's'} outside any "
            "user's request, so that get_current_user() raises IdentityUnavailable "
            "(unknown_at_server) there; upgrade it, or have it run that code inside the request "
            "of the user who asked for it",
        )
    for refused in health.get("refused_by_gateway", ()):
        yield Finding(
            f"gateway of {what}",
            "fix",
            _refused_by_gateway(refused["username"], refused["kernels"]),
        )


def _refused_by_gateway(username: str | None, kernels: int) -> str:
    """Return why Enterprise Gateway started no kernel, and the fix."""
    who = (
        f"KERNEL_USERNAME was {username!r} (the verified user who asked for the kernel; if there "
        "was none, the value in the server's own environment)"
        if username is not None
        else "KERNEL_USERNAME was not set, since no verified user asked for the kernel, so that "
        "the gateway took the account that it runs as"
    )
    return (
        f"refused to start a kernel {kernels} time{'' if kernels == 1 else 's'} (403): {who}; the "
        "gateway's own lists decide (unauthorized_users, which has 'root' by default, and "
        "authorized_users); log in under another name, or change these lists in the gateway's "
        "configuration (c.EnterpriseGatewayApp.unauthorized_users)"
    )


def _kernel(what: str, spec: dict[str, Any]) -> Finding:
    if spec.get("language", "").lower() != "python":
        return Finding(what, "absent", f"{spec.get('language')}: the package is for Python kernels")
    if not spec.get("argv"):
        return Finding(what, "fix", "its argv is empty; fix or remove the kernelspec")
    # Jupyter starts a bare ``python`` as the one that runs the server.
    command: str = spec["argv"][0]
    python = sys.executable if re.fullmatch(r"python[\d.]*", command) else command
    try:
        # jupyter_client fills ``${NAME}`` in, too.
        extra = {
            k: Template(v).safe_substitute(os.environ) for k, v in (spec.get("env") or {}).items()
        }
        run = subprocess.run(  # noqa: S603 - what Jupyter itself would start
            [python, "-c", _PROBE],
            capture_output=True,
            timeout=KERNEL_TIMEOUT_S,
            check=True,
            env={**os.environ, **extra},
        )
        versions = json.loads(run.stdout.splitlines()[-1])
        return _kernel_versions(what, python, versions)
    except (OSError, LookupError, TypeError, ValueError, subprocess.SubprocessError) as error:
        text = f"{python} does not run Python code ({type(error).__name__})"
        return Finding(what, "fix", f"{text}; fix or remove the kernelspec")


def _kernel_versions(what: str, python: str, versions: dict[str, str | None]) -> Finding:
    if versions["jupyter-session-user"] is None:
        fix = f"run '{python} -m pip install jupyter-session-user'"
        return Finding(what, "fix", f"the package is not installed there; {fix}")
    ipykernel = versions["ipykernel"] or "0"
    if Version(ipykernel).release < OLDEST["ipykernel"]:
        fix = f"run '{python} -m pip install --upgrade ipykernel'"
        return Finding(what, "fix", f"ipykernel {ipykernel} is too old; {fix}")
    if versions.get("trouble"):
        return Finding(what, "fix", str(versions["trouble"]))
    return Finding(what, "ok", f"ipykernel {ipykernel}")


def _voila_trouble(version: str) -> str:
    """Return the problem of standalone Voila and its fix; empty if it works."""
    alone = f"{version}: works as a server extension; "
    try:
        value, source = voila_config.in_effect()
    except (ConfigurationError, OSError) as error:
        return f"{alone}standalone 'voila' may not start; {error}"
    if value == voila_config.MANAGER:
        return ""
    if value in {None, voila_config.DEFAULT}:
        return f"{alone}standalone 'voila' is not enabled; run 'jupyter session-user enable voila'"
    return (
        f"{alone}{source} sets another kernel manager ({value}), so standalone 'voila' is not "
        f"enabled; remove it, or derive that class from {voila_config.MANAGER}"
    )


def _trouble(*projects: str) -> str:
    """Return which private names the installed releases of these projects lack, and the fix."""
    installed = (project for project in projects if find_spec(project) is not None)
    return " ".join(filter(None, (trouble(project, load=True) for project in installed)))
