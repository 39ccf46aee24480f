"""jupyter-server-documents: cells of a shared document that the server runs.

``POST /api/kernels/<id>/execute`` queues cells of a document (a *room* of that package), and one
worker per room runs the cells of
all users. So the session is stored when a cell is queued, and restored when it runs. Two methods of
``YNotebookRoom`` and the class of its queue's items are wrapped; the package has no public hook.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.executions import storable
from jupyter_session_user.core.refusal import error_content
from jupyter_session_user.server.auth.origin import sent_for
from jupyter_session_user.upstream import MARK, wrap_if_there

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.auth.origin import Origin
    from jupyter_session_user.store.base import Record

__all__ = ["watch_documents"]

_MODULE = "jupyter_server_documents.rooms.ynotebook_room"
_ROOM = "YNotebookRoom"
_ITEM = "_ExecutionItem"
_METHODS = ("execute_cells", "_run_item")
_QUEUED_BY = "jupyter_session_user_queued_by"

#: The session that queues the cells of this request.
_queuing: ContextVar[Record | None] = ContextVar("jupyter_session_user.queuing", default=None)


def watch_documents(origin: Origin, log: logging.Logger) -> bool:
    """Attribute cells of shared documents to the request that queued them.

    Args:
        origin: Finds the user of the current request.
        log: Gets a warning if this release of the package cannot be wrapped. Its cells then have no
            user.

    Returns:
        Whether the package is loaded and wrapped.
    """
    module = sys.modules.get(_MODULE)
    if module is None:
        return False
    room, item = getattr(module, _ROOM, None), getattr(module, _ITEM, None)
    if item is None or not all(hasattr(room, name) for name in _METHODS):
        log.warning("This release of jupyter-server-documents queues cells in a way we do not know")
        return False
    for name, wrap in zip(_METHODS, (_noting(origin), _sending(origin)), strict=True):
        method = getattr(room, name)
        # An earlier server in this process may have wrapped it: tests start several servers.
        wrapped = wrap(method.__wrapped__ if hasattr(method, MARK) else method)
        setattr(wrapped, MARK, True)
        setattr(room, name, wrapped)
    wrap_if_there(item, "__init__", _remembering)
    return True


def _noting(origin: Origin) -> Any:
    """Wrap ``execute_cells``, which runs inside the request."""

    def wrap(execute_cells: Any) -> Any:
        @functools.wraps(execute_cells)
        async def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
            manager = getattr(self, "_kernel_manager", None)
            kernel_id = str(getattr(manager, "kernel_id", None) or "")
            token = _queuing.set(origin.record(kernel_id))
            try:
                return await execute_cells(self, *args, **kwargs)
            finally:
                _queuing.reset(token)

        return noted

    return wrap


def _remembering(init: Any) -> Any:
    """Wrap the constructor of the queue's items."""

    def remembered(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        setattr(self, _QUEUED_BY, _queuing.get())

    return remembered


def _sending(origin: Origin) -> Any:
    """Wrap ``_run_item``, with which the worker sends one cell."""

    def wrap(run_item: Any) -> Any:
        @functools.wraps(run_item)
        async def sent(self: Any, item: Any) -> Any:
            record = getattr(item, _QUEUED_BY, None)
            state = None if record is None else origin.over(record)
            if state is not None:
                # The document shows that the cell did not run, since its login had ended.
                item.ycell["outputs"].append({"output_type": "error", **error_content(state)})
                item.ycell["execution_state"] = "idle"
                return None
            with sent_for(record, "documents", storable(str(getattr(item, "cell_id", "")))):
                return await run_item(self, item)

        return sent

    return wrap
