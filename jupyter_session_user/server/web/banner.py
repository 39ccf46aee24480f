"""``page_banner``: the banner on the pages of Voila and of Panel's previews."""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado import web

__all__ = ["VOILA_EXTENSION", "banner_routes", "leave_out"]

#: The prebuilt extension that adds the banner to Voila's pages.
VOILA_EXTENSION = "jupyter-session-user-voila"


class PageBannerHandler(JupyterHandler):
    """Returns the administrator's setting to a page that is about to show its banner."""

    _track_activity = False

    def initialize(self, *, is_on: bool) -> None:
        """Store the setting."""
        self._is_on = is_on

    @web.authenticated
    def get(self) -> None:
        """Answer ``{"on": true}`` or ``{"on": false}``."""
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps({"on": self._is_on}))


def banner_routes(*, is_on: bool) -> list[tuple[str, type[PageBannerHandler], dict[str, Any]]]:
    """Return the route for a server extension."""
    return [(r"session-user/page-banner", PageBannerHandler, {"is_on": is_on})]


def leave_out(voila: Any) -> None:
    """Put the setting into the page config of standalone Voila, which has no such route.

    Args:
        voila: The application.
    """
    configuration = voila.voila_configuration
    configured = configuration.extension_config or {}
    ours = {**configured.get(VOILA_EXTENSION, {}), "banner": False}
    configuration.extension_config = {**configured, VOILA_EXTENSION: ours}
