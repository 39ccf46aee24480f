"""Keeps the server's answers out of the kernel's log, which has every message at DEBUG."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["hide_replies"]


class _Hide(logging.Filter):
    """Removes the content of our replies from log records; cookies and tokens are in it."""

    def __init__(self, msg_type: str) -> None:
        super().__init__()
        self._type = msg_type

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass each record; a single dictionary as argument is the message itself."""
        message = record.args
        if isinstance(message, dict) and message.get("msg_type") == self._type:
            record.args = {**message, "content": "<hidden>"}
        return True


def hide_replies(log: Any, msg_type: str) -> None:
    """Hide the content of messages of one type in a kernel's log.

    Args:
        log: A ``logging.Logger``, or an adapter of one.
        msg_type: The type of the messages.
    """
    logger = getattr(log, "logger", log)
    logger.addFilter(_Hide(msg_type))
