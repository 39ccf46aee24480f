"""From the message being handled to the session: the one place that decides.

The order: an explicit binding, then the kernel's message, then an app's host that has a
visitor here, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from threading import get_ident
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core import session as core
from jupyter_session_user.core.stamp import KEY, may_ask, read_stamp, unknown_reason
from jupyter_session_user.errors import (
    IdentityUnavailable,
    RemoteProtocolError,
    SessionUserError,
)
from jupyter_session_user.kernel import parent
from jupyter_session_user.kernel.diagnose import no_message, no_stamp, no_visitor, unavailable
from jupyter_session_user.kernel.standing import Place, refusal, standings
from jupyter_session_user.kernel.state import helper, installed

if TYPE_CHECKING:
    from jupyter_session_user.core.cookies import Cookies

__all__ = ["LiveSession", "ask", "current_session", "register_host_finder", "valid_session"]

#: Python 3.14 can be told to start threads with a copy of the starter's context (free-threaded
#: builds do): a pool's worker would then be its first user for ever.
_THREADS_INHERIT = bool(getattr(sys.flags, "thread_inherit_context", False))

_binding = parent.binding.get
_message = parent.message.get
_witness = parent.witness.get


class _Followed:
    """A field of a session that reads what is known last, not what the object came with."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._slot = getattr(core.Session, name)

    def __get__(self, session: Any, owner: Any = None) -> Any:
        return self if session is None else getattr(session.place.standing, self._name)

    def __set__(self, session: Any, value: Any) -> None:
        self._slot.__set__(session, value)  # for __init__ alone: a session is frozen


class LiveSession(core.Session):
    """A session that follows the server's news, also while the code that holds it runs.

    Attributes:
        place: Where what is known last of it is, shared with all objects of the same session.
    """

    __slots__ = ("place",)
    place: Place

    if not TYPE_CHECKING:  # a checker sees the fields
        state = _Followed("state")
        expires_at = _Followed("expires_at")
        expiry_source = _Followed("expiry_source")
        degraded = _Followed("degraded")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._follow()

    def __setstate__(self, state: Any) -> None:
        """Take what a pickle says, and follow what is known here."""
        super().__setstate__(state)  # type: ignore[misc]
        self._follow()

    def __hash__(self) -> int:
        """Return what stays as it is."""
        return hash(self.id)

    @classmethod
    def of(cls, session: core.Session) -> LiveSession:
        """Return a session as one that follows the news."""
        if isinstance(session, cls):
            return session
        return cls(**{field.name: getattr(session, field.name) for field in fields(session)})

    @property
    def seconds_left(self) -> float | None:
        """How long the login still lasts; None where nobody knows, and never below 0."""
        return self.place.standing.seconds_left

    def _follow(self) -> None:
        # Not when it is first asked for: a class with __getattr__ has slow attributes.
        object.__setattr__(self, "place", standings.place(self))

    def own_cookies(self) -> Cookies | None:
        """Return the cookies where they are at hand; None where the server has to be asked."""
        return None

    def refresh(self) -> LiveSession:
        """Return the session as the server knows it now, with its times.

        Raises:
            RequestTimeout: The server did not answer.
            IdentityUnavailable: The server no longer knows this session.
        """
        wire = ask(self.id, "refresh").get("session")
        fresh = LiveSession.from_wire(wire)
        if fresh.id != self.id:
            raise RemoteProtocolError("the server answered for another session")
        standings.learn(fresh, told=True)
        return fresh


def _no_host() -> LiveSession | None:
    return None


def _not_serving() -> bool:
    return False


_find_host: Callable[[], LiveSession | None] = _no_host
_is_serving: Callable[[], bool] = _not_serving


def register_host_finder(
    find: Callable[[], LiveSession | None], serving: Callable[[], bool]
) -> None:
    """Say who knows the visitors of apps without a kernel; this plane imports no host.

    Args:
        find: Returns the session of the visitor here, or None.
        serving: Tells whether this process serves an app.
    """
    global _find_host, _is_serving
    _find_host, _is_serving = find, serving


def valid_session() -> LiveSession:
    """Return the current session unless it is over.

    Raises:
        IdentityUnavailable: Nobody can say whose it is.
        SessionExpired: It is over.
    """
    session = current_session()
    session.place.standing.refuse_over()
    return session


def current_session() -> LiveSession:
    """Return the session of the person whose request runs this code, over or not.

    Raises:
        IdentityUnavailable: Nobody can say; the error says why, and what to do.
    """
    bound = _binding()
    if bound is not None:
        _check_thread(bound)
        session: LiveSession = bound.session
        return session
    message = _message()
    if message is None:
        return _find_host() or _without_message()
    if _witness() is not message.parent:
        raise unavailable("disagreement")
    if _THREADS_INHERIT:
        _check_thread(message)
    known: LiveSession | None = message.session
    return known if known is not None else _read(message)


def _check_thread(entered: Any) -> None:
    """Refuse a context that a thread may have inherited from whoever started it."""
    if _THREADS_INHERIT and entered.thread != get_ident():
        raise unavailable("no_context")


def _without_message() -> LiveSession:
    here = installed() or helper()
    first = here.witnesses.first_cell() if here is not None else None
    if first is None:
        raise no_visitor() if here is None and _is_serving() else no_message(here)
    return first.session or _read(first)


def _read(message: parent.Message) -> LiveSession:
    """Read the stamp once for a message; whoever asks again gets the same session."""
    stamp = message.parent["metadata"].get(KEY)
    here = helper()
    if stamp is None:
        raise no_stamp(here)
    if here is not None:
        here.stamped = True
    reason = unknown_reason(stamp)
    session = _session_of(stamp) if reason is None else _ask_whose(stamp, reason)
    if here is not None:
        here.news.saw(session)
    message.session = session
    return session


def _ask_whose(stamp: Any, reason: str) -> LiveSession:
    """Ask whose kernel this is, where that may have been settled since the message was sent.

    Voila hands a visitor a kernel in which a cell is already running.
    """
    if may_ask(stamp):
        with suppress(IdentityUnavailable):
            return LiveSession.from_wire(ask("", "visitor").get("session"))
    raise IdentityUnavailable(
        f"Jupyter Server does not know whose request this is: {reason}. Run the code from "
        "a page on which somebody is logged in.",
        reason="unknown_at_server",
    )


def _session_of(stamp: Any) -> LiveSession:
    try:
        read_stamp(stamp)  # checks the version
        return LiveSession.from_wire(stamp)
    except RemoteProtocolError as error:
        raise IdentityUnavailable(
            f"The stamp of Jupyter Server cannot be read ({error}). Install the same release "
            "of jupyter-session-user for the server and for the kernel.",
            reason="malformed_stamp",
        ) from None


def ask(session_id: str, operation: str, **details: Any) -> dict[str, Any]:
    """Ask the server about a session, and return its result.

    Raises:
        RequestTimeout: The server did not answer.
        IdentityUnavailable: The server knows no such session on this kernel.
        SessionExpired: The session is over.
        SessionUserError: The server refused; ``code`` says why.
    """
    here = helper()
    if here is None:
        raise no_message(None)
    reply = here.comm.ask(operation, session_id, **details)
    if not reply.error:
        return reply.result
    if reply.error == "no_session":
        raise IdentityUnavailable(
            f"{reply.message}. Reload the page, and run the cell again.",
            reason="unknown_at_server",
        )
    if reply.error.removeprefix("session_") in core.OVER:
        raise refusal(reply.error.removeprefix("session_"))
    error = SessionUserError(reply.message)
    error.code = reply.error
    raise error
