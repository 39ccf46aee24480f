"""Shortens the tracebacks of this package's errors in cells.

The reader of an error needs the line that asked for the user, and the message. The frames of this
package, of the executor that ran the line, and of the kernel say nothing about either.
"""

from __future__ import annotations

import html
import os
from types import TracebackType
from typing import Any

from jupyter_session_user.errors import AccessDenied, SessionUserError

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
#: Voila sets it for each of its kernels, preheated or not.
_VOILA = "VOILA_PREHEAT"


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
        if isinstance(error, AccessDenied) and _VOILA in os.environ:
            return [error.sentence]  # in an Output widget: the reader is a visitor
        lines: list[str] = shell.InteractiveTB.structured_traceback(
            type(error), error, of_user(error.__traceback__), tb_offset=0
        )
        return lines

    SessionUserError._render_traceback_ = render  # type: ignore[attr-defined]
    if _VOILA in os.environ and hasattr(shell, "set_custom_exc"):
        shell.set_custom_exc((AccessDenied,), _refuse_page)


def _refuse_page(
    shell: Any, _kind: object, error: AccessDenied, _traceback: object, tb_offset: object = None
) -> None:
    """Show a refusal on a page of Voila, as the output of the cell that it ends.

    Voila replaces the text of errors, unless ``show_tracebacks`` is on, by advice for its
    administrator. It ends the page at this cell either way, because the cell's reply is an error.
    """
    del tb_offset  # IPython passes it by its name
    text = error.sentence
    page = f'<p role="alert">{html.escape(text)}</p>'
    shell.display_pub.publish({"text/html": page, "text/plain": text})
