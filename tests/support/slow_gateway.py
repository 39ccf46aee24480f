"""Runs a real Jupyter Kernel Gateway that is slow to accept websockets.

``python -m slow_gateway --ServerApp.port=<n> …``: takes the command line of the tests' servers
and leaves all but the port aside.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from kernel_gateway.gatewayapp import KernelGatewayApp
from tornado.websocket import WebSocketHandler

_get = WebSocketHandler.get


async def _slow_get(self: Any, *args: Any, **kwargs: Any) -> None:
    """Accept a websocket after its client had time to send: then it is still connecting."""
    await asyncio.sleep(0.5)
    await _get(self, *args, **kwargs)


if __name__ == "__main__":
    WebSocketHandler.get = _slow_get
    port = next(a.split("=")[1] for a in sys.argv if a.startswith("--ServerApp.port="))
    options = [f"--KernelGatewayApp.port={port}", "--KernelGatewayApp.ip=127.0.0.1"]
    KernelGatewayApp.launch_instance([*options, "--JupyterWebsocketPersonality.list_kernels=True"])
