"""Records which client each kernel asks for input: no other client may answer.

The kernel accepts the next message on its stdin socket. The line that answers ``input()`` or a
``pdb`` prompt runs in the name of the user that was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["Questions"]


@dataclass(frozen=True, slots=True)
class _Question:
    """One ``input_request``.

    Attributes:
        client: Identity of the client that is asked.
        request: ``msg_id`` of the request during which the kernel asks.
    """

    client: str
    request: object


class Questions:
    """The latest question of each kernel: a kernel waits for one answer at a time."""

    def __init__(self) -> None:
        self._open: WeakKeyDictionary[Any, _Question] = WeakKeyDictionary()

    def ask(self, kernel: Any, client: str, request: object) -> None:
        """Note that a kernel asks a client; an earlier question is void.

        Args:
            kernel: The kernel's manager.
            client: Identity of the client.
            request: ``msg_id`` of the request that the kernel handles.
        """
        self._open[kernel] = _Question(client, request)

    def is_asked(self, kernel: Any, client: str) -> bool:
        """Tell whether a kernel waits for this client's answer."""
        question = self._open.get(kernel)
        return question is not None and question.client == client

    def take(self, kernel: Any, client: str) -> bool:
        """Tell the same, and remove the question."""
        return self.is_asked(kernel, client) and self._open.pop(kernel, None) is not None

    def end(self, kernel: Any, request: object) -> None:
        """Note that the kernel has replied to a request: its questions are closed."""
        question = self._open.get(kernel)
        if question is not None and question.request == request:
            del self._open[kernel]
