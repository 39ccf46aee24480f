"""The session that user code gets: what the stamp says, and the latest state of the login.

Its cookies and its fresh state come from the server. No other module of the kernel asks for them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import FrozenInstanceError, fields
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core import session as core
from jupyter_session_user.errors import (
    AccessTokenUnavailable,
    ConsentRequired,
    DatabaseUnavailable,
    IdentityTokenUnavailable,
    IdentityUnavailable,
    RemoteProtocolError,
    SessionUserError,
)
from jupyter_session_user.kernel.ipykernel import helper, no_message
from jupyter_session_user.kernel.message_context import after_fork
from jupyter_session_user.kernel.status import Place, refusal, statuses

if TYPE_CHECKING:
    from datetime import datetime

    from jupyter_session_user.core.cookies import CookieJar, Cookies
    from jupyter_session_user.core.last_run import LastRun

__all__ = ["FakeSession", "LiveSession", "ask"]

#: Limit of cached cookies, in sessions. A shared kernel has as many sessions as users; older ones
#: are fetched again.
MAX_CACHED = 64

#: The fields of a login that change while a session is held.
_CHANGING = frozenset({"state", "expires_at", "expiry_source", "degraded"})
_FIELDS = tuple(field.name for field in fields(core.Session))
_FIXED = tuple(name for name in _FIELDS if name not in _CHANGING)

_cookies: OrderedDict[tuple[str, int], Cookies] = OrderedDict()
_cookies_lock = threading.Lock()


class LiveSession(core.SessionFields):
    """A session that follows the server's updates, also while the code that holds it runs.

    Its fields are those of ``core.session.Session``. All but ``state``, ``expires_at``,
    ``expiry_source`` and ``degraded`` keep the value that they had at first.

    Args:
        session: The session as a stamp or an answer of the server describes it.
        place: Holds the latest known state; None for that of all objects of the same session.
    """

    __slots__ = (*_FIXED, "place")
    place: Place

    def __init__(self, session: core.Session, place: Place | None = None) -> None:
        keep = object.__setattr__  # this object is frozen
        for name in _FIXED:
            keep(self, name, getattr(session, name))
        keep(self, "place", place or statuses.place(session))

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a session describes a login, and code cannot change that.

        Raises:
            FrozenInstanceError: Always.
        """
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        """Refuse as well.

        Raises:
            FrozenInstanceError: Always.
        """
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        """Tell whether both describe the same login, on the same kernel, in the same state."""
        if not isinstance(other, LiveSession):
            return NotImplemented
        return self.now() == other.now()

    def __hash__(self) -> int:
        """Hash the field that never changes."""
        return hash(self.id)

    def __copy__(self) -> LiveSession:
        """Return the session itself, which is frozen."""
        return self

    def __deepcopy__(self, memo: object) -> LiveSession:
        """Return the session itself."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the present state; the copy follows the updates of its own process."""
        return type(self), (self.now(),)

    @classmethod
    def of(cls, session: core.Session | LiveSession) -> LiveSession:
        """Return a session that follows the server's updates."""
        return session if isinstance(session, LiveSession) else cls(session)

    @property
    def state(self) -> str:  # type: ignore[override]
        """One of ``STATES``, as known now."""
        return self.place.now().state

    @property
    def expires_at(self) -> datetime | None:  # type: ignore[override]
        """When the login ends; None if that is unknown."""
        return self.place.now().expires_at

    @property
    def expiry_source(self) -> str:  # type: ignore[override]
        """Source of ``expires_at``."""
        return self.place.now().expiry_source

    @property
    def degraded(self) -> bool:  # type: ignore[override]
        """Whether the authority could not be asked."""
        return self.place.now().degraded

    @property
    def seconds_left(self) -> float | None:
        """Remaining time of the login in seconds, never below 0; None if unknown."""
        return self.place.now().seconds_left

    def now(self) -> core.Session:
        """Return a copy with the present state, which no longer changes."""
        return core.Session(**{name: getattr(self, name) for name in _FIELDS})

    def own_cookies(self) -> Cookies:
        """Return the cookies of this session: from the server at the first call, later cached.

        Raises:
            RequestTimeout: The server did not answer.
        """
        from jupyter_session_user.core import cookies  # noqa: PLC0415 - few need it

        key = (self.id, self.revision)
        with _cookies_lock:
            known = _cookies.get(key)
        if known is None:
            jar = cookies.cookies_from_wire(ask(self.id, "cookies"))
            known = cookies.Cookies(jar, signed=self._signed_cookie)
            with _cookies_lock:
                _cookies[key] = known
                while len(_cookies) > MAX_CACHED:
                    _cookies.popitem(last=False)
        return known

    def own_identity_token(self, audience: str, lifetime: float) -> dict[str, Any]:
        """Return a new identity token from the server, with its lifetime in seconds.

        Raises:
            IdentityTokenUnavailable: The server gives this kernel no such token.
            RequestTimeout: The server did not answer.
        """
        return ask(self.id, "identity_token", name=audience, lifetime=lifetime)

    def own_access_token(self, name: str) -> dict[str, Any]:
        """Return an access token of the institution from the server, with its time in seconds.

        Raises:
            AccessTokenUnavailable: The server gives this kernel no such token.
            ConsentRequired: The user has to agree, or to log in again.
            RequestTimeout: The server did not answer.
        """
        return ask(self.id, "access_token", name=name)

    def own_database_login(self, database: str) -> dict[str, Any]:
        """Return a database login from the server.

        Raises:
            DatabaseUnavailable: The server gives this kernel no such login.
            RequestTimeout: The server did not answer.
        """
        return ask(self.id, "database_login", name=database)

    def run_of(self, cell_id: str) -> LastRun | None:
        """Return the latest run of a cell of this kernel; None if the server knows of none.

        Raises:
            RequestTimeout: The server did not answer.
        """
        from jupyter_session_user.core.last_run import LastRun  # noqa: PLC0415 - few need it

        run = ask(self.id, "last_run", name=cell_id).get("run")
        return None if run is None else LastRun.from_wire(run)

    def _signed_cookie(self, name: str, max_age_days: float) -> str | None:
        value = ask(self.id, "signed", name=name, max_age_days=max_age_days).get("value")
        if not isinstance(value, str | None):
            raise RemoteProtocolError("signed: malformed value")
        return value

    def refresh(self) -> LiveSession:
        """Return the session as the server knows it now, with its times.

        Raises:
            RequestTimeout: The server did not answer.
            IdentityUnavailable: The server no longer knows this session.
        """
        fresh = core.Session.from_wire(ask(self.id, "refresh").get("session"))
        if fresh.id != self.id:
            raise RemoteProtocolError("the server answered for another session")
        statuses.learn(fresh, from_server=True)
        return LiveSession(fresh)


class FakeSession(LiveSession):
    """A session that a test has made up: no server knows it, and none is asked.

    Args:
        session: The session.
        jar: The made-up cookies.
    """

    __slots__ = ("jar",)
    jar: CookieJar | None

    def __init__(self, session: core.Session, jar: CookieJar | None = None) -> None:
        super().__init__(session)
        object.__setattr__(self, "jar", jar)

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse: a fake user belongs to the block of one process.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "the session of a fake user cannot be pickled; call fake_user in the other process"
        )

    def own_cookies(self) -> Cookies:
        """Return the made-up cookies."""
        from jupyter_session_user.core import cookies  # noqa: PLC0415 - few need it

        return cookies.Cookies(self.jar or cookies.CookieJar())

    def own_access_token(self, name: str) -> dict[str, Any]:
        """Refuse: no provider knows a fake user.

        Raises:
            AccessTokenUnavailable: Always.
        """
        raise AccessTokenUnavailable(
            f"no identity provider gives a token for {name!r} about a fake user; in a test, pass a "
            "token that the test has made",
            reason="not_verified",
        )

    def own_identity_token(self, audience: str, lifetime: float) -> dict[str, Any]:
        """Refuse: no server signs statements about a fake user.

        Raises:
            IdentityTokenUnavailable: Always.
        """
        del audience, lifetime
        raise IdentityTokenUnavailable(
            "no server signs an identity token for a fake user; in a test, pass a token that the "
            "test has made",
            reason="not_verified",
        )

    def run_of(self, cell_id: str) -> LastRun | None:
        """Return None: no server knows of a run."""
        del cell_id
        return None

    def refresh(self) -> LiveSession:
        """Return the session itself: no server has a newer state."""
        return self


def ask(session_id: str, operation: str, **details: Any) -> dict[str, Any]:
    """Ask the server about a session, and return its result.

    Raises:
        RequestTimeout: The server did not answer.
        IdentityUnavailable: The server knows no such session on this kernel.
        SessionExpired: The session is over.
        AccessTokenUnavailable: The server gives this kernel no access token.
        ConsentRequired: The user has to agree to an access token.
        DatabaseUnavailable: The server gives this kernel no database login.
        IdentityTokenUnavailable: The server gives this kernel no identity token.
        SessionUserError: The server refused; ``code`` says why.
    """
    here = helper()
    if here is None:
        raise no_message()
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
    code, _, reason = reply.error.partition(".")
    if code == "access_token_unavailable":
        raise AccessTokenUnavailable(reply.message, reason=reason)
    if code == ConsentRequired.code:
        raise ConsentRequired(reply.message, login_url=reply.login_url)
    if code == "database_unavailable":
        raise DatabaseUnavailable(reply.message, reason=reason)
    if code == "identity_token_unavailable":
        raise IdentityTokenUnavailable(reply.message, reason=reason)
    error = SessionUserError(reply.message)
    error.code = reply.error
    raise error


@after_fork
def _renew_locks() -> None:
    """Replace the locks: a thread of the parent may have held one."""
    global _cookies_lock  # noqa: PLW0603 - see above
    _cookies_lock = threading.Lock()
    statuses.renew_lock()
