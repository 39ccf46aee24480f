"""Pages for a person who logs in again in a window of its own, while the work stays open.

``session-user/signed-in`` is for logged-in people alone, so the server leads there through
whatever login it has: a form, an OAuth dance, a proxy's page. The window then closes itself.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.escape import xhtml_escape
from tornado.httputil import url_concat

from jupyter_session_user.core.session import write_time
from jupyter_session_user.server.websocket import SETTING

if TYPE_CHECKING:
    from jupyter_session_user.server.context import ServerContext
    from jupyter_session_user.store.base import Record

__all__ = ["PAGES"]

_SIGNED_IN = "session-user/signed-in"
_AGAIN = "session-user/sign-in-again"

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{base}session-user/signed_in.css">
<script src="{base}session-user/signed_in.js" defer></script></head>
<body data-close="{close}"><main><h1>{title}</h1>{text}</main></body></html>
"""
_CLOSES = "<p>This window closes by itself. If it does not, close it and go on where you were.</p>"
_STAYS = """<p>This login has an end. To go on after it, log in again.
What is open in the other window is kept.</p>
<form method="post" action="{action}">{xsrf}<button>Log in again</button></form>"""

_FILES = {"signed_in.js": "text/javascript", "signed_in.css": "text/css"}


class PageHandler(JupyterHandler):
    """What all pages have in common: nothing of them may be cached, nor run what is not ours."""

    _track_activity = False

    @property
    def context(self) -> ServerContext:
        """The wired parts of this server."""
        context: ServerContext = self.settings[SETTING]
        return context

    @property
    def content_security_policy(self) -> str:
        """Jupyter's, or the administrator's; and no script or style but the two below."""
        own = "default-src 'none'; script-src 'self'; style-src 'self'"
        return f"{super().content_security_policy}; {own}"

    def set_default_headers(self) -> None:
        """Forbid caches: the answer differs for each person."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def address(self, path: str) -> str:
        """Return the address of a page of ours."""
        return url_path_join(self.base_url, path)


class SignedInHandler(PageHandler):
    """The page where a login in a window of its own ends."""

    @web.authenticated
    def get(self) -> None:
        """Say that one is signed in; offer a new login if one asks before the end.

        The argument ``until`` is the end of the login as the asking page knows it. Opening this
        page may have been enough to move it: then nothing more is to be done.
        """
        mine = self.context.capture.session_of(self, None)
        asks = self.get_query_argument("until", None)
        stays = asks is not None and mine is not None and self._is_offered(mine, asks)
        text = _CLOSES
        if stays:
            text = _STAYS.format(action=self.address(_AGAIN), xsrf=self.xsrf_form_html())
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.finish(
            _PAGE.format(
                title=xhtml_escape(f"Signed in as {self._name()}"),
                base=xhtml_escape(self.base_url),
                close=json.dumps(not stays),
                text=text,
            )
        )

    def _is_offered(self, mine: Record, asks: str) -> bool:
        end = mine.session.expires_at
        moved = end is not None and asks not in {"", write_time(end)}
        return has_form(self) and not moved

    def _name(self) -> str:
        user: Any = self.current_user
        return str(user.display_name or user.name or user.username)


def has_form(handler: JupyterHandler) -> bool:
    """Tell whether this server itself asks people for a password or a token."""
    provider = handler.identity_provider
    return bool(provider.login_available and provider.auth_enabled)


class SignInAgainHandler(PageHandler):
    """The way to the login form for somebody who is still logged in."""

    @web.authenticated
    def post(self) -> None:
        """Take the cookie away, which ends no login, and lead to the form."""
        if not has_form(self):
            raise web.HTTPError(409, "this server has no login of its own")
        # Past our own wrapper: what runs with the old login goes on until its end.
        clear = self.identity_provider.clear_login_cookie
        getattr(clear, "__wrapped__", clear)(self)
        login = self.get_login_url()
        self.redirect(url_concat(login, {"next": self.address(_SIGNED_IN)}))


class LoginStateHandler(PageHandler):
    """How a login came to its end, for the page that had it: it can show nothing else any more.

    The id of its session is the secret: it is random, and nobody but its owner, the kernels
    that he used, and administrators have seen it.
    """

    @allow_unauthenticated
    def get(self) -> None:
        """Answer whether whoever asks is signed in, and how the login of ``session`` ended."""
        record = self.context.store.get(self.get_query_argument("session", ""))
        state = record and self.context.logins.over(record.key, active=False)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"signed_in": self.current_user is not None, "state": state}))


class FileHandler(PageHandler):
    """The script and the style of the page above."""

    @web.authenticated
    def get(self, name: str) -> None:
        """Answer with the file."""
        self.set_header("Content-Type", f"{_FILES[name]}; charset=UTF-8")
        self.finish(_read(name))


@functools.cache
def _read(name: str) -> str:
    files = importlib.resources.files("jupyter_session_user.server") / "page_files"
    return (files / name).read_text(encoding="utf-8")


PAGES: list[tuple[str, type[PageHandler]]] = [
    (_SIGNED_IN, SignedInHandler),
    (_AGAIN, SignInAgainHandler),
    (r"session-user/login-state", LoginStateHandler),
    (r"session-user/(signed_in\.js|signed_in\.css)", FileHandler),
]
