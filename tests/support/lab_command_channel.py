"""A server extension with the event of jupyterlab-commands-toolkit, and a page that listens.

``POST api/tell-pages`` emits a command as a tool does that an agent calls; with ``later``, after
the request has been answered.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from jupyter_session_user.server.auth.origin import in_no_request
from jupyter_session_user.server.web.lab_commands import LAB_COMMAND_SCHEMA_ID

SCHEMA = {
    "$id": LAB_COMMAND_SCHEMA_ID,
    "version": "1",
    "title": "A JupyterLab Command to Execute",
    "personal-data": True,
    "description": "A JupyterLab Command to execute",
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "client_id": {"type": "string"}},
}
_tasks: set[asyncio.Task[None]] = set()


class TellHandler(APIHandler):
    """A tool of an agent."""

    @web.authenticated
    async def post(self) -> None:
        """Emit the command in the body."""
        body = self.get_json_body() or {}
        later = body.pop("later", False)
        emit = self.event_logger.emit

        async def after() -> None:
            await asyncio.sleep(0.3)
            in_no_request(emit, schema_id=LAB_COMMAND_SCHEMA_ID, data=body)

        if later:
            _tasks.add(asyncio.create_task(after()))
        else:
            emit(schema_id=LAB_COMMAND_SCHEMA_ID, data=body)
        self.finish("{}")


async def _heard(logger: Any, schema_id: str, data: dict[str, Any]) -> None:
    """Listen as a page does."""


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "lab_command_channel"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.event_logger.register_event_schema(SCHEMA)
    serverapp.event_logger.add_listener(schema_id=LAB_COMMAND_SCHEMA_ID, listener=_heard)
    route = url_path_join(serverapp.web_app.settings["base_url"], "api/tell-pages")
    serverapp.web_app.add_handlers(".*$", [(route, TellHandler)])
