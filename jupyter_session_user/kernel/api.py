"""The functions that notebook code calls, and the magic ``%whoami``."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import (
    AccessDenied,
    IdentityUnavailable,
    SessionExpired,
    WrongArgument,
)
from jupyter_session_user.kernel.current import (
    Binding,
    check_bindable,
    current_session,
    session_of,
    valid_session,
)
from jupyter_session_user.kernel.ipykernel import helper, ipython_shell
from jupyter_session_user.kernel.live_session import FakeSession, LiveSession
from jupyter_session_user.kernel.tracebacks import shorten

if TYPE_CHECKING:
    from jupyter_session_user.core.cookies import Cookies

__all__ = [
    "Requirement",
    "auto_install",
    "bind_current_user",
    "get_cookies",
    "get_current_user",
    "get_session",
    "require_user",
    "whoami",
]

F = TypeVar("F", bound=Callable[..., Any])
D = TypeVar("D")


class _Default:
    """A default that help texts show in words.

    Args:
        text: What happens without the argument.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        """Return the words."""
        return f"<{self._text}>"


_RAISE: Any = _Default("raise the error")
_CURRENT: Any = _Default("the current user")
_NOTHING: Any = _Default("none")
_monotonic = time.monotonic
#: Groups that an error names.
_MAX_GROUPS = 5


@overload
def get_current_user(*, allow_expired: bool = False) -> User: ...
@overload
def get_current_user(default: D, *, allow_expired: bool = False) -> User | D: ...
def get_current_user(default: Any = _RAISE, *, allow_expired: bool = False) -> User | Any:
    """Return the user of the request that is running this line of code.

        user = get_current_user()
        print(f"Hello {user.display_name}")
        mine = orders[orders.owner == user.username]

    Works in cells, widget callbacks, asyncio tasks and subshells, also when several users share the
    kernel. In a bare thread or an executor there is no user: see :func:`bind_current_user`.

    Args:
        default: Returned instead of either error: ``get_current_user(default=None)``.
        allow_expired: Whether to return the user also when the login is over: for code that must go
            on, such as a job that saves its results.

    Raises:
        IdentityUnavailable: The user cannot be determined; the message ends with the fix.
        SessionExpired: The login is over; SessionRevoked if it was revoked or ended by signing out.
    """
    try:
        session = current_session()
        status = session.place.status
        check_at = status.check_at  # None in most kernels, which then read no clock
        if check_at is not None and not allow_expired and _monotonic() >= check_at:
            session.place.refuse_over()
    except (IdentityUnavailable, SessionExpired) as error:
        if default is _RAISE:
            raise error.with_traceback(None)  # noqa: B904 - our own frames help no reader
        return default
    return session.user


@overload
def get_session(*, of: Any = ...) -> LiveSession: ...
@overload
def get_session(default: D, *, of: Any = ...) -> LiveSession | D: ...
def get_session(default: Any = _RAISE, *, of: Any = _CURRENT) -> LiveSession | Any:
    """Return the session behind the current user: id, source, verified, state, expiry.

    An ended session is returned too, so that ``state`` can be read. ``state``, ``expires_at`` and
    ``seconds_left`` follow the server's updates, also while the cell runs.

    Args:
        default: Returned instead of the error when the session cannot be determined.
        of: A document of Bokeh's or Panel's server. The session is then that of the page's
            visitor, also in another visitor's callback.

    Raises:
        IdentityUnavailable: The session cannot be determined; the message ends with the fix.
    """
    try:
        return current_session() if of is _CURRENT else session_of(of)
    except IdentityUnavailable as error:
        if default is _RAISE:
            raise error.with_traceback(None)  # noqa: B904 - see above
        return default


def get_cookies() -> Cookies:
    """Return the cookies of the current user's browser that the server's policy allows.

    The first call in a session asks the server, which takes some milliseconds. It also works while
    a cell runs. Login cookies stay at the server. If the kernel belongs to another user, all
    cookies stay at the server, except those that ``share_cookies`` names.

    Raises:
        IdentityUnavailable: The user of these cookies cannot be determined.
        RequestTimeout: The server did not answer.
        SessionExpired: The login is over.
    """
    return valid_session().own_cookies()


@overload
def bind_current_user(function: F, /, *, session: Session | LiveSession | None = None) -> F: ...
@overload
def bind_current_user(*, session: Session | LiveSession | None = None) -> Binding: ...
def bind_current_user(
    function: Callable[..., Any] = _NOTHING, /, *, session: Session | LiveSession | None = None
) -> Any:
    """Carry the current user into a thread or executor.

        Thread(target=bind_current_user(work)).start()
        executor.submit(bind_current_user(work), item)

        with bind_current_user(session=job.session):    # in a worker of your own
            ...

    The user is taken when this is called, not when the function runs. A binding that a cell
    leaves open ends with that cell's message.

    Args:
        function: The function to run as the current user; without it, a decorator and context
            manager is returned.
        session: The session to bind instead of the current user's.

    Raises:
        IdentityUnavailable: No session is given, and the current user cannot be determined.
        WrongArgument: ``function`` is not callable, for example because it is the result of a call.
    """
    if function is not _NOTHING:
        check_bindable(function)
    binding = Binding(current_session() if session is None else session)
    return binding if function is _NOTHING else binding(function)


@overload
def require_user(function: F, /) -> F: ...
@overload
def require_user(
    *,
    groups: str | Iterable[str] = ...,
    usernames: str | Iterable[str] = ...,
    allow_anonymous: bool = False,
    allow_unverified: bool = False,
    agents: bool = True,
) -> Requirement: ...
def require_user(
    function: Callable[..., Any] = _NOTHING,
    /,
    *,
    groups: str | Iterable[str] = _NOTHING,
    usernames: str | Iterable[str] = _NOTHING,
    allow_anonymous: bool = False,
    allow_unverified: bool = False,
    agents: bool = True,
) -> Any:
    """Allow only some users to call a function, or to enter a block.

        @require_user(groups="finance")
        def book(): ...

        with require_user(usernames=["alice", "bob"]) as user: ...

    It guards against mistakes. It does not protect against other code in the same kernel.

    Args:
        function: The function, where the decorator is used without arguments.
        groups: Members of any of these groups may. None and an empty list are refused: they name
            no group.
        usernames: These users may. Without either argument, every user with a name may.
        allow_anonymous: Whether anonymous users may, too.
        allow_unverified: Whether a name that no server has checked is enough.
        agents: Whether an agent may act for the user; False demands the person.

    Raises:
        AccessDenied: At the call: this user may not, or not through an agent.
        IdentityUnavailable: At the call: the user cannot be determined.
        SessionExpired: At the call: the login is over.
        WrongArgument: At once: ``function`` is not callable, or an argument names no user.
    """
    requirement = Requirement(
        *(_names("groups", groups), _names("usernames", usernames)),
        *(allow_anonymous, allow_unverified, agents),
    )
    return requirement if function is _NOTHING else requirement(function)


def _names(argument: str, value: str | Iterable[str]) -> frozenset[str]:
    """Return a set of names; a single string is one name, not its letters.

    Raises:
        WrongArgument: It is not a name, nor names; or it is empty, and would allow every user.
    """
    if value is _NOTHING:
        return frozenset()
    wanted = f'write {argument}="finance", or {argument}=["finance", "sales"]'
    try:
        names: list[object] = [value] if isinstance(value, str) else list(value)
    except TypeError:
        raise WrongArgument(
            f"require_user: {argument} is {type(value).__name__}, not a name or a list of names; "
            f"{wanted}"
        ) from None
    kept = frozenset(name for name in names if isinstance(name, str))
    wrong = next((name for name in names if not isinstance(name, str)), kept)
    if wrong is not kept:
        raise WrongArgument(
            f"require_user: {argument} has a name that is {type(wrong).__name__}, not a text; "
            f"{wanted}"
        )
    if not kept or "" in kept:
        raise WrongArgument(
            f"require_user: {argument} is empty, so it permits no user; {wanted}, or leave "
            f"{argument} out to permit every user with a name"
        )
    return kept


class Requirement(NamedTuple):
    """The permitted users. The check runs at each call and each ``with``.

    Attributes:
        groups: Members of any of these groups may.
        usernames: These users may. With neither groups nor usernames, every user with a name may.
        allow_anonymous: Whether anonymous users are accepted.
        allow_unverified: Whether a name is enough that no server has checked.
        agents: Whether an agent may act for the user.
    """

    groups: frozenset[str]
    usernames: frozenset[str]
    allow_anonymous: bool
    allow_unverified: bool
    agents: bool = True

    def check(self, session: Session | LiveSession) -> User:
        """Return the user.

        Raises:
            AccessDenied: This user may not.
        """
        user = session.user
        if user.is_anonymous and not self.allow_anonymous:
            raise AccessDenied(
                "this needs a user with a name, and the server only knows an anonymous user: "
                "log in with an account, or pass allow_anonymous=True",
                status_code=401,
                for_visitor="this needs a user with a name: log in with an account",
            )
        # A fake user is the test's own, and exists only where no real user can be.
        trusted = session.verified or isinstance(session, FakeSession)
        if not (trusted or user.is_anonymous or self.allow_unverified):
            raise AccessDenied(f"no server has verified that this is {user.username!r}")
        if session.actor is not None and not self.agents:
            missing = (
                f"this needs {user.username!r} in person, and {session.actor} sent the request: "
                "run it from your own browser"
            )
            raise AccessDenied(f"{missing}, or pass agents=True", for_visitor=missing)
        listed = user.username in self.usernames or not self.groups.isdisjoint(user.groups)
        if (self.groups or self.usernames) and not listed:
            raise AccessDenied(f"{user.username!r} is not permitted to do this{self._wanted()}")
        return user

    def _wanted(self) -> str:
        """Return what the user lacks: the groups, but never the names of other users."""
        if not self.groups:
            return ""
        names = [repr(name) for name in sorted(self.groups)]
        shown = ", ".join(names[:_MAX_GROUPS]) + (", …" if len(names) > _MAX_GROUPS else "")
        which = "the group" if len(names) == 1 else "one of the groups"
        others = ", or a user that its author names" if self.usernames else ""
        return (
            f": this needs a member of {which} {shown}{others}. Ask your administrator for "
            "membership, and then log in again"
        )

    def user(self) -> User:
        """Check now, and return the user: ``Depends(require_user(groups="finance").user)``.

        Raises:
            AccessDenied: This user may not.
            IdentityUnavailable: The user cannot be determined.
        """
        return self.check(valid_session())

    def __enter__(self) -> User:
        """Check now; the block gets the user."""
        return self.user()

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing: only the entry is guarded."""

    def __call__(self, function: F) -> F:
        """Return ``function`` with the check before each call.

        Raises:
            WrongArgument: ``function`` is not callable.
        """
        given: object = function
        if not callable(given):
            raise WrongArgument(
                f"require_user guards a function, not {type(given).__name__}; "
                'name who may: require_user(groups="finance") or require_user(usernames="alice")'
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True  # by IPython and pytest: the error is the function's own
                with self:
                    return await function(*args, **kwargs)

            return guarded_coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with self:
                return function(*args, **kwargs)

        return guarded  # type: ignore[return-value]


def auto_install(shell: Any = None) -> None:
    """Install into the running kernel and shell; do nothing where there is none.

    Args:
        shell: The IPython shell, if the caller has it.
    """
    shell = shell or ipython_shell()
    if shell is None:
        return
    helper(shell)
    shorten(shell)
    shell.register_magic_function(whoami, magic_kind="line", magic_name="whoami")


def whoami(line: str = "") -> LiveSession | None:
    """Show the user of the request that is running this cell: ``%whoami``."""
    del line  # a magic gets the rest of its line; this one has no options
    try:
        return current_session()
    except IdentityUnavailable as error:
        print(error)  # noqa: T201 - a magic prints for the user of the cell
        return None
