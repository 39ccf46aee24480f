"""Restricts who gets events with personal data, and who emits them.

Every JupyterLab tab subscribes to all schemas, any user may emit an event of any schema, and a
handler that an extension registers for its own events gets those of all schemas. All three use
methods of the server's event logger, which are wrapped on the instance:

- A websocket gets the events of a session if its user is that of the session or an administrator.
- A handler gets them if the administrator configured it (``c.EventLogger.handlers``).
- Other code of the server adds a listener for the schema, and gets all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tornado.websocket import WebSocketHandler

from jupyter_session_user.store.base import Record

if TYPE_CHECKING:
    from jupyter_events import EventLogger

__all__ = ["emitting", "keep_private"]

#: ``(websocket handler, record) -> bool``
MaySee = Callable[[Any, Record], bool]

#: The session of the event that is being emitted. Listeners run in tasks, which copy it.
_emitted: ContextVar[Record | object | None] = ContextVar(
    "jupyter_session_user.event", default=None
)
_NO_SESSION = object()


@contextmanager
def emitting(record: Record | None) -> Iterator[None]:
    """Allow events of a session in this block; outside of such a block they are refused.

    Args:
        record: The session; None for an event that belongs to no session.
    """
    token = _emitted.set(_NO_SESSION if record is None else record)
    try:
        yield
    finally:
        _emitted.reset(token)


def keep_private(logger: EventLogger, schema_id: str, may_see: MaySee | None) -> None:
    """Filter a schema's events for websockets and later handlers, and refuse other code's events.

    Call it once for each schema. Handlers that the logger already has are those of the
    configuration: they stay as they are.

    Args:
        logger: The server's event logger.
        schema_id: The schema.
        may_see: Tells whether a websocket's user may see an event of a session; None if no
            websocket gets any.
    """
    filtered: dict[Any, Any] = {}
    add, remove, emit = logger.add_listener, logger.remove_listener, logger.emit
    register = logger.register_handler

    def add_listener(*, listener: Any, **options: Any) -> None:
        add(listener=listener, **options)
        handler = getattr(listener, "__self__", None)
        if isinstance(handler, WebSocketHandler) and options.get("schema_id") in {None, schema_id}:
            remove(schema_id=schema_id, listener=listener)
            if may_see is None:
                return
            filtered[listener] = _filtering(listener, handler, may_see)
            add(**{**options, "schema_id": schema_id, "listener": filtered[listener]})

    def remove_listener(*, listener: Any, **options: Any) -> None:
        remove(listener=listener, **options)
        ours = filtered.pop(listener, None)
        if ours is not None:
            remove(listener=ours, schema_id=schema_id)

    def emit_event(*, schema_id: str, **options: Any) -> Any:
        if schema_id == private_schema and _emitted.get() is None:
            raise ValueError("these events are emitted by jupyter_session_user alone")
        return emit(schema_id=schema_id, **options)

    def register_handler(handler: logging.Handler) -> None:
        handler.addFilter(without_events)
        register(handler)

    private_schema, without_events = schema_id, _without(schema_id)
    for name, wrapper in (
        ("add_listener", add_listener),
        ("remove_listener", remove_listener),
        ("emit", emit_event),
        ("register_handler", register_handler),
    ):
        setattr(logger, name, wrapper)


def _without(schema_id: str) -> Callable[[logging.LogRecord], bool]:
    """Return a filter for a logging handler that drops the events of a schema."""

    def is_other(record: logging.LogRecord) -> bool:
        return not (isinstance(record.msg, dict) and record.msg.get("__schema__") == schema_id)

    return is_other


def _filtering(listener: Any, handler: Any, may_see: MaySee) -> Any:
    async def filtered(logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        record = _emitted.get()
        if isinstance(record, Record) and may_see(handler, record):
            await listener(logger=logger, schema_id=schema_id, data=data)

    return filtered
