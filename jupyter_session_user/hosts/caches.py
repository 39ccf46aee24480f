"""Warns if a cache that all visitors share keeps a result of one visitor.

The check looks for such a cache on the stack of the caller. It runs once for each place in the
code, since it takes some microseconds. The private names of the caches are in this file.
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from jupyter_session_user.core.user import User
from jupyter_session_user.errors import SharedResultWarning
from jupyter_session_user.hosts.base import HostSession

__all__ = ["notice"]

#: Frames from ``notice`` to the caller of ``get_current_user`` or ``get_session``: ``find``,
#: ``current_session``, and the call itself. Some calls have one more, hence the pairs below.
_DEPTH = 4
#: A page's script is compiled again for each page, so the number of code objects has no limit.
_MOST = 2000
#: Checked places: a function and its caller. The set keeps them alive, because their ids are the
#: keys: the hash of a code object is computed from all its parts.
_seen: dict[tuple[int, int], tuple[CodeType, CodeType | None]] = {}
#: After this many calls of one session in a row, the calls count as a loop and are not checked.
_MANY = 100
_asking = ""
_in_a_row = 0
_warned: set[tuple[str, int, str]] = set()
_LRU_CACHE = type(functools.lru_cache(len))


def notice(session: HostSession) -> HostSession | None:
    """Warn if the caller fills a cache that all visitors share.

    Args:
        session: The session that the caller is about to get.

    Returns:
        The session once its calls are not checked any more, until another session's call.
    """
    global _asking, _in_a_row  # noqa: PLW0603 - threads may lose a count: it is an estimate
    if session.id is not _asking:
        _asking, _in_a_row = session.id, 0
    if _in_a_row >= _MANY:
        return session
    _in_a_row += 1
    frame = sys._getframe(_DEPTH)  # noqa: SLF001 - the documented way to the stack
    back = frame.f_back
    key = (id(frame.f_code), id(back and back.f_code))
    if key not in _seen:
        if len(_seen) >= _MOST:
            _seen.clear()
        _seen[key] = frame.f_code, back and back.f_code
        _look(frame, session.user)
    return None


def _look(frame: FrameType | None, user: User) -> None:
    """Look for a cache among the callers of a frame."""
    inner = frame
    while frame is not None:
        keeper = _KEEPERS.get((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
        if keeper is not None:
            name, is_shared = keeper
            if inner is not None and is_shared(frame.f_locals):
                _warn(name, inner, user)
        elif _has_lru_cache(frame):
            _warn("functools.lru_cache", frame, user)
        inner, frame = frame, frame.f_back


def _has_lru_cache(frame: FrameType) -> bool:
    """Return whether a frame runs a module's function with ``lru_cache``, which has no frame."""
    wrapper = frame.f_globals.get(frame.f_code.co_name)
    if type(wrapper) is not _LRU_CACHE:
        return False
    return getattr(wrapper.__wrapped__, "__code__", None) is frame.f_code


def _warn(cache: str, frame: FrameType, user: User) -> None:
    code = frame.f_code
    place = code.co_filename, code.co_firstlineno, code.co_name
    if place in _warned or _is_told(frame, user):
        return
    _warned.add(place)
    warnings.warn_explicit(
        f"{code.co_name}() calls get_current_user(), and {cache} keeps its result for all "
        "visitors: each of them gets what was made for one. Pass the username as an argument: "
        f"{code.co_name}(get_current_user().username).",
        SharedResultWarning,
        code.co_filename,
        frame.f_lineno,
    )


def _is_told(frame: FrameType, user: User) -> bool:
    """Return whether the user is among a function's arguments, and so part of the cache's key."""
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    # Streamlit leaves arguments with a leading underscore out of its key.
    told = (values.get(name) for name in names if not name.startswith("_"))
    return any(
        value == user.username if isinstance(value, str) else isinstance(value, User)
        for value in told
    )


def _of_panel(here: dict[str, Any]) -> bool:
    """Return whether ``pn.cache`` has no ``per_session=True``."""
    hash_function = here.get("hash_func")
    if not inspect.isfunction(hash_function):
        return True
    return not inspect.getclosurevars(hash_function).nonlocals.get("per_session")


def _of_streamlit(here: dict[str, Any]) -> bool:
    """Return whether ``st.cache_data`` has no ``scope="session"``, an option of newer releases."""
    return getattr(getattr(here.get("self"), "_info", None), "scope", "global") != "session"


def _of_marimo(here: dict[str, Any]) -> bool:
    """Return whether it is ``mo.persistent_cache``: ``mo.cache`` is one page's, in memory."""
    partial = getattr(here.get("self"), "_loader_partial", None)
    return getattr(getattr(partial, "loader_type", None), "__name__", "") != "MemoryLoader"


_Shared = Callable[[Any], bool]
#: Keyed by module and function of the frame that calls the cached function.
_KEEPERS: dict[tuple[str, str], tuple[str, _Shared]] = {
    ("panel.io.cache", "wrapped_func"): ("pn.cache", _of_panel),
    ("panel.io.state", "as_cached"): ("pn.state.as_cached", lambda _here: True),
    ("streamlit.runtime.caching.cache_utils", "_handle_cache_miss"): (
        "Streamlit's cache",
        _of_streamlit,
    ),
    ("streamlit.runtime.caching.cache_utils", "_handle_cache_miss_async"): (
        "Streamlit's cache",
        _of_streamlit,
    ),
    ("marimo._save.save", "__call__"): ("mo.persistent_cache", _of_marimo),
    ("marimo._save.save", "_execute_cached"): ("mo.persistent_cache", _of_marimo),
}
