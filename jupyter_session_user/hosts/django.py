"""Django: the ``request.user`` of the current request; nothing is patched.

All private names of Django are in this file: ``_cached_user`` and ``_acached_user`` of a
request, and ``_setupfunc`` of a lazy object.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from jupyter_session_user.core.denied import answer
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import AccessDenied, IdentityUnavailable
from jupyter_session_user.hosts.base import Host, HostRequest, HostSession
from jupyter_session_user.hosts.middleware import Served, serving
from jupyter_session_user.kernel import message_context

__all__ = ["HOST", "SessionUserMiddleware"]

#: The attribute of an account that caches the names of its groups. Accounts compare by their
#: primary keys: in a dictionary of ours one request would get the groups of an earlier one.
_GROUPS = "_jupyter_session_user_groups"
#: The module of the function behind Django's own ``request.user``.
_OWN_LOGIN = "django.contrib.auth.middleware"

_modules = sys.modules

#: The request that this context serves or has served.
_current: ContextVar[Served | None] = ContextVar("jupyter_session_user.django", default=None)
message_context.variables.append(_current)


class SessionUserMiddleware:
    """Set the current user while Django answers a request, streamed bodies included.

        MIDDLEWARE = [
            ...,
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "jupyter_session_user.hosts.django.SessionUserMiddleware",
        ]

    The user is ``request.user``, also after ``login()`` and ``logout()`` in the view. A sync view
    looks the user up on the first call. For an async view the middleware looks the user and the
    groups up before the view, since ``get_current_user()`` cannot await.

    Args:
        get_response: The inner middleware or the view.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        from asgiref.sync import (  # noqa: PLC0415 - Django brings it
            iscoroutinefunction,
            markcoroutinefunction,
        )

        _host.in_use = True
        self.get_response = get_response
        self._is_async_function = iscoroutinefunction
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        self.process_view = self._prepare_async if self._is_async else self._prepare

    def __call__(self, request: Any) -> Any:
        """Serve one request."""
        served = _Request(request)
        if self._is_async:
            return self._serve_async(request, served)
        try:
            with serving(_current, served):
                response = self.get_response(request)
        except BaseException:  # a cancelled request is over, too
            served.live = False
            raise
        return _answer(response, served)

    async def _serve_async(self, request: Any, served: Served) -> Any:
        try:
            with serving(_current, served):
                response = await self.get_response(request)
        except BaseException:  # a cancelled request is over, too
            served.live = False
            raise
        return _answer(response, served)

    def _prepare(self, request: Any, view: Callable[..., Any], *_: object) -> None:
        """Look the user up for an async view, which cannot do it itself."""
        user = vars(request).get("user")
        if user is not None and self._is_async_function(view):
            with _Unnoticed(request):
                if user.is_authenticated:
                    _load_groups(user)

    async def _prepare_async(self, request: Any, view: Callable[..., Any], *_: object) -> None:
        user = vars(request).get("user")
        if user is None or not self._is_async_function(view):
            return
        with _Unnoticed(request):
            if _is_djangos_own(user) and hasattr(request, "auser"):
                account = await request.auser()
            else:
                from asgiref.sync import sync_to_async  # noqa: PLC0415 - Django brings it

                account = await sync_to_async(_authenticated)(user)
            groups = getattr(account, "groups", None) if account.is_authenticated else None
            if groups is not None:
                found = [name async for name in groups.values_list("name", flat=True)]
                setattr(account, _GROUPS, tuple(found))

    def process_exception(self, request: Any, error: Exception) -> Any:
        """Answer an ``AccessDenied`` with its status, as FastAPI and Flask do."""
        if not isinstance(error, AccessDenied):
            return None
        from django.http import HttpResponse  # noqa: PLC0415 - loaded by now

        status, headers, body = answer(error, request.headers.get("Accept", ""))
        return HttpResponse(body, status=status, headers=headers)


class _Request(Served):
    """One request. Its user may change while it is served: ``login()`` sets ``request.user``."""

    __slots__ = ("_http", "_seen")

    def __init__(self, request: Any) -> None:
        super().__init__(
            "django", lambda: _named(request), lambda: HostRequest.of(request.headers.items())
        )
        self._http = vars(request)
        self._seen: Any = None

    def session(self) -> HostSession | None:
        user = self._http.get("user")
        if user is not self._seen:
            self._seen = user
            self.forget()
        return super().session()


class _Unnoticed:
    """Hides a look into the session, which would otherwise add ``Vary: Cookie`` to the response.

    The mark is set once app code asks for the user.
    """

    def __init__(self, request: Any) -> None:
        self._session = getattr(request, "session", None)

    def __enter__(self) -> None:
        self._accessed = getattr(self._session, "accessed", True)

    def __exit__(self, *exc_info: object) -> None:
        if not self._accessed and self._session is not None:
            self._session.accessed = False


def _named(request: Any) -> tuple[User | None, bool]:
    user = vars(request).get("user")
    if user is None:
        raise IdentityUnavailable(
            "This request has no request.user. List AuthenticationMiddleware in MIDDLEWARE before "
            "jupyter_session_user.hosts.django.SessionUserMiddleware.",
            reason="unsupported_host",
        )
    session = getattr(request, "session", None)
    if session is not None:
        session.accessed = True  # a cache must keep the page for this user alone
    account = _account(request, user)
    return (_Account.of(account) if account.is_authenticated else None), True


def _account(request: Any, user: Any) -> Any:
    """Return the account behind ``request.user``; in an event loop only a loaded one."""
    if _is_djangos_own(user):
        for name in ("_cached_user", "_acached_user"):
            if name in vars(request):
                return vars(request)[name]
    return _outside_loop(_authenticated, user)


def _authenticated(user: Any) -> Any:
    """Return an account that has been looked up."""
    _ = user.is_authenticated
    return user


def _is_djangos_own(user: Any) -> bool:
    """Return whether Django's own middleware has set ``request.user``.

    Some packages replace it with a lazy object, for example to act as another user.
    """
    function = vars(user).get("_setupfunc")
    return getattr(function, "__module__", "") == _OWN_LOGIN


def _outside_loop(function: Callable[[Any], Any], argument: Any) -> Any:
    """Call a function that may ask the database.

    Raises:
        IdentityUnavailable: The code is a coroutine, in which Django forbids database access.
    """
    from django.core.exceptions import SynchronousOnlyOperation  # noqa: PLC0415 - loaded by now

    try:
        return function(argument)
    except SynchronousOnlyOperation:
        raise IdentityUnavailable(
            "Django has not looked this request's user up yet, and a coroutine cannot wait for "
            "the database here. Call get_current_user() in the view, or 'await request.auser()' "
            "before, or use sync_to_async(get_current_user)().",
            reason="no_context",
        ) from None


class _LazyGroups:
    """The field ``groups``: looks the names up on the first read."""

    def __get__(self, user: Any, owner: Any = None) -> Any:
        if user is None:
            return self
        return _outside_loop(_load_groups, user.account)

    def __set__(self, user: Any, value: Any) -> None:
        """Ignore the value: ``User.__init__`` sets the default."""


class _Account(User):
    """The user of a Django account."""

    __slots__ = ("account",)

    groups = _LazyGroups()

    @classmethod
    def of(cls, account: Any) -> _Account:
        """Return the user of an account.

        Raises:
            IdentityUnavailable: The account has no name.
        """
        username = str(account.get_username() or "")
        if not username:
            raise IdentityUnavailable(
                f"The {type(account).__name__} of this request has an empty username. Give it one, "
                "or set USERNAME_FIELD of the model to a field that is never empty.",
                reason="unsupported_host",
            )
        full_name = getattr(account, "get_full_name", None)
        name = str(full_name()) if callable(full_name) else ""
        user = cls(username, name, admin=getattr(account, "is_superuser", False) is True)
        object.__setattr__(user, "account", account)
        return user

    def _plain(self) -> User:
        return User.from_wire(self.to_wire())

    def __eq__(self, other: object) -> bool:
        return self._plain() == (other._plain() if isinstance(other, _Account) else other)

    def __hash__(self) -> int:
        return hash(self._plain())


def _load_groups(account: Any) -> tuple[str, ...]:
    """Return the names of an account's groups, from the database the first time."""
    if not hasattr(account, _GROUPS):
        groups = getattr(account, "groups", None)
        found = () if groups is None else tuple(groups.values_list("name", flat=True))
        setattr(account, _GROUPS, found)
    names: tuple[str, ...] = getattr(account, _GROUPS)
    return names


def _answer(response: Any, served: Served) -> Any:
    """Make the chunks of a streamed body run as the user of the request."""
    if not response.streaming or getattr(response, "file_to_stream", None) is not None:
        served.live = False  # no app code runs for it any more
    elif response.is_async:
        response.streaming_content = _AsyncChunks(response.streaming_content, served)
    else:
        response.streaming_content = _Chunks(response.streaming_content, served)
    return response


class _Chunks:
    """A streamed body."""

    def __init__(self, body: Iterable[bytes], served: Served) -> None:
        self._chunks = iter(body)
        self._served = served

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with serving(_current, self._served):
            return next(self._chunks)

    def close(self) -> None:
        """End the request, as Django does after the last chunk."""
        self._served.live = False


class _AsyncChunks:
    """A streamed body of an asynchronous iterator."""

    def __init__(self, body: AsyncIterator[bytes], served: Served) -> None:
        self._chunks = body
        self._served = served

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._next()

    async def _next(self) -> bytes:
        with serving(_current, self._served):
            return await anext(self._chunks)

    def close(self) -> None:
        """End the request, as Django does after the last chunk."""
        self._served.live = False


class _Django:
    name = "django"
    in_use = False

    def current(self) -> HostSession | None:
        served = _current.get()
        return None if served is None else served.session()

    def install(self) -> None:
        """Do nothing: the project's settings list the middleware."""

    def serving(self) -> bool:
        return self.in_use


_host = _Django()
HOST: Host = _host
