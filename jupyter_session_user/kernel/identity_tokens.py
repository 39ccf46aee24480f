"""``get_identity_token``: a statement about the current user that another service can verify."""

from __future__ import annotations

from jupyter_session_user.core.bearer import MAX_LIFETIME_S, IdentityToken
from jupyter_session_user.errors import RemoteProtocolError, WrongArgument
from jupyter_session_user.kernel.current import valid_session
from jupyter_session_user.kernel.kept import Kept

__all__ = ["get_identity_token"]

#: A token is used again until this part of its lifetime is left.
_RENEW_AT = 0.2
_MAX_AUDIENCE = 4096  # characters; the protocol's limit

#: By session, audience and requested lifetime.
_kept: Kept[IdentityToken] = Kept(lambda left, lifetime: left > lifetime * _RENEW_AT, most=256)


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

    def fetch() -> tuple[IdentityToken, int]:
        result = session.own_identity_token(audience, lifetime)
        text, seconds = result.get("token"), result.get("seconds")
        if not isinstance(text, str) or type(seconds) is not int:
            raise RemoteProtocolError("identity_token: malformed reply")
        return IdentityToken(text), seconds

    return _kept.get((session.id, audience, lifetime), fetch)[0]


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
