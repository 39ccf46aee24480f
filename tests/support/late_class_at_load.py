"""An extension that replaces the connection class when it loads, after ours by its name."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class ClassFromLoad(ZMQChannelsWebsocketConnection):
    """Somebody else's connection class."""


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "late_class_at_load"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.web_app.settings["kernel_websocket_connection_class"] = ClassFromLoad
