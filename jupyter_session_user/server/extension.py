"""The Jupyter Server extension: it stands in the path, and serves the REST API."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.extension.application import ExtensionApp
from traitlets import TraitError

from jupyter_session_user.errors import SessionUserError
from jupyter_session_user.server.context import ServerContext, build_context
from jupyter_session_user.server.handlers import ROUTES
from jupyter_session_user.server.runners.nbmodel import watch_nbmodel
from jupyter_session_user.server.settings import Settings
from jupyter_session_user.server.websocket import SETTING, stamped_class

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["JupyterSessionUser"]

_CONNECTION_CLASS = "kernel_websocket_connection_class"


@contextmanager
def _ends_the_server(log: logging.Logger) -> Iterator[None]:
    """Turn any failure into the server's end: Jupyter would log it and go on without us.

    Kernels would then believe a stamp that a browser made up.
    """
    try:
        yield
    except Exception as error:
        log.critical(
            "jupyter_session_user cannot start: %s. Mend c.JupyterSessionUser, or run "
            "'jupyter server extension disable jupyter_session_user'",
            error,
            exc_info=not isinstance(error, TraitError | SessionUserError),
        )
        raise SystemExit(1) from None


class JupyterSessionUser(Settings, ExtensionApp):
    """Tells every kernel whose request it is running."""

    name = "jupyter_session_user"
    extension_url = "/lab"
    load_other_extensions = True

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Read the settings; a wrong one ends the server, instead of half of us running."""
        with _ends_the_server(self.log):
            super()._link_jupyter_server_extension(serverapp)

    def initialize_settings(self) -> None:
        """Wire the parts and stand in the path of the messages."""
        with _ends_the_server(self.log):
            self._wire()

    def _wire(self) -> None:
        settings = self._server.web_app.settings
        context = build_context(
            self, self._server.kernel_manager, lambda: settings["cookie_secret"], self.log
        )
        self.settings[SETTING] = settings[SETTING] = context
        self._stand_in_the_path()
        self._look_at_every_request()

    def initialize_handlers(self) -> None:
        """Serve the REST API."""
        self.handlers.extend(ROUTES)

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002
        """Look for the runners, now that all extensions have loaded."""
        watch_nbmodel(self._context.origin, self.log)

    def _look_at_every_request(self) -> None:
        """Look at the connection class again before each request, hence each handshake.

        An extension that replaces the class after us, however late, would take our stamps,
        and the check for forged ones, out of the path. All requests meet at ``get_user``.
        """
        provider = self._server.identity_provider
        get_user = provider.get_user

        @functools.wraps(get_user)
        def get_user_behind_us(handler: Any) -> Any:
            self._stand_in_the_path()
            return get_user(handler)

        setattr(provider, "get_user", get_user_behind_us)  # noqa: B010 - mypy

    async def stop_extension(self) -> None:
        """Give the sockets to the kernels back."""
        self._context.bridge.close()

    @property
    def _server(self) -> ServerApp:
        return cast("ServerApp", self.serverapp)  # None only before it is linked

    @property
    def _context(self) -> ServerContext:
        context: ServerContext = self.settings[SETTING]
        return context

    def _stand_in_the_path(self) -> None:
        settings = self._server.web_app.settings
        settings[_CONNECTION_CLASS] = stamped_class(settings[_CONNECTION_CLASS])
        self._context.kernels.watch(self._server.kernel_manager)
