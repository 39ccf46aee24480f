"""``require_user``: let only some people on."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import AccessDenied
from jupyter_session_user.kernel.current import valid_session

__all__ = ["Requirement", "names"]

F = TypeVar("F", bound=Callable[..., Any])


def names(value: str | Iterable[str]) -> frozenset[str]:
    """Return a set of names; a single string is one name, not its letters."""
    return frozenset({value} if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class Requirement:
    """Who may pass. Checked anew at each call and each ``with``.

    Attributes:
        groups: Members of any of these may.
        usernames: These people may. With neither groups nor usernames, everybody with a
            name may.
        allow_anonymous: Whether users that Jupyter made up count as somebody.
        allow_unverified: Whether a name is enough that no server has checked.
    """

    groups: frozenset[str]
    usernames: frozenset[str]
    allow_anonymous: bool
    allow_unverified: bool

    def check(self, session: Session) -> User:
        """Return the user.

        Raises:
            AccessDenied: This user may not.
        """
        user = session.user
        if user.is_anonymous and not self.allow_anonymous:
            raise AccessDenied(
                "this needs somebody with a name, and the server only knows a made-up user: "
                "log in with an account, or say allow_anonymous=True"
            )
        if not (session.verified or user.is_anonymous or self.allow_unverified):
            raise AccessDenied(f"no server has verified that this is {user.username!r}")
        if (self.groups or self.usernames) and not self._lists(user):
            raise AccessDenied(f"{user.username!r} is not among those who may do this")
        return user

    def _lists(self, user: User) -> bool:
        return user.username in self.usernames or not self.groups.isdisjoint(user.groups)

    def __enter__(self) -> User:
        """Check now; the block gets the user."""
        return self.check(valid_session())

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing: only the entry is guarded."""

    def __call__(self, function: F) -> F:
        """Return ``function`` with the check before each call."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return guarded_coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return guarded  # type: ignore[return-value]
