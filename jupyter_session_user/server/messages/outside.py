"""Connections to other servers of this process: their requests have no user of Jupyter Server.

An MCP server of an extension listens on a port of its own, without Jupyter's token. A server that
starts to listen inside a user's request copies the context of that request into every connection
that it accepts, so that each of its callers would count as that user for as long as the request
lasts. There are few entry points, and each is wrapped once for the whole process:

==========================================  ====================================================
``BaseSelectorEventLoop._start_serving``    ``loop.create_server``: uvicorn, ``start_server``
``BaseProactorEventLoop._start_serving``    the same on Windows
``TCPServer.add_sockets``                   Tornado
``BaseServer.finish_request``               ``socketserver``: ``http.server``, Werkzeug
==========================================  ====================================================

A request that arrives at such a server through Jupyter's own handlers sets its own context again.
All private names of the standard library that the server side uses stand in this file.
"""

from __future__ import annotations

import socketserver
import sys
from asyncio import proactor_events, selector_events
from typing import TYPE_CHECKING, Any

from jupyter_server.base.call_context import CallContext
from tornado.tcpserver import TCPServer

from jupyter_session_user.server.auth.origin import in_no_request
from jupyter_session_user.upstream import wrap_if_there
from jupyter_session_user.upstream.jupyter_server import keep_contexts_apart

if TYPE_CHECKING:
    import logging

__all__ = ["separate_other_servers"]

#: Not the kernel's mark: a process may hold both, and each clears its own variables.
_MARK = "__jupyter_session_user_server__"

_DOORS: tuple[tuple[type[Any], str], ...] = (
    (selector_events.BaseSelectorEventLoop, "_start_serving"),
    (proactor_events.BaseProactorEventLoop, "_start_serving"),
    (TCPServer, "add_sockets"),
    (socketserver.BaseServer, "finish_request"),
)


def separate_other_servers(log: logging.Logger) -> None:
    """Wrap the entry points above; harmless when repeated.

    Args:
        log: Gets a warning if this Python lacks one of them.
    """
    # Jupyter Server's own sockets go through these entry points, too: without this, clearing the
    # request there would give all its requests one dictionary.
    keep_contexts_apart(CallContext)
    for owner, name in _DOORS:
        if not wrap_if_there(owner, name, _separated, _MARK):
            log.warning(
                "%s.%s does not exist in Python %s: cells that a server of another extension runs "
                "may count as those of the request that started it. Upgrade jupyter-session-user.",
                owner.__name__,
                name,
                sys.version.split()[0],
            )


def _separated(original: Any) -> Any:
    def separated(self: Any, *args: Any, **kwargs: Any) -> Any:
        return in_no_request(original, self, *args, **kwargs)

    return separated
