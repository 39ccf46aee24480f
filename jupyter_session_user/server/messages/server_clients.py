"""Records what the clients of the server itself run: runners, agents, other extensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.executions import Asked
from jupyter_session_user.core.stamp import read_stamp, unknown_reason
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.server.auth.origin import running_cell, running_in

if TYPE_CHECKING:
    from jupyter_session_user.server.messages.executions import Executions
    from jupyter_session_user.server.messages.runners.visitors import Visitor
    from jupyter_session_user.server.messages.senders import Senders

__all__ = ["ClientWatcher", "via"]

#: MCP servers that run in this process.
_MCP = frozenset({"jupyter_mcp_server", "jupyter_server_mcp"})


class ClientWatcher:
    """Records the executions of one kernel's clients in this process.

    Args:
        executions: The server's executions.
        kernel_id: Returns the id of the kernel, which a new manager does not have yet.
        way: Returns the way of a message that is being built, as the audit names it.
    """

    def __init__(
        self, executions: Executions, kernel_id: Callable[[], str], way: Callable[[], str]
    ) -> None:
        self._executions = executions
        self._kernel_id = kernel_id
        self._way = way

    @property
    def active(self) -> bool:
        """Tell whether anything is recorded."""
        return self._executions.active

    def new_client(self) -> str:
        """Return a name for one more client."""
        return self._executions.new_client()

    def sent(self, client: str, what: Asked, stamp: dict[str, Any]) -> None:
        """Note that a client sends code; its stamp, which this server has made, names the user."""
        try:
            session = read_stamp(stamp)
        except RemoteProtocolError:  # the stamp names no user, and says why
            session = None
        if what.cell_id is None:
            what = Asked(what.msg_id, running_cell() or None, what.code)
        self._executions.begin(
            self._kernel_id(), client, what, session, self._way(), unknown_reason(stamp)
        )

    def heard(self, client: str, msg_id: str, status: str) -> None:
        """Note the reply to it."""
        self._executions.end(self._kernel_id(), client, msg_id, status)


def via(visitor: Visitor | None, senders: Senders) -> str:
    """Return the way of a message that is being built now.

    Args:
        visitor: The visitor for whom a runner made the kernel, if any.
        senders: Finds the package that builds the message.
    """
    runner = running_in()
    if runner:
        return runner
    if senders.is_by(_MCP):
        return "mcp"
    return "unknown" if visitor is None else visitor.via
