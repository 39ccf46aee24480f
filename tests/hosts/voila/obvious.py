"""The obvious implementation, next to ours: the user of ``CallContext``, as kernels see it.

The kernel gets the name at its start, in its environment, and with each message of a server-side
client, in the metadata.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.base.call_context import CallContext
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

from jupyter_session_user.server.voila import SessionUserKernelManager


def _obvious_user() -> str:
    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    user = getattr(handler, "current_user", None)
    return user.username if user else ""


class ObviousKernelManager(SessionUserKernelManager):
    """Our kernel manager, with the obvious name in each kernel's environment."""

    async def _async_start_kernel(self, **kwargs: Any) -> str:
        kwargs["env"] = {**(kwargs.get("env") or {}), "OBVIOUS_USER": _obvious_user()}
        return await super()._async_start_kernel(**kwargs)

    start_kernel = _async_start_kernel


class ObviousClients(ServerKernelManager):
    """Voila's own manager, with the obvious name in each message of its clients."""

    def client(self, **kwargs: Any) -> Any:
        """Return a client that names the user of ``CallContext`` at the time of sending."""
        client = super().client(**kwargs)
        build = client.session.msg

        def msg(*arguments: Any, **options: Any) -> dict[str, Any]:
            message: dict[str, Any] = build(*arguments, **options)
            message["metadata"]["obvious_user"] = _obvious_user()
            return message

        client.session.msg = msg
        return client
