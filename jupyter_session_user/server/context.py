"""What the parts of the server share, in one value: made once by the extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_session_user.server.bridge import Bridge
    from jupyter_session_user.server.capture import Capture
    from jupyter_session_user.server.kernels import Kernels
    from jupyter_session_user.server.origin import Origin
    from jupyter_session_user.store.base import SessionStore

__all__ = ["ServerContext"]


@dataclass(frozen=True, slots=True)
class ServerContext:
    """The wired parts of one server.

    Attributes:
        store: Session records.
        capture: Requests to records.
        origin: Whose message a server-side client sends.
        kernels: Owners, and stamping sessions.
        bridge: Answers to kernels.
        websocket_nodelay: Whether kernel websockets send small messages at once.
    """

    store: SessionStore
    capture: Capture
    origin: Origin
    kernels: Kernels
    bridge: Bridge
    websocket_nodelay: bool
