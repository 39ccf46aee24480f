"""The gateways that the tests run, each on the Python of the environment that has it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from local_server import LocalServer
from servers import own_server

__all__ = ["GATEWAYS", "enterprise_python", "gateway", "missing"]

GATEWAYS = ("kernel_gateway", "enterprise_gateway")

#: ``make venv`` makes it beside the packages of the environment that runs the tests.
_ENTERPRISE = Path(sys.prefix) / "enterprise-gateway" / "bin" / "python"


def enterprise_python() -> Path:
    """Return the Python of Enterprise Gateway's environment, which may be missing."""
    return _ENTERPRISE


def missing(kind: str) -> str:
    """Return why a gateway cannot run here; empty if it can."""
    python = _python(kind)
    if not python.exists():
        return f"{kind}: there is no environment for it; make venv makes it"
    asked = subprocess.run(
        [str(python), "-c", f"import {kind}"], capture_output=True, text=True, check=False
    )
    return f"{kind}: {asked.stderr.strip()[-200:]}" if asked.returncode else ""


def gateway(kind: str, *options: str, **more: Any) -> AbstractContextManager[LocalServer]:
    """Run a gateway.

    Args:
        kind: One of :data:`GATEWAYS`.
        options: Of ``gateway_program``.
        more: Further options of ``own_server``.
    """
    command = (str(_python(kind)), "-m", "gateway_program", kind, *options)
    return own_server(command=command, extensions=(), **more)


def _python(kind: str) -> Path:
    return _ENTERPRISE if kind == "enterprise_gateway" else Path(sys.executable)
