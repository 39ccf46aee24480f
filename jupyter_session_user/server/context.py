"""What the parts of the server share, in one value, and how they are wired."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.protocol import REPLY_TYPE, REQUEST_TYPE
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.bridge import Answers, Bridge
from jupyter_session_user.server.capture import Capture
from jupyter_session_user.server.kernels import Kernels
from jupyter_session_user.server.origin import Origin
from jupyter_session_user.store.memory import MemoryStore

if TYPE_CHECKING:
    import logging

    from jupyter_client.multikernelmanager import MultiKernelManager

    from jupyter_session_user.core.platform_cookie import PlatformCookie
    from jupyter_session_user.server.capture import Network
    from jupyter_session_user.server.settings import Settings
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["ServerContext", "build_context"]


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


def build_context(
    settings: Settings,
    kernels: MultiKernelManager,
    cookie_secret: Callable[[], Any],
    log: logging.Logger,
) -> ServerContext:
    """Wire the parts of one server, and follow its kernels from now on.

    Args:
        settings: What the administrator set.
        kernels: The server's kernel manager.
        cookie_secret: Gives the key that the server's Tornado signs cookies with.
        log: The server's log.

    Raises:
        SystemExit: A setting cannot work.
    """
    store = MemoryStore(settings.max_sessions)
    policy = settings.policy()
    capture = Capture(
        store,
        policy,
        frozenset(settings.admin_users),
        _utc_now,
        *_platform(settings, log),
    )

    def owns(person: str, kernel_id: str) -> bool:
        return kernel_id in kernels and followed.owns(person, kernels.get_kernel(kernel_id))

    def visitor(kernel_id: str) -> Record | None:
        return followed.visitor(kernels.get_kernel(kernel_id)) if kernel_id in kernels else None

    def limiter() -> Callable[[], bool]:
        bucket = TokenBucket(settings.comm_rate, settings.comm_burst)
        return lambda: bucket.take(time.monotonic())

    def on_gone(kernel_id: str) -> None:
        bridge.detach(kernel_id)
        store.drop_kernel(kernel_id)

    bridge = Bridge(Answers(store, policy, owns, visitor, cookie_secret), limiter, log)
    origin = Origin(capture)
    followed = Kernels(
        capture, origin, bridge.attach, on_gone, exclusive=settings.exclusive_kernels
    )
    followed.watch(kernels)
    _leave_untracked(kernels)
    return ServerContext(
        store, capture, origin, followed, bridge, websocket_nodelay=settings.websocket_nodelay
    )


def _platform(
    settings: Settings, log: logging.Logger
) -> tuple[PlatformCookie | None, tuple[Network, ...]]:
    """Return how a platform's cookie names people, and whom to believe it.

    Jupyter Server only logs the exceptions of an extension and goes on without it; then nobody
    would take forged stamps off messages, and kernels would believe them. So the process ends.
    """
    try:
        return settings.platform_cookie(), settings.networks()
    except ConfigurationError as error:
        log.critical("JupyterSessionUser.%s", error)
        raise SystemExit(1) from None


def _leave_untracked(kernels: Any) -> None:
    """Keep the talk between helper and server from counting as a kernel's activity.

    A trait: a new list, not a change in place, so that its default stays as it is.
    """
    ours = {REPLY_TYPE, REQUEST_TYPE} - set(kernels.untracked_message_types)
    kernels.untracked_message_types = [*kernels.untracked_message_types, *sorted(ours)]


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
