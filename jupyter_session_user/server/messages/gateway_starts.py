"""Tells a gateway who starts a kernel, and keeps the gateway's refusals for the administrator.

Enterprise Gateway limits and authorizes by the environment variable ``KERNEL_USERNAME``, and may
run the kernel as that account. Without a name it takes the account that it runs as itself. It
refuses ``root`` by default. https://jupyter-enterprise-gateway.readthedocs.io/en/latest/users/kernel-envs.html
"""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado import web

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.origin import Origin

__all__ = ["GatewayStarts"]

_VARIABLE = "KERNEL_USERNAME"
#: Names beyond that are not kept: each user of a server may be refused.
_MAX_NAMES = 100


class GatewayStarts:
    """The kernels that the users of one server started on a gateway.

    Args:
        origin: Finds the user of the current request.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._refused: dict[str, int] = {}

    def refused(self) -> dict[str, int]:
        """Return how many kernels the gateway refused because of the name of their starter.

        The empty name stands for kernels that were started without a name.
        """
        return dict(self._refused)

    def naming(self, start: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return ``start_kernel`` that tells the gateway the verified user who starts a kernel."""

        @functools.wraps(start)
        def start_kernel(**kwargs: Any) -> Awaitable[Any]:
            starter = self._origin.record(None)
            if starter is not None and starter.session.verified:
                user = starter.session.user
                env = dict(kwargs.get("env") or {})
                # Voila passes all of the server's own variables on.
                own = _VARIABLE in env and env[_VARIABLE] != os.environ.get(_VARIABLE)
                if not user.is_anonymous and not own:
                    env[_VARIABLE] = user.username
                kwargs["env"] = env
            return self._noting(start(**kwargs), (kwargs.get("env") or {}).get(_VARIABLE))

        return start_kernel

    async def _noting(self, started: Awaitable[Any], own_name: str | None) -> Any:
        try:
            return await started
        except web.HTTPError as error:
            # Jupyter passes the server's own variable on as well, and may have set it just now.
            name = own_name or os.environ.get(_VARIABLE, "")
            about_name = any(_VARIABLE in str(argument) for argument in error.args)
            known = name in self._refused or len(self._refused) < _MAX_NAMES
            if error.status_code == HTTPStatus.FORBIDDEN and about_name and known:
                self._refused[name] = self._refused.get(name, 0) + 1
            raise
