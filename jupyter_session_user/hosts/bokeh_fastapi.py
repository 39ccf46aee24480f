"""Bokeh's and Panel's apps inside FastAPI (``bokeh_fastapi``): their visitors are the ASGI app's.

``hosts/bokeh.py`` answers for them; this file tells it who asks. What names the person is our
middleware around the request, never the session's token. All private names of the package stand
here.
"""

from __future__ import annotations

import sys
from typing import Any
from weakref import ref

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts import asgi, bokeh
from jupyter_session_user.hosts.base import HostSession, Visitor

__all__ = ["HOST"]


class _BokehFastAPI(bokeh.Part):
    """What stands between Bokeh's host and the ASGI middleware."""

    name = "bokeh_fastapi"

    def install(self) -> None:
        """Wrap where a page or a websocket of Bokeh's begins; harmless when repeated."""
        try:
            handler = sys.modules["bokeh_fastapi.handler"]
            bokeh.wrap(handler.SessionHandler, "get_session", _page_asked, "bokeh_fastapi")
            bokeh.wrap(handler.WSHandler, "ws_connect", _socket_opened, "bokeh_fastapi")
        except IdentityUnavailable as error:
            bokeh.HOST.broken = error
        # A page or a callback knows better than the request around it, whose visitor may be
        # somebody else: one visitor's callback can put another on the other's document.
        bokeh.known_better(asgi.current_request)


HOST = _BokehFastAPI()


class _Asker:
    """Stands where Bokeh's own server has a handler: one request, or one websocket.

    Args:
        socket: bokeh_fastapi's handler of a websocket; None for a page.
    """

    def __init__(self, socket: Any = None) -> None:
        self._served = asgi.current_request.get()
        self._socket = socket
        self._visitor: Visitor | None = None

    @property
    def connection(self) -> Any:
        """Bokeh's connection, once there is one."""
        return getattr(self._socket, "connection", None)

    def visitor(self, key: str) -> Visitor | None:
        """Return who has asked; None without our middleware, which alone can say."""
        if self._visitor is None and self._served is not None:
            self._visitor = self._asked(self._served.session(), key)
        return self._visitor

    @staticmethod
    def _asked(session: HostSession | None, key: str) -> Visitor | None:
        if session is None:
            return None
        source = "panel" if "panel.io.fastapi" in sys.modules else "bokeh"
        user = None if session.user.is_anonymous else session.user
        return Visitor(source, user, verified=session.verified, request=session.request, key=key)


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
