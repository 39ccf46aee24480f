"""An extension that replaces the connection class in its start hook, after an await."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class ClassAfterAwait(ZMQChannelsWebsocketConnection):
    """Another package's connection class."""


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "late_class_after_await"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Do nothing yet."""


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    await asyncio.sleep(0)
    serverapp.web_app.settings["kernel_websocket_connection_class"] = ClassAfterAwait
