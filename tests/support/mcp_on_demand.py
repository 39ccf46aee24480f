"""A server extension that starts jupyter-server-mcp's MCP server inside a user's request.

``GET api/on-demand`` writes the port at once, and is answered until ``DELETE api/on-demand``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from mcp_tools import obvious, run_cell, run_cell_in_task, who_is_obvious
from tornado import web

_over = asyncio.Event()


class OnDemandHandler(APIHandler):
    """An MCP server that one user's request starts."""

    @web.authenticated
    async def get(self) -> None:
        """Serve until the request is over."""
        from jupyter_server_mcp.mcp_server import MCPServer

        obvious.set(self.current_user.username)
        server = MCPServer(port=0, host="127.0.0.1")
        server.register_tools([run_cell, run_cell_in_task, who_is_obvious])
        serving = asyncio.create_task(server.start_server())
        await server.wait_until_bound(60)
        self.write(f"{server.port}\n")
        await self.flush()
        await _over.wait()
        await server.stop_server()
        await serving
        self.finish()

    @web.authenticated
    async def delete(self) -> None:
        """End the request."""
        _over.set()
        self.finish("{}")


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "mcp_on_demand"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    route = url_path_join(serverapp.web_app.settings["base_url"], "api/on-demand")
    serverapp.web_app.add_handlers(".*$", [(route, OnDemandHandler)])
