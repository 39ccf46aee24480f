"""An extension that logs the connection class at its load and at its start."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "looks_at_load"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    _look("at load", serverapp)


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    _look("at start", serverapp)


def _look(when: str, serverapp: Any) -> None:
    cls = serverapp.web_app.settings["kernel_websocket_connection_class"]
    serverapp.log.warning("looked %s: %s", when, cls.__name__)
