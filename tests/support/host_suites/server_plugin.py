"""A pytest plugin that loads this package into each Jupyter server of a test suite."""

from __future__ import annotations

from jupyter_server.serverapp import ServerApp

_find = ServerApp.find_server_extensions


def _find_ours_too(self: ServerApp) -> None:
    _find(self)
    self.jpserver_extensions = {**self.jpserver_extensions, "jupyter_session_user": True}


ServerApp.find_server_extensions = _find_ours_too
