"""The one helper of this process, and how it gets into a kernel.

Importing the package installs it where a kernel is already running. IPython and ipykernel
are found in ``sys.modules`` and never imported: a script without them stays without them.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_session_user.kernel.parent import Witnesses

if TYPE_CHECKING:
    from jupyter_session_user.kernel.comm import CommClient
    from jupyter_session_user.kernel.news import NewsDesk

__all__ = ["Helper", "helper", "installed", "ipython_shell"]


@dataclass
class Helper:
    """What the package put into one kernel.

    Attributes:
        kernel: The kernel.
        witnesses: The wrappers on its handlers.
        comm: The way to the server.
        news: Takes the server's news.
        stamped: Whether any message of this kernel carried a stamp.
    """

    kernel: Any
    witnesses: Witnesses
    comm: CommClient
    news: NewsDesk
    stamped: bool = field(default=False)


_lock = threading.Lock()
_helper: Helper | None = None


def ipython_shell() -> Any:
    """Return the running IPython shell; None in a process without one."""
    ipython = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    return get_ipython() if get_ipython is not None else None


def installed() -> Helper | None:
    """Return the helper if it is in place already."""
    return _helper


def helper(shell: Any = None) -> Helper | None:
    """Return the helper, installing it if there is a kernel; None outside of a kernel.

    Args:
        shell: The IPython shell, where the caller has it at hand.
    """
    global _helper  # noqa: PLW0603 - there is one kernel in a process, hence one helper
    kernel = getattr(shell or ipython_shell(), "kernel", None)
    if kernel is None or not hasattr(kernel, "shell_handlers"):
        return None
    with _lock:
        if _helper is None or _helper.kernel is not kernel:
            _helper = _install(kernel)
        return _helper


def _install(kernel: Any) -> Helper:
    # A script without a kernel never gets here, and need not load the comm.
    from jupyter_session_user.core.protocol import NEWS_TYPE, REPLY_TYPE  # noqa: PLC0415
    from jupyter_session_user.kernel.comm import CommClient, kernel_publisher  # noqa: PLC0415
    from jupyter_session_user.kernel.news import NewsDesk  # noqa: PLC0415
    from jupyter_session_user.kernel.panel_pool import watch_panel_pool  # noqa: PLC0415

    comm = CommClient(kernel_publisher(kernel), control_thread=kernel.control_thread)
    news = NewsDesk(comm)
    witnesses = Witnesses(kernel, watch_panel_pool)
    kernel.control_handlers[REPLY_TYPE] = lambda _stream, _ident, reply: comm.deliver(reply)
    kernel.control_handlers[NEWS_TYPE] = lambda _stream, _ident, message: news.deliver(message)
    return Helper(kernel, witnesses, comm, news)
