"""Names in groups: which logins a user has, which sessions a kernel has."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["Groups"]


class Groups:
    """Ordered sets of names, by the name of their group; each call is O(1).

    Most groups have one name. It is kept without a set of its own, which would take 200 bytes.
    """

    def __init__(self) -> None:
        self._groups: dict[str, str | dict[str, None]] = {}

    def of(self, group: str) -> Collection[str]:
        """Return the names of a group; the one that was put longest ago comes first."""
        names = self._groups.get(group, ())
        return (names,) if isinstance(names, str) else names

    def put(self, group: str, name: str) -> None:
        """Add a name to a group, or move it to the end."""
        names = self._groups.get(group)
        if names is None or names == name:
            self._groups[group] = name
        elif isinstance(names, str):
            self._groups[group] = {names: None, name: None}
        else:
            names.pop(name, None)
            names[name] = None

    def discard(self, group: str, name: str) -> None:
        """Remove a name from a group; harmless if it is not there."""
        names = self._groups.get(group)
        if isinstance(names, dict):
            names.pop(name, None)
            if len(names) == 1:
                self._groups[group] = next(iter(names))
        elif names == name:
            del self._groups[group]
