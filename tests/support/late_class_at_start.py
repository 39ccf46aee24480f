"""An extension that replaces the connection class in its start hook."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class ClassFromStart(ZMQChannelsWebsocketConnection):
    """Another package's connection class."""


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "late_class_at_start"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Do nothing yet."""


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.web_app.settings["kernel_websocket_connection_class"] = ClassFromStart
