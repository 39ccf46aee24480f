"""Kernels that a runner made for one visitor: Voila's pages, Panel's previews.

A runner's client object outlives the request that made it (Panel's websocket proxy uses it for
every click), and Voila's preheated clients exist before there is a visitor. So messages of such a
client belong to the *visitor*. The visitor is set once: when the kernel is made inside the
visitor's request, or when Voila assigns a preheated kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_server.base.call_context import CallContext
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from tornado.websocket import WebSocketHandler

from jupyter_session_user.upstream.tornado import is_answered

if TYPE_CHECKING:
    from jupyter_session_user.store.base import Record

__all__ = ["Visitor", "is_preheating", "preheating", "runner_request"]

#: Modules with handlers that make a kernel, or a client, for the visitor of their request.
RUNNERS = ("voila.", "panel.io.jupyter_server_extension")
#: Only Voila makes kernels in advance.
_AHEAD = "voila"

_PANEL = "panel."

_preheating: ContextVar[bool] = ContextVar("jupyter_session_user.preheating", default=False)


@dataclass
class Visitor:
    """The visitor of a kernel, as soon as it is known.

    Attributes:
        handler: The request that made the kernel, until the kernel has an id; then None.
        record: The visitor's session on this kernel; None until there is a visitor.
        principals: All user ids that the visitor may have on a websocket: a browser that refuses
            cookies sends only its token.
        via: The runner, as the audit names it.
    """

    handler: JupyterHandler | None = None
    record: Record | None = None
    principals: frozenset[str] = field(default=frozenset())
    via: str = _AHEAD

    @classmethod
    def of(cls, handler: JupyterHandler | None) -> Visitor:
        """Return the visitor of a request; None for a kernel that is made in advance."""
        modules = [] if handler is None else [base.__module__ for base in type(handler).__mro__]
        panel = any(module.startswith(_PANEL) for module in modules)
        return cls(handler, via="panel" if panel else _AHEAD)


@contextmanager
def preheating(holds: bool) -> Iterator[None]:  # noqa: FBT001 - it is the value itself
    """Mark kernels made in this block as without a visitor, whatever request is live.

    Voila fills its pool inside the request of the previous visitor.
    """
    token = _preheating.set(holds)
    try:
        yield
    finally:
        _preheating.reset(token)


def is_preheating() -> bool:
    """Tell whether a kernel that is made now has no visitor yet."""
    return _preheating.get()


def runner_request() -> JupyterHandler | None:
    """Return the runner's handler that serves a visitor; None outside such a request.

    Voila's progressive rendering serves its visitor from a websocket of its own, which counts while
    it is open.
    """
    handler: Any = CallContext.get(CallContext.JUPYTER_HANDLER)
    if not isinstance(handler, JupyterHandler) or not any(
        base.__module__.startswith(RUNNERS) for base in type(handler).__mro__
    ):
        return None
    if isinstance(handler, KernelWebsocketHandler):
        return None  # Voila's subclass: a browser's own socket, not the runner at work
    if isinstance(handler, WebSocketHandler):
        return handler if handler.ws_connection is not None else None
    return None if is_answered(handler) else handler
