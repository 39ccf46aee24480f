"""jupyter-server-nbmodel: cells queued by ``POST /api/kernels/<id>/execute``.

One worker task per kernel runs everybody's cells, and its ``CallContext`` is that of the
request which started it: the first person. So the person is taken down when a cell is queued
and put back when it runs. Two functions of that package are wrapped; they have no public hook.
"""

from __future__ import annotations

import functools
import json
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.refusal import error_content
from jupyter_session_user.server.origin import sent_for

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.origin import Origin
    from jupyter_session_user.store.base import Record

__all__ = ["watch_nbmodel"]

#: A request that is superseded in the queue never runs, so its entry has to leave by age.
MAX_QUEUED = 10_000  # requests

_MARK = "__jupyter_session_user__"
_STACK = "jupyter_server_nbmodel.execution_stack"
_ACTIONS = "jupyter_server_nbmodel.actions"
_EXECUTE = "_execute_snippet"


def watch_nbmodel(origin: Origin, log: logging.Logger) -> bool:
    """Make queued cells count as those of the request that queued them.

    Args:
        origin: Tells whose request is being answered.
        log: Told when this release of nbmodel cannot be watched. Its cells are then stamped
            as unknown, which is an error in the cell, not another person.

    Returns:
        Whether nbmodel is loaded and watched.
    """
    stack, actions = sys.modules.get(_STACK), sys.modules.get(_ACTIONS)
    if stack is None or actions is None:
        return False
    cls: Any = getattr(stack, "ExecutionStack", None)
    if not hasattr(cls, "put") or not hasattr(actions, _EXECUTE):
        log.warning("This release of jupyter-server-nbmodel queues cells in a way we do not know")
        return False
    queue = _Queue(origin)
    cls.put = queue.noting(_original(cls.put))
    setattr(actions, _EXECUTE, queue.stamping(_original(getattr(actions, _EXECUTE))))
    return True


def _original(function: Any) -> Any:
    """Return what an earlier server of this process wrapped (tests start several)."""
    return function.__wrapped__ if hasattr(function, _MARK) else function


def _refused(state: str) -> dict[str, Any]:
    """Return a result for a cell that was queued before its login was over.

    Not "error": nbmodel would then drop what other people have queued.
    """
    output = {"output_type": "error", **error_content(state)}
    return {"status": "aborted", "execution_count": None, "outputs": json.dumps([output])}


class _Queue:
    """Whose request queued which cell."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._records: OrderedDict[str, Record | None] = OrderedDict()

    def noting(self, put: Any) -> Any:
        """Wrap ``ExecutionStack.put``, which runs inside the request and returns an id."""

        @functools.wraps(put)
        def noted(stack: Any, kernel_id: str, *args: Any, **kwargs: Any) -> str:
            record = self._origin.record(kernel_id)
            uid: str = put(stack, kernel_id, *args, **kwargs)
            self._records[uid] = record
            if len(self._records) > MAX_QUEUED:
                self._records.popitem(last=False)
            return uid

        setattr(noted, _MARK, True)
        return noted

    def stamping(self, execute: Any) -> Any:
        """Wrap ``_execute_snippet``, which the worker runs with that id in the metadata."""

        @functools.wraps(execute)
        async def stamped(client: Any, ydoc: Any, snippet: Any, metadata: Any, *args: Any) -> Any:
            record = self._records.pop((metadata or {}).get("request_id", ""), None)
            state = None if record is None else self._origin.over(record)
            if state is not None:
                return _refused(state)
            with sent_for(record):
                return await execute(client, ydoc, snippet, metadata, *args)

        setattr(stamped, _MARK, True)
        return stamped
