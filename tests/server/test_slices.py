"""Which kernel websockets get large buffers without a copy."""

from __future__ import annotations

from types import MethodType
from typing import Any

from jupyter_server.gateway.connections import GatewayWebSocketConnection
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from jupyter_session_user.upstream.jupyter_server import reads_slices


class Own(ZMQChannelsWebsocketConnection):
    """A class that reads the frame itself."""

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Do nothing."""


def test_only_jupyter_servers_own_class_for_zmq():
    """Any other class, also one derived from it, gets the whole frame."""
    kinds = (ZMQChannelsWebsocketConnection, Own, GatewayWebSocketConnection)
    bound = [MethodType(kind.handle_incoming_message, object()) for kind in kinds]
    assert [reads_slices(method) for method in bound] == [True, False, False]
