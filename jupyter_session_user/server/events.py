"""What happens to sessions, as events of Jupyter's event system (jupyter_events).

They hold personal data: a username, and when that person was here. No cookie, no key and no
claim is in them.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.session import write_time

if TYPE_CHECKING:
    import logging

    from jupyter_events import EventLogger

    from jupyter_session_user.store.base import Record

__all__ = ["SCHEMA_ID", "SessionEvents"]

SCHEMA_ID = "https://schema.jupyter.org/jupyter_session_user/session/v1"

_SCHEMA_FILE = Path(__file__).parent / "event_schemas" / "session" / "v1.yaml"


class SessionEvents:
    """A listener for changes of logins that emits an event for each session.

    Args:
        logger: The server's event logger; None where there is none (standalone Voila), and
            then nothing is emitted.
        log: The server's log.
    """

    def __init__(self, logger: EventLogger | None, log: logging.Logger) -> None:
        self._logger = logger
        self._log = log
        if logger is not None:
            self._attempt(logger.register_event_schema, _SCHEMA_FILE)

    def __call__(self, event: str, record: Record) -> None:
        """Emit one event; a handler or a modifier that raises harms nobody."""
        if self._logger is not None:
            self._attempt(self._logger.emit, schema_id=SCHEMA_ID, data=_data(event, record))

    def _attempt(self, call: Any, *args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - handlers and modifiers are somebody else's
            self._log.error("session events: %s", type(error).__name__)


def _data(event: str, record: Record) -> dict[str, Any]:
    session = record.session
    return {
        "action": event,
        "username": session.user.username,
        "session_id": session.id,
        "kernel_id": session.kernel_id,
        "state": session.state,
        "source": session.source,
        "expires_at": write_time(session.expires_at),
        "expiry_source": session.expiry_source,
        "time": write_time(datetime.now(timezone.utc)),
    }
