"""The timer of the logins: looks at those that are due, and does not run while none can be."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.known_logins import KnownLogins

__all__ = ["LOOK_S", "Watch"]

#: How often to look while websockets are open, and the least time between two looks, in seconds.
LOOK_S = 0.25


class Watch:
    """Calls a function when a login may be due.

    While a websocket is open, that is every :data:`LOOK_S`: the wall clock may be set, and then an
    end comes earlier than any timer knows. Otherwise it is once, at the next time of the agenda.
    Every request and message checks its own login anyway.

    Args:
        known: The logins.
        look: Looks at those that are due.
        loop: The event loop.
    """

    def __init__(
        self, known: KnownLogins, look: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._known = known
        self._look = look
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        known.on_open = known.agenda.on_earlier = self._set
        self._set()

    def close(self) -> None:
        """Stop looking."""
        self._known.on_open = self._known.agenda.on_earlier = lambda: None
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, earliest: float = -math.inf) -> None:
        """Set the timer to the next look, unless it is set to an earlier one.

        Args:
            earliest: Not before this time of the loop, in seconds.
        """
        at = self._known.agenda.next_at
        if self._known.open:
            at = min(at, self._loop.time() + LOOK_S)
        at = max(at, earliest)
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = None if at == math.inf else self._loop.call_at(at, self._run)

    def _run(self) -> None:
        self._timer = None
        try:
            self._look()
        finally:  # the loop logs the error, and the next look is due all the same
            self._set(self._loop.time() + LOOK_S)
