"""An authorizer that waits before it answers about events."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from jupyter_server.auth.authorizer import Authorizer

__all__ = ["WaitingAuthorizer"]


class WaitingAuthorizer(Authorizer):
    """Permits everything; events only once the file ``GO`` exists. It notes who waits."""

    async def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:  # type: ignore[override]
        """Tell whether this user is permitted to do this."""
        while resource == "events" and not self._may_go(user.username):
            await asyncio.sleep(0.02)
        return True

    def _may_go(self, name: str) -> bool:
        go = Path(os.environ["GO"])
        go.with_name(f"waits-{name}").touch()
        return go.exists()
