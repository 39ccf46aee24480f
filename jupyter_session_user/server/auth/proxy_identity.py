"""The identity provider for a server behind an authenticating proxy, which names each user.

It has no login of its own: no password, no cookie and no token admits a request. What a request
says of its user counts if the proxy sent it (``trusted_proxies``), or signed it (an assertion).
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.auth.logout import LogoutHandler
from tornado import web
from traitlets import default

from jupyter_session_user.core.proxy_headers import (
    ProxyUser,
    RequestRefused,
    alike,
    one_value,
    user_of_claims,
    user_of_headers,
)
from jupyter_session_user.core.proxy_presets import PRESETS
from jupyter_session_user.server.auth.peer import Peer, peer_of
from jupyter_session_user.server.auth.proxy_settings import ProxySettings

__all__ = ["ProxiedUser", "ProxyIdentityProvider"]

_NOT_NAMED = (
    "This server has no login form: the proxy in front of it logs users in. Open the server at the "
    "proxy's address, and log in there."
)
_LOGGED_OUT = "You are logged out of this server. To end the login at the proxy, log out there."
_LOCAL = (
    "ProxyIdentityProvider: trusted_proxies has addresses of this machine. Code in any kernel here "
    "can connect from them, and name any user. Put the proxy on another address, or set "
    "c.ProxyIdentityProvider.assertion_header to an assertion that it signs."
)


class ProxiedUser(User):
    """A user whom the proxy names."""

    groups: tuple[str, ...] = ()
    email: str = ""
    #: Hash of what the proxy distinguishes its users by.
    proxy_key: str = ""


class ProxyLoginHandler(LoginFormHandler):
    """Says where to log in; leads a user whom the proxy names to the page that was asked for."""

    def _render(self, message: dict[str, str] | None = None) -> None:
        del message
        raise web.HTTPError(HTTPStatus.FORBIDDEN, _NOT_NAMED)

    @allow_unauthenticated
    def post(self) -> None:
        """Refuse every form."""
        self._render()


class ProxyLogoutHandler(LogoutHandler):
    """Ends the login here, and then at the proxy."""

    @allow_unauthenticated
    def get(self) -> None:
        """End the login, and go on to ``logout_url``."""
        provider: Any = self.identity_provider
        provider.clear_login_cookie(self)
        if provider.logout_url:
            self.redirect(provider.logout_url)
        else:
            page = self.render_template("logout.html", message={"warning": _LOGGED_OUT})  # type: ignore[no-untyped-call]
            self.write(page)


class ProxyIdentityProvider(ProxySettings, IdentityProvider):
    """Takes the user of each request from the proxy in front of the server."""

    need_token = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rules = self.rules()
        self.logout_url = self.logout_url or PRESETS[self.preset].logout
        #: Where a short-lived assertion comes; revalidation knows from this that it gets too old.
        self.short_lived_header = self._rules.assertion
        if self._rules.trusts_this_machine:
            self.log.warning(_LOCAL)
        #: The subject of each username. One name for two subjects would be two people.
        self._subjects: dict[str, str] = {}
        self._told: set[str] = set()

    # ----------------------------------------------------------------------------- one request

    def get_user(self, handler: Any) -> User | None:
        """Return the user whom the proxy names for a request; None if it names none."""
        peer = peer_of(handler.request)
        try:
            named = self._named(list(handler.request.headers.get_all()), peer)
        except RequestRefused as refusal:
            self._tell(str(refusal), peer)
            return None
        if named is None:
            return None
        user = ProxiedUser(named.username, named.name)
        user.groups, user.email, user.proxy_key = named.groups, named.email, named.key
        return user

    def _named(self, headers: list[tuple[str, str]], peer: Peer) -> ProxyUser | None:
        rules = self._rules
        if not rules.trust(peer):
            if any(alike(name) == alike(rules.header) for name, _ in headers):
                raise RequestRefused(f"the header {rules.header} from outside of trusted_proxies")
            return None
        if rules.keys is None:
            return user_of_headers(headers, **rules.plain)
        assertion = one_value(headers, rules.assertion)
        if assertion is None:
            return None
        claims = rules.keys.claims(assertion)
        if claims is None:
            raise RequestRefused("an assertion that none of the keys in assertion_jwks has signed")
        named = user_of_claims(claims, rules.expected, time.time())
        if self._subjects.setdefault(named.username, named.key) != named.key:
            raise RequestRefused("an assertion with the username of another subject")
        return named

    def _tell(self, reason: str, peer: Peer) -> None:
        """Log each reason once: a client could fill the log."""
        if reason not in self._told:
            self._told.add(reason)
            self.log.warning(
                "ProxyIdentityProvider: refused a request from %s with %s. Further ones are not "
                "logged.",
                peer or "an unknown address",
                reason,
            )

    # ------------------------------------------------------------------------ no other identity

    async def get_user_token(self, handler: Any) -> User | None:
        """Return None: no token names a user."""
        del handler
        return None

    def get_user_cookie(self, handler: Any) -> User | None:
        """Return None: no cookie names a user."""
        del handler
        return None

    def process_login_form(self, handler: Any) -> User | None:
        """Return None: there is no login form."""
        del handler
        return None

    @property
    def auth_enabled(self) -> bool:
        """Return True: every request needs a user."""
        return True

    @default("token")
    def _token_default(self) -> str:
        return ""

    @default("login_handler_class")
    def _login_default(self) -> type[web.RequestHandler]:
        return ProxyLoginHandler

    @default("logout_handler_class")
    def _logout_default(self) -> type[web.RequestHandler]:
        return ProxyLogoutHandler

    @default("updatable_fields")
    def _fields_default(self) -> list[str]:
        return []
