"""Find the session of the message being handled: the only module that decides this.

The order: an explicit binding, then the kernel's message, then an app's host that has a visitor
here. Where none of them can exist, the environment may make up a user. There is no other source.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import get_ident
from typing import Any, TypeVar

from jupyter_session_user.core import session as core
from jupyter_session_user.core.stamp import KEY, may_ask, read_stamp, unknown_reason
from jupyter_session_user.errors import (
    ConfigurationError,
    IdentityUnavailable,
    RemoteProtocolError,
    WrongArgument,
)
from jupyter_session_user.kernel import detached, message_context
from jupyter_session_user.kernel.diagnose import no_stamp, no_visitor, unavailable
from jupyter_session_user.kernel.ipykernel import helper, installed, names_users, no_message
from jupyter_session_user.kernel.live_session import FakeSession, LiveSession, ask
from jupyter_session_user.kernel.status import statuses

__all__ = [
    "Binding",
    "check_bindable",
    "current_session",
    "register_host_finder",
    "session_of",
    "valid_session",
]

#: Python 3.14 can be told to start threads with a copy of the starter's context (free-threaded
#: builds do): a pool's worker would then be its first user for ever.
_THREADS_INHERIT = bool(getattr(sys.flags, "thread_inherit_context", False))

F = TypeVar("F", bound=Callable[..., Any])

_binding = message_context.binding.get
_message = message_context.message.get
_witness = message_context.witness.get


def _no_host() -> None:
    """Stand for all functions of hosts until one registers."""


_find_host: Callable[[], LiveSession | None] = _no_host
_is_serving: Callable[[], bool | None] = _no_host
_find_owner: Callable[[Any], LiveSession]


def register_host_finder(
    find: Callable[[], LiveSession | None],
    serving: Callable[[], bool],
    owner: Callable[[Any], LiveSession],
) -> None:
    """Register a function that finds an app's visitor; this module imports no host.

    Args:
        find: Returns the session of the visitor here, or None.
        serving: Tells whether this process serves an app.
        owner: Returns the session of the visitor whom a document belongs to.
    """
    global _find_host, _is_serving, _find_owner
    _find_host, _is_serving, _find_owner = find, serving, owner


def session_of(document: Any) -> LiveSession:
    """Return the session of the visitor whom a document belongs to.

    Raises:
        IdentityUnavailable: The document has no visitor, or its visitor is unknown.
    """
    return _find_owner(document)


def valid_session() -> LiveSession:
    """Return the current session unless it is over.

    Raises:
        IdentityUnavailable: The session cannot be determined.
        SessionExpired: It is over.
    """
    session = current_session()
    session.place.refuse_over()
    return session


def current_session() -> LiveSession:
    """Return the session of the request that runs this code, ended or not.

    Raises:
        IdentityUnavailable: The session cannot be determined; the message gives the reason and the
            fix.
    """
    entered = _binding()
    if entered is None:
        entered = _message()
        if entered is None:
            return _find_host() or _without_message()
        if _witness() is not entered.parent:
            raise unavailable("disagreement")
    if entered.process is not message_context.process:
        raise unavailable("forked_process")
    if detached.collecting is not entered.collection or detached.attached or _THREADS_INHERIT:
        _check_origin(entered)
    known: LiveSession | None = entered.session
    return known if known is not None else _read(entered)


def _check_origin(entered: Any) -> None:
    """Refuse a context that was copied from unrelated code."""
    collection = detached.collecting
    interrupts = collection is not None and collection.thread == get_ident()
    if interrupts and collection is not entered.collection:
        raise unavailable("finalizer")
    if detached.attached and detached.is_evaluating():
        raise unavailable("debugger")
    if _THREADS_INHERIT and entered.thread != get_ident():
        raise unavailable("no_context")


def _without_message() -> LiveSession:
    if detached.attached and detached.is_evaluating():
        raise unavailable("debugger")
    if installed() is None and helper() is not None:
        return current_session()  # the helper has recorded the cell that runs here
    here = installed()
    if here is None and _is_serving():
        raise no_visitor()
    made_up = None if here is not None else _made_up()
    if made_up is None:
        raise no_message(here)
    return made_up


def _made_up() -> LiveSession | None:
    """Return the fake user of the environment, where no real user can be; else None."""
    if "JUPYTER_SESSION_USER_FAKE" not in os.environ or names_users():
        return None
    from jupyter_session_user.kernel.made_up import of_environment  # noqa: PLC0415 - few need it

    made_up = of_environment()
    return None if made_up is None else FakeSession(*made_up)


def _read(message: message_context.Message) -> LiveSession:
    """Read a message's stamp once; later calls return the same session."""
    stamp = message.parent["metadata"].get(KEY)
    here = helper()
    if stamp is None:
        stamped = here is not None and here.stamped.is_set()
        made_up = _made_up()
        if made_up is None:
            raise unavailable("direct_client") if stamped else no_stamp()
        return made_up  # not kept: the next message may have a stamp
    reason = unknown_reason(stamp)
    session = _session_of(stamp) if reason is None else _ask_whose(stamp, reason)
    if here is not None:
        here.updates.saw(session.id)
    message.session = session
    return session


def _ask_whose(stamp: Any, reason: str) -> LiveSession:
    """Ask for the kernel's owner, if it may have been settled since the message was sent.

    Voila hands a visitor a kernel in which a cell is already running.
    """
    if may_ask(stamp):
        with suppress(IdentityUnavailable):
            return LiveSession(core.Session.from_wire(ask("", "visitor").get("session")))
    raise IdentityUnavailable(
        f"Jupyter Server does not know the user of this request: {reason}. Run the code from "
        "a page with a logged-in user.",
        reason="unknown_at_server",
    )


def _session_of(stamp: Any) -> LiveSession:
    try:
        session = read_stamp(stamp)
    except RemoteProtocolError as error:
        raise IdentityUnavailable(
            f"The stamp of Jupyter Server cannot be read ({error}). Install the same release "
            "of jupyter-session-user for the server and for the kernel.",
            reason="malformed_stamp",
        ) from None
    return LiveSession(session, statuses.place_of_message(session))


# ------------------------------------------------------------------------------- bindings


class Binding:
    """A session that applies to a function's calls, or to a ``with`` block.

    Args:
        session: The session. The caller must know that the work belongs to it.
    """

    #: Whether code that kept a context of this binding may no longer use it.
    is_over = False

    def __init__(self, session: core.Session | LiveSession) -> None:
        if not isinstance(session, core.SessionFields):
            raise WrongArgument(
                f"bind_current_user needs a Session, not {type(session).__name__}: "
                "take one with get_session()"
            )
        self._session = LiveSession.of(session)

    def __enter__(self) -> LiveSession:
        """Begin to act for the session's user.

        Raises:
            ConfigurationError: The user is a fake, and a real user may be here.
        """
        session = self._session
        outer = message_context.binding.get()
        if isinstance(session, FakeSession):
            _refuse_beside_real_users(hides=isinstance(outer, _Entry))
            message_context.binding.set(_FakeEntry(session, self, outer))
        else:
            message_context.binding.set(_Entry(session, self, outer))
        return session

    def __exit__(self, *exc_info: object) -> None:
        """Restore the previous user, if this binding was entered in this context.

        It may be left in another context: a generator that one user's cell abandons is closed in
        another's. Then there is no value to restore, least of all the old value of a token.
        """
        entry = message_context.binding.get()
        while entry is not None and entry.binding is not self:
            entry = entry.outer
        if entry is not None:
            message_context.binding.set(entry.outer)

    def __call__(self, function: F) -> F:
        """Return ``function`` so that each call of it acts for the session's user.

        Raises:
            WrongArgument: ``function`` is not callable.
        """
        check_bindable(function)
        session = self._session
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def bound_coroutine(*args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True  # by IPython and pytest: the error is the function's own
                return await _continue(session, function(*args, **kwargs))

            return bound_coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def bound(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with Binding(session):
                result = function(*args, **kwargs)
            # A lambda, or an object with an async __call__: its work is still to be done.
            return _continue(session, result) if inspect.iscoroutine(result) else result

        return bound  # type: ignore[return-value]


def check_bindable(function: object) -> None:
    """Refuse what cannot run later as the session's user.

    Raises:
        WrongArgument: ``function`` is not callable.
    """
    if isinstance(function, core.SessionFields):
        raise WrongArgument(
            "bind_current_user takes a session by its name: write bind_current_user(session=…)"
        )
    if not callable(function):
        raise WrongArgument(
            f"bind_current_user needs a function, not {type(function).__name__}: pass the function "
            "itself and not the result of a call, as in bind_current_user(work)"
        )


class _Entered:
    """One entering of a binding; kept in the context, so that threads and tasks may share it."""

    __slots__ = ("binding", "collection", "outer", "process", "thread")

    def __init__(self, binding: Binding, outer: Any) -> None:
        self.thread = threading.get_ident()
        self.process = message_context.process
        self.collection = detached.collecting  # a finalizer may bind the user of its own work
        self.binding = binding
        self.outer = outer


class _Entry(_Entered):
    """The entering of a real user's binding."""

    __slots__ = ("session",)

    def __init__(self, session: LiveSession, binding: Binding, outer: Any) -> None:
        super().__init__(binding, outer)
        self.session = session


class _FakeEntry(_Entered):
    """The entering of a fake user's binding.

    A context that was copied in the block may outlive it, or get a real user later. So this is
    checked at each read; the reads of a real user cost nothing more.
    """

    __slots__ = ("_fake",)

    def __init__(self, fake: FakeSession, binding: Binding, outer: Any) -> None:
        super().__init__(binding, outer)
        self._fake = fake

    @property
    def session(self) -> FakeSession:
        """The fake session.

        Raises:
            IdentityUnavailable: The block of the fake user is over.
            ConfigurationError: A real user may be here.
        """
        if self.binding.is_over:
            raise unavailable("no_context")
        _refuse_beside_real_users()
        return self._fake


def _refuse_beside_real_users(*, hides: bool = False) -> None:
    """Refuse a fake user where a real one may be: it must never replace or hide that user.

    Args:
        hides: Whether another user is bound here.

    Raises:
        ConfigurationError: So it is; or a server stamps the messages of this kernel, or an app has
            a visitor.
    """
    if hides:
        where = "bind_current_user has bound another user"
    elif names_users():
        where = "Jupyter Server names the user of each message to this kernel"
    else:
        try:
            if _find_host() is None:
                return
        except IdentityUnavailable:
            pass  # a visitor whose name is unknown is a visitor
        where = "this code runs for a visitor of an app"
    raise ConfigurationError(
        f"fake_user cannot be used here, because {where}. Remove fake_user, or run this code in a "
        "test or in a plain script."
    ) from None


async def _continue(session: LiveSession, coroutine: Coroutine[Any, Any, Any]) -> Any:
    __tracebackhide__ = True
    with Binding(session):
        return await coroutine
