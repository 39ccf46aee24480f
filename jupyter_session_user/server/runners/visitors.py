"""Kernels that a runner made for one visitor: Voila's pages, Panel's previews.

A runner's client object outlives the request that made it (Panel's websocket proxy uses it
for every click), and Voila's preheated clients exist before there is a visitor at all. So
what such a client sends counts as the *visitor's*, and the visitor is settled once: when the
kernel is made inside his request, or when Voila hands him a preheated one.
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

if TYPE_CHECKING:
    from jupyter_session_user.store.base import Record

__all__ = ["Visitor", "is_preheating", "preheating", "runner_request"]

#: Modules whose handlers make a kernel, or a client, for the visitor of their request.
RUNNERS = ("voila.", "panel.io.jupyter_server_extension")

_preheating: ContextVar[bool] = ContextVar("jupyter_session_user.preheating", default=False)


@dataclass
class Visitor:
    """Whose kernel it is, as soon as that is known.

    Attributes:
        handler: The request that made the kernel, until the kernel has an id; then None.
        record: His session on this kernel; None until he is there.
        persons: All that he may be known by on a websocket: a browser that refuses cookies
            shows its token only.
    """

    handler: JupyterHandler | None = None
    record: Record | None = None
    persons: frozenset[str] = field(default=frozenset())


@contextmanager
def preheating(holds: bool) -> Iterator[None]:  # noqa: FBT001 - it is the value itself
    """Say that kernels made in this block are for nobody yet, whatever request is live.

    Voila fills its pool inside the request of the visitor before.
    """
    token = _preheating.set(holds)
    try:
        yield
    finally:
        _preheating.reset(token)


def is_preheating() -> bool:
    """Tell whether a kernel that is made now is for nobody yet."""
    return _preheating.get()


def runner_request() -> JupyterHandler | None:
    """Return the runner's handler whose visitor is being served; None outside of one.

    Voila's progressive rendering serves its visitor from a websocket of its own; what that
    one does counts while it is open.
    """
    handler: Any = CallContext.get(CallContext.JUPYTER_HANDLER)
    if not isinstance(handler, JupyterHandler) or not _is_runner(type(handler)):
        return None
    if isinstance(handler, KernelWebsocketHandler):
        return None  # Voila's subclass: a browser's own socket, not the runner at work
    if isinstance(handler, WebSocketHandler):
        return handler if handler.ws_connection is not None else None
    return None if handler._finished else handler  # noqa: SLF001 - Tornado has no public word


def _is_runner(cls: type[Any]) -> bool:
    return any(base.__module__.startswith(RUNNERS) for base in cls.__mro__)
