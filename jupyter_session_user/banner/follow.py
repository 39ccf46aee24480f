"""Combines the kernel's state of the banner's login with a browser's reports."""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.session import OVER
from jupyter_session_user.kernel.api import get_session
from jupyter_session_user.kernel.ipykernel import ipython_shell
from jupyter_session_user.kernel.listeners import on_session_change
from jupyter_session_user.kernel.made_up import SOURCE, VARIABLE, of_environment

if TYPE_CHECKING:
    from jupyter_session_user.kernel.live_session import LiveSession

__all__ = ["STATES", "Follower", "kernel_id"]

#: The states of a banner. The first shows nothing, the next four are those of a session.
STATES = (
    "active",
    "expiring",
    "expired",
    "revoked",
    "signed_out",
    "unreachable",
    "kernel_ended",
    "stale",
    "user_changed",
)

#: The name of the file with which Jupyter Server starts a kernel.
_CONNECTION_FILE = re.compile(r"kernel-([0-9a-f-]{36})\.json$")


def kernel_id() -> str:
    """Return the id of this kernel from its connection file; empty if unknown."""
    kernel = getattr(ipython_shell(), "kernel", None)
    path = getattr(getattr(kernel, "parent", None), "connection_file", "")
    found = _CONNECTION_FILE.search(str(path))
    return found[1] if found else ""


class Follower:
    """Follows the login of the user that makes a banner.

    Args:
        tell: Called with the state, and with the kernel's own knowledge of it, whenever either
            changes; also in the thread of ``on_session_change``.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._session: Any = get_session(default=None)
        self._seen = "active"
        self._cancel: Callable[[], None] | None = None

    @property
    def made_up(self) -> dict[str, str]:
        """The made-up user of the banner, as ``user``, and ``by`` what; empty for a real user."""
        if self._session is None or self._session.source != SOURCE:
            return {}
        user = self._session.user
        named = of_environment()
        by = VARIABLE if named is not None and named[0].user == user else "fake_user"
        return {"user": user.username, "by": by}

    def start(self) -> None:
        """Start to report; reporting ends when this object is garbage-collected."""
        if self._session is None:
            return  # no Jupyter server, or no extension of ours in it
        weak = weakref.ref(self, lambda _: cancel())
        cancel = on_session_change(lambda session: _hear(weak, session))
        self._cancel = cancel
        self._publish()

    def stop(self) -> None:
        """Stop reporting; harmless when repeated."""
        if self._cancel is not None:
            self._cancel()

    def see(self, report: object) -> None:
        """Take a browser's report, if the browser belongs to the user that made the banner."""
        state = report.get("state") if isinstance(report, dict) else None
        if state in STATES and self._is_makers():
            self._seen = str(state)
            self._publish()

    def _is_makers(self) -> bool:
        """Tell whether the message being handled comes from the user that made the banner."""
        sender = get_session(default=None)
        if self._session is None or sender is None:
            return sender is self._session  # if users have no names, there is one browser
        same: bool = sender.user.username == self._session.user.username
        return same

    def hear(self, session: LiveSession) -> None:
        """Take a change of one of the user's logins."""
        with self._lock:
            known = self._session
            if session.id != known.id:
                if known.state not in OVER or session.state in OVER:
                    return  # another browser of the same user
                self._session, self._seen = session, "active"  # signed in again
        self._publish()

    def _publish(self) -> None:
        session_state = "active" if self._session is None else self._session.state
        self._tell(session_state if session_state != "active" else self._seen, session_state)


def _hear(follower: weakref.ref[Follower], session: LiveSession) -> None:
    strong = follower()
    if strong is not None:
        strong.hear(session)
