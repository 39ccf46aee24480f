"""Carry the identity to where Python does not: threads, executors, worker loops."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from jupyter_session_user.core.session import Session
from jupyter_session_user.errors import LocalProtocolError
from jupyter_session_user.kernel import parent
from jupyter_session_user.kernel.current import LiveSession

__all__ = ["Binding"]

F = TypeVar("F", bound=Callable[..., Any])


class Binding:
    """A session that holds for a function's calls, or for a ``with`` block.

    Args:
        session: The session; it is the caller's to know whose work is done.
    """

    def __init__(self, session: Session) -> None:
        if not isinstance(session, Session):
            raise LocalProtocolError(
                f"bind_current_user needs a Session, not {type(session).__name__}: "
                "take one with get_session()"
            )
        self._session = LiveSession.of(session)

    def __enter__(self) -> Session:
        """Begin to act for the session's user."""
        parent.binding.set(_Entry(self._session, self, parent.binding.get()))
        return self._session

    def __exit__(self, *exc_info: object) -> None:
        """Go back to whoever it was before, if this binding was entered here.

        It may be left elsewhere: a generator that one person's cell abandons is closed in
        another's. There is nothing to go back to then, least of all the old value of a token.
        """
        entry = parent.binding.get()
        while entry is not None and entry.binding is not self:
            entry = entry.outer
        if entry is not None:
            parent.binding.set(entry.outer)

    def __call__(self, function: F) -> F:
        """Return ``function`` so that each call of it acts for the session's user."""
        session = self._session
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def bound_coroutine(*args: Any, **kwargs: Any) -> Any:
                return await _continue(session, function(*args, **kwargs))

            return bound_coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def bound(*args: Any, **kwargs: Any) -> Any:
            with Binding(session):
                result = function(*args, **kwargs)
            # A lambda, or an object with an async __call__: its work is still to be done.
            return _continue(session, result) if inspect.iscoroutine(result) else result

        return bound  # type: ignore[return-value]


class _Entry:
    """One entering of a binding; kept in the context, so that threads and tasks may share it."""

    __slots__ = ("binding", "outer", "session", "thread")

    def __init__(self, session: Session, binding: Binding, outer: _Entry | None) -> None:
        self.session = session
        self.thread = threading.get_ident()
        self.binding = binding
        self.outer = outer


async def _continue(session: Session, coroutine: Coroutine[Any, Any, Any]) -> Any:
    with Binding(session):
        return await coroutine
