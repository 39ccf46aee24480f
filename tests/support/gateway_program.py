"""Runs a real gateway: ``python -m gateway_program kernel_gateway --ServerApp.port=<n> …``.

Takes the command line of the tests' servers, and leaves all but the port and ``--slow`` aside.
With ``--slow``, the gateway accepts a websocket only after its client had time to send: then the
client is still connecting. Enterprise Gateway runs on the Python of its own environment, so this
file imports only what both environments have.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

from tornado.websocket import WebSocketHandler

#: By module: the module and the name of the application, and its own options.
GATEWAYS = {
    "kernel_gateway": (
        "kernel_gateway.gatewayapp",
        "KernelGatewayApp",
        "--JupyterWebsocketPersonality.list_kernels=True",
    ),
    "enterprise_gateway": (
        "enterprise_gateway.enterprisegatewayapp",
        "EnterpriseGatewayApp",
        "--EnterpriseGatewayApp.list_kernels=True",
    ),
}

_get = WebSocketHandler.get


async def _slow_get(self: Any, *args: Any, **kwargs: Any) -> None:
    await asyncio.sleep(0.5)
    await _get(self, *args, **kwargs)


if __name__ == "__main__":
    module, name, option = GATEWAYS[sys.argv[1]]
    if "--slow" in sys.argv:
        WebSocketHandler.get = _slow_get
    port = next(a.split("=")[1] for a in sys.argv if a.startswith("--ServerApp.port="))
    options = [f"--{name}.port={port}", f"--{name}.ip=127.0.0.1", option]
    getattr(import_module(module), name).launch_instance(options)
