"""Remembers the logins of the latest requests: a browser sends the same credentials each time.

Finding a login checks a signature, hashes the credentials and asks the resolvers. None of it can
have another result for the same input, so it is done once. Whether the login has ended is not
remembered here: the gate checks that at every request.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from jupyter_session_user.core.digest import digest
from jupyter_session_user.upstream.jupyter_server import came_with_token
from jupyter_session_user.upstream.tornado import cookies_being_set

if TYPE_CHECKING:
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.auth.identity import User as ServerUser
    from jupyter_server.base.handlers import JupyterHandler

    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.resolvers.base import Resolver

__all__ = ["RecentLogins"]

#: A signed cookie has a maximum age: it counts as valid for this much longer. In seconds.
_KEPT_S = 60.0
_MOST = 1_000


class RecentLogins:
    """Logins by everything that they were found from; the number is bounded.

    Args:
        resolvers: Asked about each login. If the result of one may depend on more than the login
            cookie, nothing is remembered.
        find: Finds the login of a request.
    """

    def __init__(
        self,
        resolvers: Sequence[Resolver],
        find: Callable[[JupyterHandler, ServerUser], Login],
    ) -> None:
        self._repeats = all(getattr(each, "by_login_cookie", False) for each in resolvers)
        self._find = find
        self._logins: OrderedDict[Hashable, tuple[float, Login]] = OrderedDict()

    def of(self, handler: JupyterHandler, user: ServerUser) -> Login:
        """Return the login of a request.

        Args:
            handler: The request's handler.
            user: The provider's user.
        """
        # A response that sets a cookie may begin a login.
        if not self._repeats or cookies_being_set(handler):
            return self._find(handler, user)
        shown, now = _shown(handler, user), time.monotonic()
        try:
            until, login = self._logins.get(shown, (now, None))
        except TypeError:  # a field of the user can change in place, so it cannot be compared later
            return self._find(handler, user)
        if login is None or until <= now:
            login = self._find(handler, user)
            self._logins[shown] = now + _KEPT_S, login
            self._logins.move_to_end(shown)
            if len(self._logins) > _MOST:
                self._logins.popitem(last=False)
        return login


def _shown(handler: JupyterHandler, user: ServerUser) -> Hashable:
    """Return everything that the login of a request depends on."""
    provider: IdentityProvider = handler.identity_provider
    cookies = handler.request.headers.get_list("Cookie")
    # The token counts without a valid login cookie, and this request may have none.
    token = provider.get_token(handler)
    return (
        type(user),
        # The types as well: True equals 1, and only one of them makes an administrator.
        tuple((name, type(value), value) for name, value in vars(user).items()),
        provider,
        provider.auth_enabled,
        provider.get_cookie_name(handler),
        # A hash: the server keeps no credentials for this.
        digest(token or "", *cookies),
        token is None,
        came_with_token(handler),
    )
