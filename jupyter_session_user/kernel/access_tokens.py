"""``get_access_token``: an access token with which the current user's rights count elsewhere."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from jupyter_session_user.core.bearer import AccessToken
from jupyter_session_user.core.clocks import deadline_of, seconds_until
from jupyter_session_user.errors import RemoteProtocolError, WrongArgument
from jupyter_session_user.kernel.current import valid_session
from jupyter_session_user.kernel.message_context import after_fork

__all__ = ["get_access_token"]

_MAX_CACHED = 256
_MAX_NAME = 128  # characters


class _Kept(NamedTuple):
    """A token, and until when it is returned again, on both clocks, in seconds."""

    token: AccessToken
    end: float
    deadline: float


#: By session, username and name: no session and no user ever gets another's token.
_kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
_lock = threading.Lock()


def get_access_token(name: str) -> str:
    """Return an access token of the institution for one service, with the current user's rights.

        headers = {"Authorization": f"Bearer {get_access_token('trino')}"}

    Jupyter Server gets it from the institution's identity provider, in exchange for the user's
    login there. That login's own tokens stay in the server. Call this function again for each
    request to the service: it keeps a token until shortly before its end, so most calls take
    microseconds. It also works while a cell runs. The result's ``repr`` hides the token, and it
    cannot be pickled. In apps of Panel and Streamlit, it is the token of the app's own login.

    Args:
        name: The service, as the server's ``token_exchange`` names it.

    Raises:
        AccessTokenUnavailable: This code gets no such token; ``reason`` says why.
        ConsentRequired: The user has to agree, or to log in again, at ``login_url``.
        IdentityUnavailable: The user cannot be determined.
        RequestTimeout: The server did not answer.
        SessionExpired: The login is over.
        WrongArgument: ``name`` is no name.
    """
    _check(name)
    session = valid_session()
    key = (session.id, session.user.username, name)
    wall, monotonic = time.time(), time.monotonic()
    with _lock:
        kept = _kept.get(key)
    if kept is not None and seconds_until(kept.end, kept.deadline, wall, monotonic) > 0:
        return kept.token
    result = session.own_access_token(name)
    text, seconds = result.get("token"), result.get("seconds")
    if not isinstance(text, str) or type(seconds) is not int:
        raise RemoteProtocolError("access_token: malformed reply")
    end = wall + seconds
    kept = _Kept(AccessToken(text), end, deadline_of(end, wall, monotonic))
    if not seconds:
        return kept.token
    with _lock:
        _kept[key] = kept
        _kept.move_to_end(key)
        while len(_kept) > _MAX_CACHED:
            _kept.popitem(last=False)
    return kept.token


def _check(name: object) -> None:
    """Refuse a name that the server would not understand.

    Raises:
        WrongArgument: It is none.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise WrongArgument(
            "get_access_token: name is not the name of a service; write "
            'get_access_token("trino"), as c.JupyterSessionUser.token_exchange has it'
        )


@after_fork
def _forget() -> None:
    """Forget the tokens: this process has no user, and a thread may have held the lock."""
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.Lock()
    _kept.clear()
