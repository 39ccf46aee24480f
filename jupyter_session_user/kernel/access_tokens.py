"""``get_access_token``: an access token with which the current user's rights count elsewhere."""

from __future__ import annotations

from jupyter_session_user.core.bearer import AccessToken
from jupyter_session_user.errors import RemoteProtocolError, WrongArgument
from jupyter_session_user.kernel.current import valid_session
from jupyter_session_user.kernel.kept import Kept

__all__ = ["get_access_token"]

_MAX_NAME = 128  # characters

#: By session, username and name. The server says how long a token is used again.
_kept: Kept[AccessToken] = Kept(lambda left, _: left > 0, most=256)


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

    def fetch() -> tuple[AccessToken, int]:
        result = session.own_access_token(name)
        text, seconds = result.get("token"), result.get("seconds")
        if not isinstance(text, str) or type(seconds) is not int:
            raise RemoteProtocolError("access_token: malformed reply")
        return AccessToken(text), seconds

    return _kept.get((session.id, session.user.username, name), fetch)[0]


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
