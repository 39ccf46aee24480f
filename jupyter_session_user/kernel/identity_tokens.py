"""``get_identity_token``: a statement about the current user that another service can verify."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from jupyter_session_user.core.bearer import MAX_LIFETIME_S, IdentityToken
from jupyter_session_user.core.clocks import deadline_of, seconds_until
from jupyter_session_user.errors import RemoteProtocolError, WrongArgument
from jupyter_session_user.kernel.current import valid_session
from jupyter_session_user.kernel.message_context import after_fork

__all__ = ["get_identity_token"]

#: A token is used again until this part of its lifetime is left.
_RENEW_AT = 0.2
_MAX_CACHED = 256
_MAX_AUDIENCE = 4096  # characters; the protocol's limit


class _Kept(NamedTuple):
    """A token, and its end on both clocks of this process, in seconds."""

    token: IdentityToken
    end: float
    deadline: float
    lifetime: int


#: By session, audience and requested lifetime: no session ever gets another's token.
_kept: OrderedDict[tuple[str, str, float], _Kept] = OrderedDict()
_lock = threading.Lock()


def get_identity_token(audience: str, lifetime: float = MAX_LIFETIME_S) -> str:
    """Return a signed token with which a service can verify who the current user is.

        headers = {"Authorization": f"Bearer {get_identity_token('https://data.example.org')}"}

    The server signs it; see ``verify_identity_token``. A token counts for one service, and for
    minutes: call this function again for each request to the service. It keeps a token until
    shortly before its end, so most calls take microseconds. It also works while a cell runs. The
    result's ``repr`` hides the token, and it cannot be pickled.

    Args:
        audience: The service, as the server's ``token_audiences`` names it.
        lifetime: Longest lifetime of the token in seconds, from 1 to 300.

    Raises:
        IdentityTokenUnavailable: The server gives this kernel no such token; ``reason`` says why.
        IdentityUnavailable: The user cannot be determined.
        RequestTimeout: The server did not answer.
        SessionExpired: The login is over.
        WrongArgument: An argument is of the wrong type, or outside its limits.
    """
    _check(audience, lifetime)
    session = valid_session()
    key = (session.id, audience, lifetime)
    wall, monotonic = time.time(), time.monotonic()
    with _lock:
        kept = _kept.get(key)
    if kept is not None:
        left = seconds_until(kept.end, kept.deadline, wall, monotonic)
        if left > kept.lifetime * _RENEW_AT:
            return kept.token
    result = session.own_identity_token(audience, lifetime)
    text, seconds = result.get("token"), result.get("seconds")
    if not isinstance(text, str) or type(seconds) is not int:
        raise RemoteProtocolError("identity_token: malformed reply")
    # Its life began after the request was sent, so the token ends here no later than elsewhere.
    end = wall + seconds
    kept = _Kept(IdentityToken(text), end, deadline_of(end, wall, monotonic), seconds)
    with _lock:
        _kept[key] = kept
        _kept.move_to_end(key)
        while len(_kept) > _MAX_CACHED:
            _kept.popitem(last=False)
    return kept.token


def _check(audience: object, lifetime: object) -> None:
    """Refuse arguments that the server would not understand.

    Raises:
        WrongArgument: One of them is wrong.
    """
    if not isinstance(audience, str) or not 0 < len(audience) <= _MAX_AUDIENCE:
        raise WrongArgument(
            "get_identity_token: audience is not the name of a service; write "
            'get_identity_token("https://data.example.org"), as c.JupyterSessionUser.'
            "token_audiences has it"
        )
    number = isinstance(lifetime, int | float) and not isinstance(lifetime, bool)
    if not number or not 1 <= lifetime <= MAX_LIFETIME_S:  # type: ignore[operator]
        raise WrongArgument(
            f"get_identity_token: lifetime is no number of seconds from 1 to {MAX_LIFETIME_S}; "
            "leave it out"
        )


@after_fork
def _forget() -> None:
    """Forget the tokens: this process has no user, and a thread may have held the lock."""
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.Lock()
    _kept.clear()
