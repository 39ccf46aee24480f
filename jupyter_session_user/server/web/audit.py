"""Where the records of executions go: the audit file, and Jupyter's event system."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.last_runs import LastRuns
from jupyter_session_user.core.session import write_time
from jupyter_session_user.server.messages.executions import Executions
from jupyter_session_user.server.web.event_privacy import emitting, keep_private
from jupyter_session_user.store.audit_file import AuditFile

if TYPE_CHECKING:
    from jupyter_events import EventLogger

    from jupyter_session_user.server.settings import Settings

__all__ = ["EXECUTION_SCHEMA_ID", "Audit", "render"]

EXECUTION_SCHEMA_ID = "https://schema.jupyter.org/jupyter_session_user/execution/v1"

_SCHEMA_FILE = Path(__file__).parent / "event_schemas" / "execution" / "v1.yaml"


class Audit:
    """The records of one server.

    Args:
        settings: The administrator's settings.
        logger: The server's event logger; None if there is none.
        log: The server's log.

    Attributes:
        executions: Makes the records, and knows the latest run of each cell; it is not active if
            nobody wants either.
        file: The audit file; None if there is none.

    Raises:
        ConfigurationError: The audit file cannot be written.
    """

    def __init__(self, settings: Settings, logger: EventLogger | None, log: logging.Logger) -> None:
        self._log = log
        self._logger = logger if settings.audit_events else None
        self.file = _open_file(settings, log) if settings.audit_file else None
        if logger is not None:  # also without records: users must not emit such events
            self._attempt(logger.register_event_schema, _SCHEMA_FILE)
            keep_private(logger, EXECUTION_SCHEMA_ID, None)
        wanted = self.file is not None or self._logger is not None
        self.executions = Executions(
            self._write if wanted else None,
            with_code=settings.audit_code,
            starts=settings.audit_starts,
            runs=LastRuns(threading.Lock()) if settings.show_runs else None,
            later=_soon,
        )

    def close(self) -> None:
        """Record the executions that still run, and write everything."""
        self.executions.gone()
        if self.file is not None:
            self.file.close()

    def _write(self, fields: dict[str, Any]) -> None:
        fields = {**fields, "time": datetime.now(timezone.utc)}
        if self.file is not None:
            self.file.put(fields)
        if self._logger is not None:
            with emitting(None):
                data = render(fields)
                self._attempt(self._logger.emit, schema_id=EXECUTION_SCHEMA_ID, data=data)

    def _attempt(self, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        try:
            call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - handlers and modifiers are foreign code
            self._log.error("execution events: %s", type(error).__name__)


def _soon(call: Callable[[], None]) -> None:
    """Call a function when the event loop is free: the message that is handled now goes first."""
    asyncio.get_running_loop().call_soon(call)


def render(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a record with its times as text; an execution without an end gets a null."""
    made = {**fields}
    if "start" in made:
        made["start"] = _text_of(made["start"])
        made["end"] = _text_of(made["end"]) if "end" in made else None
    made["time"] = write_time(made.get("time") or datetime.now(timezone.utc))
    return made


def _text_of(seconds: float) -> str | None:
    return write_time(datetime.fromtimestamp(seconds, timezone.utc))


def _open_file(settings: Settings, log: logging.Logger) -> AuditFile:
    def failed(problem: str) -> None:
        if problem:
            log.error(
                "The audit file cannot be written (%s). %s. See c.JupyterSessionUser.audit_file",
                problem,
                "The server waits as soon as audit_queue is full"
                if settings.audit_when_full == "wait"
                else "Lines are lost as soon as audit_queue is full",
            )
        else:
            log.warning("The audit file is written again")

    return AuditFile(
        Path(settings.audit_file).expanduser().absolute(),
        render,
        failed,
        limit=settings.audit_queue,
        waits=settings.audit_when_full == "wait",
        max_bytes=settings.audit_max_bytes,
    )
