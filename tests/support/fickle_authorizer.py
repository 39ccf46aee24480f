"""An authorizer that files in the directory ``FICKLE`` control."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_server.auth.authorizer import Authorizer

__all__ = ["FickleAuthorizer"]


class FickleAuthorizer(Authorizer):
    """Permits everything, except kernels for the users that ``unshared-<username>`` names."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Tell whether this user is permitted to do this."""
        unshared = Path(os.environ["FICKLE"], f"unshared-{user.username}").exists()
        return resource != "kernels" or not unshared
