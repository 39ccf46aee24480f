"""A made-up current user, for the tests of code that asks who the user is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping

from jupyter_session_user.kernel.current import Binding
from jupyter_session_user.kernel.live_session import FakeSession, LiveSession
from jupyter_session_user.kernel.made_up import made_up

__all__ = ["FakeUser", "fake_user"]

_log = logging.getLogger("jupyter_session_user")
#: The warning is for a process, not for each of its tests. Full once it has been given.
_warned: list[bool] = []


class FakeUser(Binding):
    """A context manager and decorator, in which a made-up user is the current user.

    Args:
        session: The made-up session.
    """

    def __init__(self, session: FakeSession) -> None:
        super().__init__(session)
        self._lock = threading.Lock()
        self._open = 0

    @property
    def is_over(self) -> bool:  # type: ignore[override]
        """Whether no block is open: a task may outlive it, and is then nobody's."""
        return self._open == 0

    def __enter__(self) -> LiveSession:
        """Begin to act as the user.

        Raises:
            ConfigurationError: A real user may be here.
        """
        session = super().__enter__()
        with self._lock:
            self._open += 1
        if not _warned:
            _warned.append(True)
            _log.warning("fake_user makes up users in this process, such as %r", session.user)
        return session

    def __exit__(self, *exc_info: object) -> None:
        """Restore the previous user."""
        with self._lock:
            self._open -= 1
        super().__exit__(*exc_info)


def fake_user(
    username: str,
    *,
    display_name: str = "",
    groups: str | Iterable[str] = (),
    cookies: Mapping[str, str] | None = None,
    expires_in: float | None = None,
) -> FakeUser:
    """Make up the current user, for a ``with`` block or a function of a test.

        with fake_user("ada", groups=["finance"]):
            assert get_current_user().username == "ada"

    The session has ``source="fake"`` and ``verified=False``. :func:`require_user` accepts it.
    Blocks may be nested. Concurrent tasks and threads do not see each other's user.

    Args:
        username: The user's name.
        display_name: The name for display; the username without one.
        groups: The user's groups.
        cookies: The cookies of the user's browser, by name.
        expires_in: Remaining time of the login in seconds; None for an unknown end. At 0 or less,
            the login is over: the block begins, and ``get_current_user()`` raises SessionExpired.

    Raises:
        ConfigurationError: When the block begins or asks for the user: a server names the user of
            this kernel, or an app has a visitor here. A fake user never replaces a real one.
        WrongArgument: An argument has the wrong type.
    """
    session, jar = made_up(
        username,
        display_name=display_name,
        groups=groups,
        cookies=cookies,
        expires_in=expires_in,
    )
    return FakeUser(FakeSession(session, jar))
