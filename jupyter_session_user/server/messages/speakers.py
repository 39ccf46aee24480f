"""Records the users that have sent messages to each kernel.

Code that a user ran in a kernel may still be active there, and can read everything that comes
later. So the record is kept as long as the kernel's manager exists, even across restarts.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, WeakSet

__all__ = ["Speakers"]


class Speakers:
    """The users that have sent messages to each kernel."""

    def __init__(self) -> None:
        #: ``Record.speaker`` of each sender; None stands for an unknown sender.
        self._principals: WeakKeyDictionary[Any, set[str | None]] = WeakKeyDictionary()
        self._given: WeakSet[Any] = WeakSet()

    def add(self, kernel: Any, principal: str | None) -> bool:
        """Note that a user, or a user's agent, sends messages into a kernel.

        Args:
            kernel: The kernel's manager.
            principal: ``Record.speaker``; None for a sender that the server does not know.

        Returns:
            Whether other users have used the kernel before this user.
        """
        principals = self._principals.setdefault(kernel, set())
        joins = bool(principals) and principal not in principals
        principals.add(principal)
        return joins

    def is_alone(self, kernel: Any, principal: str) -> bool:
        """Tell whether no other user has ever sent a message into a kernel."""
        return self._principals.get(kernel, set()) <= {principal}

    def has_spoken(self, kernel: Any, principal: str) -> bool:
        """Tell whether a user has ever sent a message into a kernel."""
        return principal in self._principals.get(kernel, set())

    def is_shared(self, kernel: Any) -> bool:
        """Tell whether several users, or an unknown one, have sent messages into a kernel."""
        principals = self._principals.get(kernel, set())
        return len(principals) > 1 or None in principals

    def give(self, kernel: Any) -> None:
        """Note that a kernel got cookies that only a kernel with a single user gets."""
        self._given.add(kernel)

    def holds_cookies(self, kernel: Any) -> bool:
        """Tell whether a kernel ever got such cookies."""
        return kernel in self._given
