"""Shortens the tracebacks of this package's errors in cells.

The reader of an error needs the line that asked for the user, and the message. The frames of this
package, of the executor that ran the line, and of the kernel say nothing about either.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from jupyter_session_user.errors import SessionUserError

__all__ = ["of_user", "shorten"]

#: Modules whose frames are left out, with all modules below them.
_MACHINERY = frozenset(
    {
        __name__.partition(".")[0],
        "IPython",
        "asyncio",
        "concurrent",
        "contextlib",
        "functools",
        "ipykernel",
        "threading",
    }
)


def of_user(traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the frames of the machinery; whole if it has no other frame."""
    kept = []
    entry = traceback
    while entry is not None:
        module = str(entry.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _MACHINERY:
            kept.append(entry)
        entry = entry.tb_next
    short: TracebackType | None = None
    for entry in reversed(kept):
        short = TracebackType(short, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return short or traceback


def shorten(shell: Any) -> None:
    """Have IPython show this package's errors with the user's own frames only.

    IPython calls ``_render_traceback_`` of an exception that has it, and formats all others itself.

    Args:
        shell: The shell whose format (``%xmode``, colours) applies.
    """

    def render(error: SessionUserError) -> list[str]:
        """Return the lines that IPython shows."""
        lines: list[str] = shell.InteractiveTB.structured_traceback(
            type(error), error, of_user(error.__traceback__), tb_offset=0
        )
        return lines

    SessionUserError._render_traceback_ = render  # type: ignore[attr-defined]
