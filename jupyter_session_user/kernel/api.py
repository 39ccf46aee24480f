"""What notebook code calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import IdentityUnavailable, SessionExpired
from jupyter_session_user.kernel.binding import Binding
from jupyter_session_user.kernel.current import LiveSession, current_session, valid_session
from jupyter_session_user.kernel.require import Requirement, names

if TYPE_CHECKING:
    from jupyter_session_user.core.cookies import Cookies

__all__ = [
    "bind_current_user",
    "get_cookies",
    "get_current_user",
    "get_session",
    "on_session_change",
    "require_user",
]

F = TypeVar("F", bound=Callable[..., Any])
D = TypeVar("D")

_RAISE: Any = object()
_monotonic = time.monotonic


@overload
def get_current_user(*, allow_expired: bool = False) -> User: ...
@overload
def get_current_user(default: D, *, allow_expired: bool = False) -> User | D: ...
def get_current_user(default: Any = _RAISE, *, allow_expired: bool = False) -> Any:
    """Return the person whose request is running this line of code.

    Right in cells, widget callbacks, asyncio tasks and subshells, also when several people
    share the kernel. In a bare thread or an executor there is no answer: see
    :func:`bind_current_user`.

    Args:
        default: Returned instead of either error.
        allow_expired: Whether to name the person also when the login is over: for code that
            must go on, such as a job that saves its results.

    Raises:
        IdentityUnavailable: Nobody can say; the message ends with what to do.
        SessionExpired: The login is over; SessionRevoked where it did not just run out.
    """
    try:
        session = current_session()
        standing = session.place.standing
        check_at = standing.check_at  # None in most kernels, which then read no clock
        if check_at is not None and not allow_expired and _monotonic() >= check_at:
            standing.refuse_over()
    except (IdentityUnavailable, SessionExpired):
        if default is _RAISE:
            raise
        return default
    return session.user


@overload
def get_session() -> LiveSession: ...
@overload
def get_session(default: D) -> LiveSession | D: ...
def get_session(default: Any = _RAISE) -> Any:
    """Return the session behind the current user: id, source, verified, state, expiry.

    It is given also when it is over, so that ``state`` can be read; ``state``, ``expires_at``
    and ``seconds_left`` follow what the server says, also while the cell runs.

    Args:
        default: Returned where nobody can say whose session it is, instead of the error.

    Raises:
        IdentityUnavailable: Nobody can say; the message ends with what to do.
    """
    try:
        return current_session()
    except IdentityUnavailable:
        if default is _RAISE:
            raise
        return default


def get_cookies() -> Cookies:
    """Return the cookies of the current user's browser, as far as the server gives them.

    The first call in a session asks the server, which takes some milliseconds, also while a
    cell runs. Login cookies stay at the server, and so do all cookies where the kernel
    belongs to somebody else, but for those that ``share_cookies`` names.

    Raises:
        IdentityUnavailable: Nobody can say whose cookies these would be.
        RequestTimeout: The server did not answer.
        SessionExpired: The login is over.
    """
    from jupyter_session_user.kernel.jar import cookies_of  # noqa: PLC0415 - few need it

    return cookies_of(valid_session())


def on_session_change(callback: Callable[[LiveSession], object], /) -> Callable[[], None]:
    """Have a function called when something happens to the current user's login.

        cancel = on_session_change(lambda session: print(session.state))

    It is called with the session when that is expiring, has expired, was renewed, was revoked,
    or has ended, and when the same person signs in again and uses this kernel; within a
    second, also while a cell runs. The person goes by the username; for users that Jupyter
    made up, a new login is another name.

    All callbacks run one after another in one thread of their own, as the user who registered
    them (``get_current_user(allow_expired=True)``), and what they print goes where that
    user's cell prints. An error in one is logged, and a slow one delays the others.

    Args:
        callback: A plain function of one argument.

    Returns:
        A function without arguments that cancels this. So this is no decorator: the name
        would stand for the cancelling.

    Raises:
        IdentityUnavailable: Nobody can say who the current user is.
    """
    from jupyter_session_user.kernel.listeners import listen  # noqa: PLC0415 - few need it

    return listen(callback, current_session())


@overload
def bind_current_user(function: F, /, *, session: Session | None = None) -> F: ...
@overload
def bind_current_user(*, session: Session | None = None) -> Binding: ...
def bind_current_user(
    function: Callable[..., Any] | None = None, /, *, session: Session | None = None
) -> Any:
    """Carry the current user into a thread or executor.

        Thread(target=bind_current_user(work)).start()
        executor.submit(bind_current_user(work), item)

        with bind_current_user(session=job.session):    # in a worker of your own
            ...

    The user is taken when this is called, not when the function runs. A binding that a cell
    leaves open ends with that cell's message.

    Args:
        function: What shall run as the current user; without it, a decorator and context
            manager is returned.
        session: Whom to bind, where it is not the current user.

    Raises:
        IdentityUnavailable: There is no session given, and nobody can say who this is.
    """
    binding = Binding(current_session() if session is None else session)
    return binding if function is None else binding(function)


@overload
def require_user(function: F, /) -> F: ...
@overload
def require_user(
    *,
    groups: str | Iterable[str] = (),
    usernames: str | Iterable[str] = (),
    allow_anonymous: bool = False,
    allow_unverified: bool = False,
) -> Requirement: ...
def require_user(
    function: Callable[..., Any] | None = None,
    /,
    *,
    groups: str | Iterable[str] = (),
    usernames: str | Iterable[str] = (),
    allow_anonymous: bool = False,
    allow_unverified: bool = False,
) -> Any:
    """Let only some people call a function, or enter a block.

        @require_user(groups="finance")
        def book(): ...

        with require_user(usernames=["alice", "bob"]) as user: ...

    It keeps honest code honest; it is no wall against other code in the same kernel.

    Args:
        function: The function, where the decorator is used without arguments.
        groups: Members of any of these may.
        usernames: These people may.
        allow_anonymous: Whether users that Jupyter made up may, too.
        allow_unverified: Whether a name that no server has checked is enough.

    Raises:
        AccessDenied: At the call: this user may not.
        IdentityUnavailable: At the call: nobody can say who it is.
        SessionExpired: At the call: the login is over.
    """
    requirement = Requirement(names(groups), names(usernames), allow_anonymous, allow_unverified)
    return requirement if function is None else requirement(function)
