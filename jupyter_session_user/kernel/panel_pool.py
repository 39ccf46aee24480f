"""Panel's thread pool (``pn.config.nthreads``): callbacks go on as whoever caused them.

Panel hands a callback to a pool of its own, whose threads know nobody. Its ``submit`` runs
inside the message of the click, so that is the place to take the identity along. The pool and
what is said of Panel below are private names of Panel's, and this is the only file that knows
them.
"""

from __future__ import annotations

import functools
import sys
from types import MethodType
from typing import Any

from jupyter_session_user.kernel.parent import carried

__all__ = ["watch_panel_pool"]

_MARK = "__jupyter_session_user__"
#: What Panel gives the pool when a widget in a notebook has changed.
_WORKS_OFF = "Syncable._schedule_change"


def watch_panel_pool() -> None:
    """Wrap the pool that Panel has now, if it has one; cheap, and harmless when repeated.

    Called at every message: the setting may change, and Panel then makes another pool.
    """
    module = sys.modules.get("panel.io.state")
    if module is None:
        return
    pool = getattr(getattr(module, "state", None), "_thread_pool", None)
    if pool is not None and not hasattr(pool.submit, _MARK):
        pool.submit = _carrying(pool.submit)


def _carrying(submit: Any) -> Any:
    @functools.wraps(submit)
    def submit_carried(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return submit(carried(_with_own_changes(function)), *args, **kwargs)

    setattr(submit_carried, _MARK, True)
    return submit_carried


class _OwnChanges:
    """Stands for a widget while its changes of one message are worked off.

    In a notebook Panel collects a widget's changes in the widget, and a thread of the pool
    takes whatever it finds there: what Bob entered while the pool was busy would be worked off
    by the thread that Alice's change asked for, as Alice.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self._events, widget._events = widget._events, {}  # noqa: SLF001 - see the module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._widget, name)

    def _change_event(self, *args: Any) -> Any:
        return MethodType(type(self._widget)._change_event, self)(*args)  # noqa: SLF001


def _with_own_changes(function: Any) -> Any:
    """Return the function; one that works off a widget's changes gets those made until now."""
    if not isinstance(function, MethodType) or function.__func__.__qualname__ != _WORKS_OFF:
        return function
    return MethodType(function.__func__, _OwnChanges(function.__self__))
