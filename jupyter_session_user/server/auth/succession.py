"""Finds the later logins of a kernel's users: a new login continues an expired one.

Rules of this file:
- a kernel learns of the logins on it, and of later logins of the same users: the browser in which a
  user signs in again need not open a websocket first;
- users are compared by ``Record.principal``, never by username;
- a token starts no login. A script that uses one must open its own websocket;
- an agent's login continues no login, and no login continues an agent's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from jupyter_session_user.core.login import follows
from jupyter_session_user.core.session import OVER

if TYPE_CHECKING:
    from jupyter_session_user.core.session import Session
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["Succession"]


class Succession:
    """Finds the logins that a kernel should know.

    Args:
        store: The session records.
        logins: The logins of this server.
    """

    def __init__(self, store: SessionStore, logins: Logins) -> None:
        self._store = store
        self._logins = logins

    def kernels_of(self, record: Record, kernels: Iterable[str]) -> Iterator[str]:
        """Yield the kernels that should learn of a record.

        Args:
            record: A record, on a kernel or on none.
            kernels: The kernels that can receive updates.
        """
        if record.session.kernel_id is not None:
            yield record.session.kernel_id
            return
        for kernel_id in kernels:
            if self._follows(record, self._store.on_kernel(kernel_id)):
                yield kernel_id

    def next_logins(self, kernel_id: str) -> list[Session]:
        """Return the sessions without a kernel that this kernel should know."""
        here = self._store.on_kernel(kernel_id)
        principals = {record.principal for record in here}
        found = (
            self._store.find(login.key, None)
            for login in self._logins
            if login.principal in principals
        )
        return [record.session for record in found if record and self._follows(record, here)]

    def carries_on(self, record: Record) -> bool:
        """Tell whether the user of an expired login has signed in again."""
        return self.heir(record) is not None

    def heir(self, record: Record) -> Session | None:
        """Return the session of the login that continues an expired one; None if there is none."""
        kernel_id = record.session.kernel_id
        if record.session.state != "expired" or kernel_id is None or record.session.actor:
            return None
        mine = [
            r.session
            for r in self._store.on_kernel(kernel_id)
            if r.principal == record.principal and r.session.actor is None
        ]
        sessions = [*mine, *self.next_logins(kernel_id)]
        ours = (s for s in sessions if s.principal == record.session.principal)
        return next((s for s in ours if s.state not in OVER), None)

    def _follows(self, record: Record, here: Iterable[Record]) -> bool:
        """Tell whether a login started after its user first used the kernel."""
        earlier = (
            other.session.authenticated_at
            for other in here
            if other.principal == record.principal and other.session.actor is None
        )
        return follows(record.credential, record.session.authenticated_at, earlier)
