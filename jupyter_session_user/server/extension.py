"""The Jupyter Server extension: it stands in the path, and serves the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from jupyter_server.extension.application import ExtensionApp

from jupyter_session_user.server.banner import banner_routes
from jupyter_session_user.server.context import (
    Host,
    ServerContext,
    build_context,
    ends_the_program,
)
from jupyter_session_user.server.handlers import ROUTES
from jupyter_session_user.server.operator import Operator
from jupyter_session_user.server.pages import PAGES
from jupyter_session_user.server.runners.nbmodel import watch_nbmodel
from jupyter_session_user.server.settings import Settings
from jupyter_session_user.server.websocket import SETTING, stamped_class

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["JupyterSessionUser"]

_CONNECTION_CLASS = "kernel_websocket_connection_class"


class JupyterSessionUser(Settings, ExtensionApp):
    """Tells every kernel whose request it is running."""

    name = "jupyter_session_user"
    extension_url = "/lab"
    load_other_extensions = True

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Read the settings; a wrong one ends the server, instead of half of us running."""
        with ends_the_program(self.log):
            super()._link_jupyter_server_extension(serverapp)

    def initialize_settings(self) -> None:
        """Wire the parts and stand in the path of the messages."""
        with ends_the_program(self.log):
            self._wire()

    def _wire(self) -> None:
        settings = self._server.web_app.settings
        host = Host(
            cookie_secret=lambda: settings["cookie_secret"],
            application=lambda: self._server.web_app,
            events=self._server.event_logger,
            log=self.log,
            # An extension that replaces the connection class after us, however late, would
            # take our stamps, and the check for forged ones, out of the path.
            before=self._stand_in_the_path,
            operator=Operator(),
        )
        context = build_context(self, self._server.kernel_manager, host)
        self.settings[SETTING] = settings[SETTING] = context
        self._stand_in_the_path()
        context.gate.guard(self._server.identity_provider)

    def initialize_handlers(self) -> None:
        """Serve the REST API, and the pages for logging in again."""
        self.handlers.extend([*ROUTES, *PAGES, *banner_routes(is_on=self.voila_banner)])

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002
        """Look for the runners, now that all extensions have loaded and the port is known."""
        watch_nbmodel(self._context.origin, self.log)
        if self._context.operator is not None:
            self._context.operator.start(self._server)

    async def stop_extension(self) -> None:
        """End what goes on in the background, and give the kernels' sockets back."""
        self._context.close()
        if self._context.operator is not None:
            self._context.operator.close()

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
