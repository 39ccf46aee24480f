"""An authorizer that denies one user one resource."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.authorizer import Authorizer

__all__ = ["GuardingAuthorizer"]


class GuardingAuthorizer(Authorizer):
    """Denies bob the resource ``session-user``, and permits everything else."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Tell whether this user is permitted to do this."""
        return not (user.username == "bob" and resource == "session-user")
