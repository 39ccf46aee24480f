"""The audit file of a test's servers, and what is wrong with its chain."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from local_server import LocalServer
from servers import DEMO, own_server

from jupyter_session_user.core.audit_chain import Finding, findings
from jupyter_session_user.store.audit_file import parts_of, read_lines

__all__ = ["Audit"]


class Audit:
    """The audit file of the test's servers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def server(self, *arguments: str, **options: Any) -> AbstractContextManager[LocalServer]:
        """Run a server that writes it."""
        return own_server(
            *DEMO, f"--JupyterSessionUser.audit_file={self.path}", *arguments, **options
        )

    def records(self, kind: str | None = "execution") -> list[dict[str, Any]]:
        """Return the records of one kind, or all, oldest first."""
        lines = map(json.loads, read_lines(parts_of(self.path)))
        return [line for line in lines if kind in {None, line["kind"]}]

    def problems(self) -> list[Finding]:
        """Return what is wrong with the chain."""
        lines = read_lines(parts_of(self.path))
        return [found for found in findings(lines) if isinstance(found, Finding)]
