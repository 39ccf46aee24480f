"""The request with which the authority is asked again about a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_session_user.server.auth.request_snapshot import RequestSnapshot, snapshot_to_keep

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.logins import Logins

__all__ = ["evidence_of"]


def evidence_of(handler: JupyterHandler, login: Login, logins: Logins) -> RequestSnapshot | None:
    """Return what the authority can check: an agent's request means nothing to it.

    Args:
        handler: The request's handler.
        login: The login of the request; of an agent, the latest request of its person counts.
        logins: The logins of this server.
    """
    if not login.parent:
        return snapshot_to_keep(handler, given=login.given)
    parent = logins.get(login.parent)
    return None if parent is None else parent.snapshot
