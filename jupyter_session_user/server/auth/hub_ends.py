"""When a login at JupyterHub ends.

The Hub states the lifetime of a token once, when it issues the token: on the server that the user
enters. Later, it tells a token's end only to a token with the scope ``read:tokens!user``. Without
either, the time in the cookie gives an estimate.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tornado.web import HTTPError

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.core.session import parse_time
from jupyter_session_user.core.signed_time import signed_at
from jupyter_session_user.errors import RemoteProtocolError
from jupyter_session_user.upstream.jupyterhub import (
    hub_auth_of,
    hub_token,
    on_token_reply,
    token_expiry,
)

if TYPE_CHECKING:
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

__all__ = ["HubEnds"]

#: Default of ``JupyterHub.oauth_token_expires_in``, in seconds.
DEFAULT_LIFETIME_S = timedelta(days=14).total_seconds()

#: Beyond it, the entry that was added first is forgotten: that login's end is then an estimate,
#: unless the login is known.
_MOST = 10_000


class HubEnds:
    """The ends of logins at JupyterHub, as far as this server knows them.

    Args:
        now: The wall clock, in seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        #: End of each token, in seconds since the epoch; None if the Hub does not tell it.
        self._of_token: dict[bytes, float | None] = {}
        #: Latest end of a login's tokens: a browser may have an older one in its page.
        self._of_login: dict[str, float] = {}
        self._watched: weakref.WeakSet[Any] = weakref.WeakSet()

    def watch(self, provider: IdentityProvider) -> None:
        """Learn from the Hub's replies to a provider; harmless when repeated."""
        hub_auth = getattr(provider, "hub_auth", None)
        if hub_auth is not None and hub_auth not in self._watched:
            self._watched.add(hub_auth)
            on_token_reply(hub_auth, self._issued)

    def _issued(self, token: str, lifetime: float) -> None:
        _put(self._of_token, _digest(token), self._now() + lifetime)

    async def ask(self, handler: JupyterHandler, user: ServerUser) -> None:
        """Ask the Hub when the token of a request ends, unless that is known.

        Args:
            handler: The handler of a request that the Hub has accepted.
            user: Its user, according to the Hub.
        """
        token = hub_token(handler)
        if not token or _digest(token) in self._of_token:
            return
        end = None
        try:
            end = parse_time(await token_expiry(handler, user))
        except HTTPError:
            return  # the Hub does not answer now
        except RemoteProtocolError:
            pass  # it tells no time
        _put(self._of_token, _digest(token), None if end is None else end.timestamp())

    def expiry(self, handler: JupyterHandler, key: str) -> Expiry | None:
        """Return when the login of a request ends; None if nothing tells.

        Args:
            handler: The handler of a request that the Hub has accepted.
            key: The key of its login.
        """
        token = hub_token(handler)
        ends = [self._of_token.get(_digest(token)), self._of_login.get(key)]
        known = [end for end in ends if end is not None]
        if known:
            _put(self._of_login, key, max(known))
            return Expiry(max(known), "jupyterhub")
        name = getattr(hub_auth_of(handler), "cookie_name", "")
        if not name or not handler.get_secure_cookie(name):
            return None
        issued_at = signed_at(handler.get_cookie(name) or "")
        return None if issued_at is None else Expiry(issued_at + DEFAULT_LIFETIME_S, "estimated")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _put(ends: dict[Any, Any], name: Any, end: float | None) -> None:
    ends[name] = end
    if len(ends) > _MOST:
        del ends[next(iter(ends))]
