"""Answers a repeated request as it was answered before.

A kernel repeats a request with the same id until it gets the reply, because a request may be lost.
If none was lost, the server reads the request several times. It must not create a second token or
database login for it, and the audit must not have it twice.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Future

    from jupyter_session_user.core.protocol import Reply

__all__ = ["Repeats"]

#: A kernel waits 5 s for its reply, unless its user chooses another time. In seconds.
_KEPT_S = 10.0
#: More are forgotten earlier.
_MOST = 256


class Repeats:
    """The latest replies by their requests; the number and the time are bounded.

    Args:
        clock: Returns a time in seconds that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._replies: OrderedDict[Hashable, tuple[float, Reply | Future[Reply]]] = OrderedDict()

    def reply(
        self, asked: Hashable, decide: Callable[[], Reply | Future[Reply]]
    ) -> Reply | Future[Reply]:
        """Return the reply to this request, and decide it only the first time.

        Args:
            asked: The request with its id, and everything that allows it.
            decide: Makes the reply.
        """
        now = self._clock()
        while self._replies:
            until, _ = next(iter(self._replies.values()))
            if until > now and len(self._replies) < _MOST:
                break
            self._replies.popitem(last=False)
        known = self._replies.get(asked)
        if known is None:
            known = self._replies[asked] = now + _KEPT_S, decide()
        return known[1]
