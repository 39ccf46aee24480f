"""Pages for signing in again in a separate window, while the user's work stays open.

``session-user/signed-in`` requires a login, so the server redirects to whatever login it has: a
form, OAuth, or a proxy's page. Afterwards the window closes itself. While the old login is still
valid, the page redirects to the server's form, and the old login stays until the form succeeds.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.httputil import url_concat

from jupyter_session_user.core.session import write_time
from jupyter_session_user.server.auth.gate import FORM_ANYWAY
from jupyter_session_user.server.messages.websocket import SETTING
from jupyter_session_user.server.templates import read, render

if TYPE_CHECKING:
    from jupyter_session_user.server.context import ServerContext
    from jupyter_session_user.store.base import Record

__all__ = ["PAGES"]

_SIGNED_IN = "session-user/signed-in"

_FILES = {
    "signed_in.js": "text/javascript",
    "signed_in.css": "text/css",
    "preview_banner.js": "text/javascript",
    "banner.js": "text/javascript",
    "banner.css": "text/css",
}


class PageHandler(JupyterHandler):
    """Base class of all pages: no caching, and no foreign scripts or styles."""

    _track_activity = False

    @property
    def context(self) -> ServerContext:
        """The wired components of this server."""
        context: ServerContext = self.settings[SETTING]
        return context

    @property
    def content_security_policy(self) -> str:
        """Jupyter's policy, or the administrator's, plus only our own script and style."""
        own = "default-src 'none'; script-src 'self'; style-src 'self'"
        return f"{super().content_security_policy}; {own}"

    def set_default_headers(self) -> None:
        """Forbid caching: the response differs between users."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def address(self, path: str) -> str:
        """Return the URL of one of our pages."""
        return url_path_join(self.base_url, path)


class SignedInHandler(PageHandler):
    """The last page of a login in a separate window."""

    @web.authenticated
    def get(self) -> None:
        """Say that the user is logged in; or lead to the form, if the login should be renewed.

        The argument ``until`` is the end of the login that the opening page wants to renew. Opening
        this page may already have prolonged the login; then no form is needed.
        """
        mine = self.context.capture.session_of(self, None)
        asks = self.get_query_argument("until", None)
        end = None if mine is None else mine.session.expires_at
        moved = end is not None and asks not in {"", write_time(end)}
        # A proxy that sets a header knows nothing of a form here.
        renewable = mine is not None and mine.credential != "" and has_form(self)
        if mine is not None and renewable and asks is not None and not moved:
            self.redirect(self._login_url(mine))
            return
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        user: Any = self.current_user
        name = user.display_name or user.name or user.username
        self.finish(render("signed_in.html", title=f"Logged in as {name}", base=self.base_url))

    def _login_url(self, mine: Record) -> str:
        """Return the address of the form, which leads back to this page without its argument."""
        back = self.request.uri = self.address(_SIGNED_IN)  # JupyterHub leads back to this one
        url = self.get_login_url()
        is_hub = mine.credential == "hub"
        return url if is_hub else url_concat(url, {"next": back, FORM_ANYWAY: "1"})


def has_form(handler: JupyterHandler) -> bool:
    """Tell whether this server itself has a form for a password or a token."""
    provider = handler.identity_provider
    return bool(provider.login_available and provider.auth_enabled)


class LoginStateHandler(PageHandler):
    """How a login ended, for a page that no longer has any other credential.

    The session's id is the secret. It is random, and only its user, the user's kernels and
    administrators have seen it.
    """

    @allow_unauthenticated
    def get(self) -> None:
        """Return whether the caller is signed in, and how the login of ``session`` ended."""
        record = self.context.store.get(self.get_query_argument("session", ""))
        state = record and self.context.logins.over(record.key, active=False)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"signed_in": self.current_user is not None, "state": state}))


class FileHandler(PageHandler):
    """The scripts and styles of the page above, and of the banner on previews of Panel."""

    @web.authenticated
    def get(self, name: str) -> None:
        """Return the file."""
        self.set_header("Content-Type", f"{_FILES[name]}; charset=UTF-8")
        self.finish(read(name))


PAGES: list[tuple[str, type[PageHandler]]] = [
    (_SIGNED_IN, SignedInHandler),
    (r"session-user/login-state", LoginStateHandler),
    (rf"session-user/({'|'.join(map(re.escape, _FILES))})", FileHandler),
]
