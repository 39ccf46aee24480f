"""An auth module for ``panel serve`` and ``bokeh serve``: the visitors log in at JupyterHub.

    python -m jupyter_session_user panel serve app.py --auth-module jupyterhub

The server is one of the Hub's: a user's server, or a service. The Hub itself names the visitor of
each page and each websocket, from the token in the visitor's OAuth cookie. No header counts, hence
none that a visitor could send. The module also works behind jhsingle-native-proxy, which logs the
visitor in at the Hub, and passes the cookie on.
https://jupyterhub.readthedocs.io/en/stable/howto/configuring/services.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler

from jupyter_session_user.core.cookies import Cookies, parse_cookie_headers
from jupyter_session_user.core.signed_value import unverified_text
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import CookieError

if TYPE_CHECKING:
    from tornado.web import RequestHandler

__all__ = ["LoginHandler", "get_user_async", "login_url"]

#: Bokeh's name for the address of ``LoginHandler``; the Hub expects its own answer there.
login_url = "/oauth_callback"
#: Seconds for which the Hub's answer counts; JupyterHub itself keeps it for 300.
_CACHE_MAX_AGE_S = 10


async def get_user_async(handler: RequestHandler) -> User | None:
    """Return the visitor of a page or a websocket; None without a login that may use this server.

    Args:
        handler: The request's.

    Raises:
        tornado.web.HTTPError: The Hub does not answer.
    """
    hub = _hub()
    token = hub.get_token(handler, in_cookie=False)
    if not token and _may_use_cookie(handler, hub):
        token = _token_in_cookie(handler, hub.cookie_name)
    if not token:
        return None
    session_id = hub.get_session_id(handler)
    model = await hub.user_for_token(token, session_id=session_id, sync=False)
    # A service may have a user's name; it is not that user.
    if not model or model.get("kind") != "user":
        return None
    if not hub.check_scopes(hub.access_scopes, model):
        return None
    groups = tuple(model.get("groups") or ())
    # A token that is no browser's login has the user's name, and not the administrator's rights.
    admin = model.get("admin") is True and bool(model.get("session_id"))
    return User(model["name"], groups=groups, admin=admin)


def _hub() -> Any:
    return HubOAuth.instance(cache_max_age=_CACHE_MAX_AGE_S)


def _may_use_cookie(handler: RequestHandler, hub: Any) -> bool:
    """Tell whether a request's cookie may name its visitor, by JupyterHub's own rule.

    All servers of a Hub may have one domain. A script of another user's server could read this
    one's pages with the visitor's cookie. Browsers say what a request is for (W3C Fetch Metadata).
    """
    headers = handler.request.headers
    mode = headers.get("Sec-Fetch-Mode", "navigate")
    if handler.request.method not in {"GET", "HEAD", "OPTIONS"}:
        return False
    if mode == "websocket":
        return bool(hub.allow_websocket_cookie_auth)
    same_origin = headers.get("Sec-Fetch-Site") == "same-origin"
    return mode == "navigate" or (mode == "no-cors" and same_origin)


def _token_in_cookie(handler: RequestHandler, name: str) -> str | None:
    """Return the token of the visitor's login at this server; the Hub has yet to check it.

    A proxy in front signs the cookie with a secret of its own. The signature adds nothing: the Hub
    knows the token, or refuses it.
    """
    cookies = Cookies(parse_cookie_headers(handler.request.headers.get_list("Cookie")))
    try:
        value = cookies.raw(name) if name in cookies else ""
    except CookieError:  # twice, with different values: two logins, and either may be a forged one
        return None
    return unverified_text(value.strip('"'), name)


class LoginHandler(HubOAuthCallbackHandler):  # type: ignore[misc]  # JupyterHub has no types
    """Sends a visitor to the Hub's login, and takes the Hub's answer."""

    async def get(self) -> None:
        """Begin a login, or finish it."""
        if self.get_argument("code", "") or self.get_argument("error", ""):
            await super().get()
        elif self.current_user:
            self.redirect(self._next())
        else:
            # The Hub's answer leads here again, and then to the page.
            self.redirect(self.get_login_url())

    def _next(self) -> str:
        """Return the page to show after the login: one of this server."""
        wanted = self.get_argument("next", "")
        base: str = self.hub_auth.base_url
        parts = urlsplit(wanted)
        # Browsers read a backslash as a slash (WHATWG URL).
        foreign = parts.scheme or parts.netloc or "\\" in wanted
        ours = not foreign and parts.path.startswith(base)
        return wanted if ours else base
