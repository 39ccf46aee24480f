"""An extension that replaces the connection class at its load, which is after ours."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class ClassFromLoad(ZMQChannelsWebsocketConnection):
    """Another package's connection class."""


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "late_class_at_load"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.web_app.settings["kernel_websocket_connection_class"] = ClassFromLoad
