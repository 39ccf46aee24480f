"""What a kernel learns about the latest run of one cell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from jupyter_session_user.errors import RemoteProtocolError

__all__ = ["LastRun"]


@dataclass(frozen=True, slots=True)
class LastRun:
    """The latest run of a cell, as the server knows it.

    Attributes:
        cell_id: The cell.
        username: Who ran it; None for an unknown user.
        display_name: The name for display; empty for an unknown user.
        agent: The name of the agent that acted for the user; None if the user acted.
        verified: Whether the server has authenticated the user.
        start: When the server passed the code on, in UTC.
        end: When the kernel had replied, in UTC; None while it has not.
        status: ``ok``, ``error`` or ``unknown``, as the kernel's reply says; None while there is
            none.
    """

    cell_id: str
    username: str | None
    display_name: str
    agent: str | None
    verified: bool
    start: datetime
    end: datetime | None
    status: str | None

    @classmethod
    def from_wire(cls, wire: object) -> LastRun:
        """Read what the server answers.

        Raises:
            RemoteProtocolError: ``wire`` is no such object.
        """
        try:
            run: Any = wire
            who = run["who"]
            return cls(
                cell_id=str(run["cell_id"]),
                username=None if who is None else str(who["username"]),
                display_name="" if who is None else str(who["display_name"]),
                agent=None if who is None or who["agent"] is None else str(who["agent"]),
                verified=who is not None and who["verified"] is True,
                start=_time(run["start"]),
                end=None if run["end"] is None else _time(run["end"]),
                status=None if run["status"] is None else str(run["status"]),
            )
        except (LookupError, TypeError, ValueError, OverflowError, OSError):
            raise RemoteProtocolError("last_run: malformed reply") from None


def _time(seconds: Any) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
