"""Bokeh's and Panel's apps inside FastAPI (``bokeh_fastapi``): the ASGI app names their visitors.

``hosts/bokeh.py`` answers for them; this file names the visitor of each request. The name comes
from our middleware around the request, never from the session's token. All private names of the
package are in this file.
"""

from __future__ import annotations

import sys
from typing import Any
from weakref import ref

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts import asgi, bokeh
from jupyter_session_user.hosts.base import Visitor
from jupyter_session_user.upstream import wrap

__all__ = ["HOST"]


class _BokehFastAPI(bokeh.Part):
    """The layer between Bokeh's host and the ASGI middleware."""

    name = "bokeh_fastapi"

    def install(self) -> None:
        """Wrap the start of a page or a websocket of Bokeh; safe to repeat."""
        handler = sys.modules.get("bokeh_fastapi.handler")
        if handler is None:
            return  # Panel 1.10 serves in FastAPI without it
        try:
            wrap(handler.SessionHandler, "get_session", _page_asked, "bokeh_fastapi")
            wrap(handler.WSHandler, "ws_connect", _socket_opened, "bokeh_fastapi")
        except IdentityUnavailable as error:
            bokeh.HOST.broken = error
        # The page or callback takes precedence over the request around it, which may be another
        # visitor's: one visitor's callback can add a callback to another visitor's document.
        bokeh.known_better(asgi.current_request)


HOST = _BokehFastAPI()


class _Asker:
    """One request or one websocket, in the place of a handler of Bokeh's own server.

    Args:
        socket: bokeh_fastapi's handler of a websocket; None for a page.
    """

    def __init__(self, socket: Any = None) -> None:
        self._served = asgi.current_request.get()
        self._socket = socket
        self._visitor: Visitor | None = None

    @property
    def connection(self) -> Any:
        """Bokeh's connection, once it exists."""
        return getattr(self._socket, "connection", None)

    def visitor(self, key: str) -> Visitor | None:
        """Return the visitor of the request; None without our middleware, the only source here."""
        if self._visitor is None and self._served is not None:
            session = self._served.session()
            if session is not None:
                source = "panel" if "panel.io.fastapi" in sys.modules else "bokeh"
                self._visitor = Visitor.within(source, session, key=key)
        return self._visitor


def _page_asked(original: Any) -> Any:
    async def get_session(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        asker = _Asker()
        with bokeh.asked_by(ref(asker)):
            return await original(self, request, *args, **kwargs)

    return get_session


def _socket_opened(original: Any) -> Any:
    async def ws_connect(self: Any, websocket: Any, *args: Any, **kwargs: Any) -> Any:
        asker = _Asker(self)
        with bokeh.asked_by(ref(asker)):
            return await original(self, websocket, *args, **kwargs)

    return ws_connect
