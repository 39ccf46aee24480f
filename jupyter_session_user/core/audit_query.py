"""Which lines of an audit file somebody asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

__all__ = ["Query", "parse_since"]

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HOW = "write a number with s, m, h, d or w, such as 1d, or a time such as 2026-11-22T09:30"


def parse_since(text: str, now: datetime) -> datetime:
    """Return the time that ``--since`` means.

    Args:
        text: A duration before ``now``, such as ``90s``, ``30m``, ``12h``, ``1d`` or ``2w``; or a
            date or a time of ISO 8601, in the zone of ``now`` if it names none.
        now: The current time, with a zone.

    Raises:
        ValueError: It is neither; the text has the fix.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        # Python 3.10 does not read the Z of UTC.
        moment = datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", text.strip()))
        moment = moment.replace(tzinfo=now.tzinfo) if moment.tzinfo is None else moment
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; {_HOW}") from None


@dataclass(frozen=True, slots=True)
class Query:
    """A choice of lines.

    Attributes:
        user: A username; None for all.
        since: The earliest time; None for all.
        kernel: The start of a kernel's id; empty for all.
    """

    user: str | None = None
    since: datetime | None = None
    kernel: str = ""

    def has(self, fields: dict[str, Any]) -> bool:
        """Tell whether a line is asked for; an execution counts by its end."""
        if self.user is not None and fields.get("username") != self.user:
            return False
        if not str(fields.get("kernel_id") or "").startswith(self.kernel):
            return False
        return self.since is None or _time(fields.get("time")) >= self.since


def _time(text: object) -> datetime:
    try:
        return datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", str(text)))
    except ValueError:
        return datetime.max.replace(tzinfo=timezone.utc)  # rather shown than hidden
