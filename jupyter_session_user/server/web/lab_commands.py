"""Records commands that something sends to the JupyterLab pages of all users.

jupyterlab-commands-toolkit emits an event, and each page that listens runs the command, as the user
of that page. What the page then sends has that user's name, and nothing tells it from a click. So
the record says who sent the command: the user, and the agent, of the request that emits the event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.executions import storable

if TYPE_CHECKING:
    from jupyter_events import EventLogger

    from jupyter_session_user.server.auth.origin import Origin
    from jupyter_session_user.server.messages.executions import Executions

__all__ = ["LAB_COMMAND_SCHEMA_ID", "watch_lab_commands"]

LAB_COMMAND_SCHEMA_ID = "https://events.jupyter.org/jupyterlab_command_toolkit/lab_command/v1"

#: Characters of the command's name, and of the name of one page.
_MAX_NAME = 200


def watch_lab_commands(logger: EventLogger | None, executions: Executions, origin: Origin) -> None:
    """Record the commands from now on.

    A modifier of the event sees it in the context of the request that emits it, and only if a page
    or a handler gets it. A listener would count as a page: the sender would wait for its answer.

    Args:
        logger: The server's event logger; None if it has none.
        executions: Makes the records.
        origin: Finds the user of the request.
    """

    def record(schema_id: str, data: dict[str, Any]) -> dict[str, Any]:
        del schema_id
        sender = origin.record(None)
        detail = storable(str(data.get("name"))[:_MAX_NAME])
        if data.get("client_id") is not None:
            detail += f", for the page {storable(str(data['client_id'])[:_MAX_NAME])}"
        if sender is None:
            detail += ", sent outside any user's request"
        executions.note("lab_command", None if sender is None else sender.session, None, detail)
        return data

    if logger is not None:
        logger.add_modifier(schema_id=LAB_COMMAND_SCHEMA_ID, modifier=record)
