"""The Jupyter Server extension: processes every message, and serves the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from jupyter_server.extension.application import ExtensionApp

from jupyter_session_user.server.context import (
    Host,
    ServerContext,
    build_context,
    ends_the_program,
)
from jupyter_session_user.server.messages.runners.documents import watch_documents
from jupyter_session_user.server.messages.runners.nbmodel import watch_nbmodel
from jupyter_session_user.server.messages.runners.personas import Personas
from jupyter_session_user.server.messages.websocket import SETTING, stamped_class
from jupyter_session_user.server.settings import Settings
from jupyter_session_user.server.web.api import ROUTES
from jupyter_session_user.server.web.banner import banner_routes
from jupyter_session_user.server.web.lab_commands import watch_lab_commands
from jupyter_session_user.server.web.operator import Operator
from jupyter_session_user.server.web.pages import PAGES
from jupyter_session_user.server.web.preview_banner import preview_banner
from jupyter_session_user.upstream import check

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["JupyterSessionUser"]

_CONNECTION_CLASS = "kernel_websocket_connection_class"


class JupyterSessionUser(Settings, ExtensionApp):
    """Tells every kernel the user of each message."""

    name = "jupyter_session_user"
    extension_url = "/lab"
    load_other_extensions = True

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Read the settings; an invalid setting stops the server."""
        with ends_the_program(self.log):
            super()._link_jupyter_server_extension(serverapp)

    def initialize_settings(self) -> None:
        """Wire the components and intercept the messages."""
        with ends_the_program(self.log):
            settings = self._server.web_app.settings
            host = Host(
                cookie_secret=lambda: settings["cookie_secret"],
                application=lambda: self._server.web_app,
                events=self._server.event_logger,
                log=self.log,
                # If an extension replaces the connection class after us, however late, our stamps
                # and the check for forged stamps would be bypassed.
                before=self._stand_in_the_path,
                operator=Operator(),
            )
            context = build_context(self, self._server.kernel_manager, host)
            self.settings[SETTING] = settings[SETTING] = context
            self._stand_in_the_path()
            context.kernels.watch_sessions(self._server.session_manager)
            context.gate.guard(self._server.identity_provider)
            if self.page_banner:
                banner = preview_banner(settings["base_url"], context.kernels.made_in)
                self._server.web_app.transforms.insert(0, banner)
            context.gate.guard_scopes(self._server.authorizer)

    def initialize_handlers(self) -> None:
        """Add the routes of the REST API and the pages for signing in again."""
        self.handlers.extend([*ROUTES, *PAGES, *banner_routes(is_on=self.page_banner)])

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002
        """Watch the runners, now that all extensions have loaded and the port is known."""
        self._stand_in_the_path()
        context = self._context
        watch_nbmodel(context.origin, self.log)
        watch_documents(context.origin, self.log)
        Personas(context.capture, context.logins, context.agents, self.log).watch()
        check("jupyter_server_nbmodel", "jupyter_server_documents")
        watch_lab_commands(self._server.event_logger, context.executions, context.origin)
        self._context.kernels.senders.prefer(self._server.extension_manager.extensions)
        if self._context.operator is not None:
            self._context.operator.start(self._server)

    async def stop_extension(self) -> None:
        """Stop the background tasks, and close the sockets to the kernels.

        If the server's start was aborted, it may call this before the components were wired.
        """
        context: ServerContext | None = self.settings.get(SETTING)
        if context is None:
            return
        context.close()
        if context.operator is not None:
            context.operator.close()

    @property
    def _server(self) -> ServerApp:
        return cast("ServerApp", self.serverapp)  # None only before it is linked

    @property
    def _context(self) -> ServerContext:
        context: ServerContext = self.settings[SETTING]
        return context

    def _stand_in_the_path(self) -> None:
        settings = self._server.web_app.settings
        stamped = stamped_class(settings[_CONNECTION_CLASS])
        # Set both: after the load, ExtensionApp overwrites the server's settings with its own copy.
        settings[_CONNECTION_CLASS] = self.settings[_CONNECTION_CLASS] = stamped
        self._context.kernels.watch(self._server.kernel_manager)
