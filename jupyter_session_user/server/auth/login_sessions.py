"""Changes the session records of a login: all of them together, each with a new stamp."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.server.auth.known_login import new_session_id

if TYPE_CHECKING:
    from jupyter_session_user.core.user import User
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["LoginSessions"]


class LoginSessions:
    """The session records of logins.

    Args:
        store: Holds the records.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def update(self, key: str, fields: Mapping[str, Any]) -> list[Record]:
        """Change fields of a login's sessions, and return the new records."""
        fresh = [_changed(record, fields) for record in self._store.of_login(key)]
        for record in fresh:
            self._store.put(record)
        return fresh

    def set_user(self, key: str, user: User) -> None:
        """Update the user of a login: the authority may have changed the groups."""
        for record in self._store.of_login(key):
            old = record.session.user
            if old != user or dict(old.claims) != dict(user.claims):
                self._store.put(_changed(record, {"user": user}))

    def begin_anew(self, key: str, seconds: float) -> None:
        """Give a login new sessions: in the kernels, ended sessions stay ended.

        Args:
            key: The login's key.
            seconds: When they begin, since the epoch.
        """
        began = datetime.fromtimestamp(seconds, timezone.utc)
        for record in self._store.of_login(key):
            session = dataclasses.replace(
                record.session, id=new_session_id(), authenticated_at=began, revision=0
            )
            self._store.put(dataclasses.replace(record, session=session))


def _changed(record: Record, fields: Mapping[str, Any]) -> Record:
    revision = record.session.revision + 1
    session = dataclasses.replace(record.session, revision=revision, **fields)
    return dataclasses.replace(record, session=session, stamp=session_stamp(session))
