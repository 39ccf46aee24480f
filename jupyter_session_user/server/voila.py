"""Standalone Voila: it loads no server extension, but takes its kernel manager from a setting.

``voila_file.py`` sets it. Voila itself is not imported here: its own kernel manager becomes a
subclass of ours.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets.config import LoggingConfigurable

from jupyter_session_user.server.context import Host, build_context, ends_the_program
from jupyter_session_user.server.messages.runners.visitors import preheating, runner_request
from jupyter_session_user.server.messages.websocket import stamped_class
from jupyter_session_user.server.settings import Settings
from jupyter_session_user.server.web.banner import leave_out

__all__ = ["JupyterSessionUser", "SessionUserKernelManager"]


class JupyterSessionUser(Settings, LoggingConfigurable):
    """The settings, under the same name as in the server extension."""


class SessionUserKernelManager(AsyncMappingKernelManager):
    """Voila's kernels, each of which belongs to its visitor.

    Attributes:
        session_user: The wired components, for use by websockets.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        host = Host(
            cookie_secret=lambda: self._voila.cookie_secret,
            application=lambda: getattr(self._voila, "app", None),
            events=None,
            log=self.log,
        )
        with ends_the_program(self.log, "jupyter session-user disable voila"):
            settings = JupyterSessionUser(parent=self)
            self.session_user = build_context(settings, self, host)
        voila = self._voila  # it reads the class after this
        voila.kernel_websocket_connection_class = stamped_class(
            voila.kernel_websocket_connection_class
        )
        if not settings.page_banner:
            leave_out(voila)
        hand_out = getattr(self, "get_rendered_notebook", None)
        if hand_out is not None:  # Voila's subclass has it, when it preheats

            async def get_rendered_notebook(*args: Any, **kwargs: Any) -> Any:
                result = await hand_out(*args, **kwargs)
                kernel_id = result[2]  # the task, what it has rendered so far, the kernel's id
                self.session_user.kernels.hand_over(self.get_kernel(kernel_id))
                return result

            self.get_rendered_notebook = get_rendered_notebook

    @property
    def _voila(self) -> Any:
        return self.parent

    async def _async_start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel; a kernel for the pool has no visitor, whatever request is live."""
        handler = runner_request()
        if handler is not None:
            self.session_user.gate.guard(handler.identity_provider)
        ahead = (kwargs.get("env") or {}).get("VOILA_PREHEAT") == "True"
        with preheating(ahead):
            kernel_id: str = await super()._async_start_kernel(**kwargs)
        return kernel_id

    # The base class calls it by both names.
    start_kernel = _async_start_kernel  # type: ignore[assignment]
