"""Changes of sessions as events of Jupyter's event system (jupyter_events).

Events hold personal data: a username, and the times of activity. They hold no cookie, key or claim.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.session import write_time
from jupyter_session_user.server.web.event_privacy import MaySee, emitting, keep_private

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
        logger: The server's event logger; None if there is none (standalone Voila), and then no
            events are emitted.
        log: The server's log.
        may_see: Tells whether a websocket's user may see an event of a session.
    """

    def __init__(self, logger: EventLogger | None, log: logging.Logger, may_see: MaySee) -> None:
        self._logger = logger
        self._log = log
        if logger is not None:
            self._attempt(logger.register_event_schema, _SCHEMA_FILE)
            keep_private(logger, SCHEMA_ID, may_see)

    def __call__(self, event: str, record: Record) -> None:
        """Emit one event; a handler or a modifier that raises does no harm."""
        if self._logger is None:
            return
        session = record.session
        data = {
            "action": event,
            "username": session.user.username,
            "actor": None if session.actor is None else session.actor.to_wire(),
            "session_id": session.id,
            "kernel_id": session.kernel_id,
            "state": session.state,
            "source": session.source,
            "expires_at": write_time(session.expires_at),
            "expiry_source": session.expiry_source,
            "time": write_time(datetime.now(timezone.utc)),
        }
        with emitting(record):
            self._attempt(self._logger.emit, schema_id=SCHEMA_ID, data=data)

    def _attempt(self, call: Any, *args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - handlers and modifiers are foreign code
            self._log.error("session events: %s", type(error).__name__)
