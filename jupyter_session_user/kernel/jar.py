"""The cookies of a session, fetched once and kept in this process only."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict

from jupyter_session_user.core.cookies import Cookies, cookies_from_wire
from jupyter_session_user.core.session import Session
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.kernel.current import LiveSession, ask

__all__ = ["cookies_of"]

#: A shared kernel sees as many sessions as people; older ones are fetched again.
MAX_JARS = 64

_jars: OrderedDict[tuple[str, int], Cookies] = OrderedDict()
_lock = threading.Lock()


def cookies_of(session: LiveSession) -> Cookies:
    """Return the cookies of a session, from the server at the first call.

    Raises:
        RequestTimeout: The server did not answer.
    """
    own = session.own_cookies()
    if own is not None:
        return own
    key = (session.id, session.revision)
    with _lock:
        known = _jars.get(key)
    return known if known is not None else _fetch(key, session)


def _fetch(key: tuple[str, int], session: Session) -> Cookies:
    jar = Cookies(
        cookies_from_wire(ask(session.id, "cookies")), signed=functools.partial(_signed, session)
    )
    with _lock:
        _jars[key] = jar
        while len(_jars) > MAX_JARS:
            _jars.popitem(last=False)
    return jar


def _signed(session: Session, name: str, max_age_days: float) -> str | None:
    value = ask(session.id, "signed", name=name, max_age_days=max_age_days).get("value")
    if not isinstance(value, str | None):
        raise RemoteProtocolError("signed: malformed value")
    return value
