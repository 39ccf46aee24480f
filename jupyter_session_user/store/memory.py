"""Session records in this process's memory: the default store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from jupyter_session_user.core.groups import Groups
from jupyter_session_user.store.base import Record

__all__ = ["MemoryStore"]


#: The part of the limit that one user's records may fill while others are dropped for them.
_QUOTA = 1 / 10


class MemoryStore:
    """Keeps the most recent records, up to a limit; each call is O(1).

    Args:
        limit: Maximum number of records. Beyond it, the record that was put longest ago is dropped:
            the user's own one if the user has more than a tenth of the records, so that a script
            cannot drop the records of others.

    Raises:
        ValueError: ``limit`` is below 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        self._limit = limit
        self._quota = max(1, int(limit * _QUOTA))
        self._by_id: OrderedDict[str, Record] = OrderedDict()
        self._ids: dict[tuple[str, str | None], str] = {}
        self._by_kernel = Groups()
        # A login has few records, and a tuple takes a fifth of the memory of a dictionary.
        self._by_login: dict[str, tuple[str, ...]] = {}
        #: By user; the record that was put longest ago comes first.
        self._by_principal = Groups()

    def get(self, session_id: str) -> Record | None:
        """Return the record with this session id, or None."""
        return self._by_id.get(session_id)

    def find(self, key: str, kernel_id: str | None) -> Record | None:
        """Return the record of this login on this kernel, or None."""
        session_id = self._ids.get((key, kernel_id))
        return None if session_id is None else self._by_id[session_id]

    def put(self, record: Record) -> None:
        """Add the record, or replace the record of the same login and kernel."""
        session = record.session
        known = self._ids.get((record.key, session.kernel_id))
        if known is not None and known != session.id:
            self._remove(known)
        self._by_id[session.id] = record
        self._by_id.move_to_end(session.id)
        self._ids[record.key, session.kernel_id] = session.id
        mine = self._by_login.get(record.key, ())
        if session.id not in mine:
            self._by_login[record.key] = (*mine, session.id)
        self._by_principal.put(record.principal, session.id)
        if session.kernel_id is not None and known != session.id:
            self._by_kernel.put(session.kernel_id, session.id)
        if len(self._by_id) > self._limit:
            users = self._by_principal.of(record.principal)
            crowded = users if len(users) > self._quota else self._by_id
            self._remove(next(iter(crowded)))

    def of_login(self, key: str) -> list[Record]:
        """Return the records of one login, oldest first."""
        return [self._by_id[session_id] for session_id in self._by_login.get(key, ())]

    def on_kernel(self, kernel_id: str) -> list[Record]:
        """Return the records of one kernel, oldest first."""
        return [self._by_id[session_id] for session_id in self._by_kernel.of(kernel_id)]

    def drop_kernel(self, kernel_id: str) -> None:
        """Forget all records of a removed kernel."""
        for session_id in list(self._by_kernel.of(kernel_id)):
            self._remove(session_id)

    def __iter__(self) -> Iterator[Record]:
        """Iterate over all records; the record that was put longest ago comes first."""
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._by_id)

    def _remove(self, session_id: str) -> None:
        record = self._by_id.pop(session_id)
        kernel_id = record.session.kernel_id
        del self._ids[record.key, kernel_id]
        left = tuple(one for one in self._by_login[record.key] if one != session_id)
        if left:
            self._by_login[record.key] = left
        else:
            del self._by_login[record.key]
        self._by_principal.discard(record.principal, session_id)
        if kernel_id is not None:
            self._by_kernel.discard(kernel_id, session_id)
