"""The administrator's own function: ``c.JupyterSessionUser.session_resolver``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from traitlets.utils.importstring import import_item

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.resolvers.base import Resolution

if TYPE_CHECKING:
    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.server.settings import Settings

__all__ = ["CustomResolver"]


class CustomResolver:
    """Calls the function, and converts its result."""

    def __init__(self, settings: Settings) -> None:
        self._function = _import(settings.session_resolver)

    def resolve(self, handler: JupyterHandler, user: ServerUser) -> Resolution | None:
        """Return the function's result.

        Raises:
            TypeError: The function returned a wrong type.
            ValueError: The function returned a time without a time zone.
        """
        said = self._function(handler, user)
        if said is None or isinstance(said, Resolution):
            return said
        return Resolution(Expiry(_seconds(said), "custom"))


def _import(name: str) -> Callable[[JupyterHandler, ServerUser], Any]:
    if not name:
        raise ConfigurationError(
            "resolvers names 'custom', and there is no function; set "
            "c.JupyterSessionUser.session_resolver to package.module.function"
        )
    # Jupyter writes package.module.name, entry points write package.module:name.
    try:
        function = import_item(name.replace(":", "."))
    except Exception as error:
        raise ConfigurationError(
            f"session_resolver: {name} cannot be imported ({type(error).__name__}: {error}); "
            "write package.module.function, and see that it is on the server's PYTHONPATH"
        ) from error
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"session_resolver: {name} is no plain function; write def function(handler, user)"
        )
    resolver: Callable[[JupyterHandler, ServerUser], Any] = function
    return resolver


def _seconds(said: object) -> float:
    """Return seconds since the epoch."""
    if isinstance(said, datetime):
        if said.tzinfo is None:
            raise ValueError("a time without a time zone")
        return said.timestamp()
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise TypeError(type(said).__name__)
    return float(said)
