"""Listeners for changes of sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.store.base import Record

__all__ = ["Listener", "Listeners"]

#: ``(event, record)``
Listener = Callable[[str, "Record"], None]


class Listeners:
    """Functions that are called one after the other.

    Args:
        log: Log for listeners that fail.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Call ``listener`` from now on."""
        self._listeners.append(listener)

    def tell(self, event: str, record: Record) -> None:
        """Call all listeners; an error in one does not affect the others."""
        for listener in self._listeners:
            self._call(listener, event, record)

    def _call(self, listener: Listener, event: str, record: Record) -> None:
        try:
            listener(event, record)
        except Exception as error:  # noqa: BLE001 - the other listeners must still be called
            self._log.error("a listener failed at %s: %s", event, type(error).__name__)
