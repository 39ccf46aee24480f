"""jupyter-server-nbmodel: cells queued by ``POST /api/kernels/<id>/execute``.

One worker task per kernel runs the cells of all users. Its ``CallContext`` is that of the request
that started it, so it names the first user. So the session is stored when a cell is queued, and
restored when it runs. Two functions of that package are wrapped; it has no public hook.
"""

from __future__ import annotations

import functools
import json
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from tornado import web

from jupyter_session_user.core.refusal import error_content
from jupyter_session_user.server.auth.origin import running_for, sent_for

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.auth.origin import Origin
    from jupyter_session_user.store.base import Record

__all__ = ["watch_nbmodel"]

#: A request that is replaced in the queue never runs, so old entries must be dropped by age.
MAX_QUEUED = 10_000  # requests

_MARK = "__jupyter_session_user__"
_STACK = "jupyter_server_nbmodel.execution_stack"
_ACTIONS = "jupyter_server_nbmodel.actions"
_EXECUTE = "_execute_snippet"
_STDIN = "_stdin_hook"


def watch_nbmodel(origin: Origin, log: logging.Logger) -> bool:
    """Attribute queued cells to the request that queued them.

    Args:
        origin: Finds the user of the current request.
        log: Gets a warning if this release of nbmodel cannot be wrapped. Its cells are then stamped
            as unknown: an error in the cell, never another user.

    Returns:
        Whether nbmodel is loaded and wrapped.
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
    if hasattr(cls, "send_input") and hasattr(actions, _STDIN):
        setattr(actions, _STDIN, queue.questioning(_original(getattr(actions, _STDIN))))
        cls.send_input = queue.answering(_original(cls.send_input))
    setattr(actions, _EXECUTE, queue.stamping(_original(getattr(actions, _EXECUTE))))
    return True


def _original(function: Any) -> Any:
    """Return the function that an earlier server in this process wrapped (tests start several)."""
    return function.__wrapped__ if hasattr(function, _MARK) else function


class _Queue:
    """The session of each queued cell."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._records: OrderedDict[str, Record | None] = OrderedDict()
        #: By kernel: the session of the cell that asks for input. Only its user may answer.
        self._asking: dict[str, Record] = {}

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
        """Wrap ``_execute_snippet``, which the worker calls with that id in the metadata."""

        @functools.wraps(execute)
        async def stamped(client: Any, ydoc: Any, snippet: Any, metadata: Any, *args: Any) -> Any:
            record = self._records.pop((metadata or {}).get("request_id", ""), None)
            state = None if record is None else self._origin.over(record)
            if state is not None:
                outputs = json.dumps([{"output_type": "error", **error_content(state)}])
                # After an "error", nbmodel would drop the queued cells of other users.
                return {"status": "aborted", "execution_count": None, "outputs": outputs}
            with sent_for(record, "nbmodel"):
                try:
                    return await execute(client, ydoc, snippet, metadata, *args)
                finally:
                    self._asking.pop("" if record is None else record.session.kernel_id or "", None)

        setattr(stamped, _MARK, True)
        return stamped

    def questioning(self, hook: Any) -> Any:
        """Wrap ``_stdin_hook``, which is called when a cell that nbmodel runs asks for input."""

        @functools.wraps(hook)
        def questioned(kernel_id: str, *args: Any, **kwargs: Any) -> Any:
            record = running_for()
            if record is not None:
                self._asking[kernel_id] = record
            return hook(kernel_id, *args, **kwargs)

        setattr(questioned, _MARK, True)
        return questioned

    def answering(self, send_input: Any) -> Any:
        """Wrap ``ExecutionStack.send_input``, which runs inside the request that answers.

        The kernel may be asking a websocket at that time: nbmodel would answer that question, too.
        """

        @functools.wraps(send_input)
        async def answered(stack: Any, kernel_id: str, *args: Any, **kwargs: Any) -> Any:
            asking, answering = self._asking.get(kernel_id), self._origin.record(kernel_id)
            if asking is None or answering is None or answering.principal != asking.principal:
                raise web.HTTPError(403, "the kernel does not ask this user for input")
            del self._asking[kernel_id]
            return await send_input(stack, kernel_id, *args, **kwargs)

        setattr(answered, _MARK, True)
        return answered
