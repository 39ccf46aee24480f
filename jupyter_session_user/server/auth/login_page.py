"""The page where a user logs in again, to renew the tokens of the login.

It is a page of this server, or of JupyterHub. The login of a proxy, or of a cookie that another
program sets, has a page that this server does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tornado.httputil import url_concat

from jupyter_session_user.core.login import KINDS
from jupyter_session_user.server.auth.consents import LoginPage
from jupyter_session_user.server.auth.gate import FORM_ANYWAY
from jupyter_session_user.upstream.jupyterhub import hub_login_page

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.known_login import KnownLogin

__all__ = ["login_page", "url_of"]

#: The page after a login: it tells the other pages, and closes itself.
_SIGNED_IN = "session-user/signed-in"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,255}")


def login_page(settings: Mapping[str, Any], login: KnownLogin) -> LoginPage:
    """Return the page for a login; an empty one if it is unknown.

    Args:
        settings: Those of the web application.
        login: The login, with its latest request.
    """
    base = settings["base_url"]
    after = {"next": f"{base}{_SIGNED_IN}"}
    if login.credential == "hub":
        link = hub_login_page(settings.get("identity_provider"))
        link = link and url_concat(link, after)
    elif KINDS[login.credential].own_form:
        # Without the argument, the form sends a user who is logged in on at once.
        link = url_concat(f"{base}login", {**after, FORM_ANYWAY: "1"})
    else:
        link = ""
    return LoginPage(link, url_of(login.snapshot, link) if link.startswith("/") else link)


def url_of(snapshot: Any, path: str) -> str:
    """Return the URL of a page as the user's browser knows this server; empty if unknown.

    Behind a proxy, ``Origin`` alone tells whether the browser uses https. Another site's page may
    have sent the request, so the host must be the server's.

    Args:
        snapshot: The latest request of the login.
        path: The page's path.
    """
    if snapshot is None:
        return ""
    origin, host = (snapshot.headers.get(name, "") for name in ("Origin", "Host"))
    if not _ORIGIN.fullmatch(origin) or origin.partition("://")[2].lower() != host.lower():
        origin = f"{snapshot.protocol}://{host}"
    return f"{origin}{path}" if _ORIGIN.fullmatch(origin) else ""
