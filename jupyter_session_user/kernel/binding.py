"""Carry the identity to where Python does not: threads, executors, worker loops."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import Token
from typing import Any, TypeVar

from jupyter_session_user.core.session import Session
from jupyter_session_user.errors import LocalProtocolError
from jupyter_session_user.kernel import parent

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
        self._session = session
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> Session:
        """Begin to act for the session's user."""
        self._tokens.append(parent.binding.set(self._session))
        return self._session

    def __exit__(self, *exc_info: object) -> None:
        """Go back to whoever it was before."""
        parent.binding.reset(self._tokens.pop())

    def __call__(self, function: F) -> F:
        """Return ``function`` so that each call of it acts for the session's user."""
        session = self._session
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def bound_coroutine(*args: Any, **kwargs: Any) -> Any:
                with Binding(session):
                    return await function(*args, **kwargs)

            return bound_coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def bound(*args: Any, **kwargs: Any) -> Any:
            with Binding(session):
                return function(*args, **kwargs)

        return bound  # type: ignore[return-value]
