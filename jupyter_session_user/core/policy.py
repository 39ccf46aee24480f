"""Decides which cookies may go to a kernel.

Rules of this file:
- a kernel runs the code of all its users, so login cookies never go to a kernel;
- a kernel of another user gets only the cookies that the administrator named exactly, and no hint
  of other cookies;
- names are compared exactly: cookie names are case-sensitive (RFC 6265bis, 5.7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from jupyter_session_user.core.cookies import RawCookie

__all__ = ["DEFAULT_CREDENTIAL_COOKIES", "CookiePolicy", "Visible"]

#: Patterns (:mod:`fnmatch`) of the cookies that log a browser in, or prove that a request comes
#: from the site's own page. Names are the products' defaults; a renamed cookie must be added.
DEFAULT_CREDENTIAL_COOKIES: tuple[str, ...] = (
    # Jupyter Server's login: ``username-<host>-<port>``; jupyter_server/auth/identity.py.
    "username-*",
    # Tornado's XSRF token, for Jupyter Server and JupyterHub.
    "_xsrf",
    "__Host-_xsrf",
    # JupyterHub: session id, Hub login, single-user servers, OAuth state; with
    # ``cookie_host_prefix_enabled`` under the second name.
    "jupyterhub-*",
    "__Host-jupyterhub-*",
    # JupyterHub's services: the cookie is named after the OAuth client, ``service-<name>``.
    "service-*",
    "__Host-service-*",
    # OAuthenticator's login in progress.
    "oauthenticator-*",
    # oauth2-proxy: session (in parts ``_0``, ``_1``, … when it is large) and CSRF.
    "_oauth2_proxy*",
    "__Host-_oauth2_proxy*",
    "__Secure-_oauth2_proxy*",
    # Apache mod_auth_openidc: session, its parts, and the state of a login in progress.
    "mod_auth_openidc_*",
    # Apache mod_auth_mellon: ``mellon-<MellonVariable>``.
    "mellon-*",
    # Shibboleth service provider: session and relay state, named after the application.
    "_shibsession_*",
    "_shibstate_*",
    "_shibsealed_*",
    "_opensaml_req_*",
    # Cloudflare Access. ``cf_clearance`` and ``__cf_bm`` are bot checks, no logins.
    "CF_Authorization",
    "CF_AppSession",
    "CF_Session",
    "CF_Binding",
    # AWS Application Load Balancer: session parts ``-0``, ``-1``, … and the login's nonce.
    "AWSELBAuthSessionCookie*",
    "AWSALBAuthNonce",
    # Google Cloud Identity-Aware Proxy, by its older and newer names.
    "GCP_IAP_*",
    "GCP_IAAP_*",
    "__Host-GCP_IAP_*",
    # Azure App Service ("Easy Auth"), in parts when it is large.
    "AppServiceAuthSession*",
    # Pomerium: session and CSRF.
    "_pomerium*",
    # Authelia.
    "authelia_session",
    # authentik: its own session, and its proxy outposts'.
    "authentik_*",
    # Keycloak, where it serves the same host, and its gatekeeper proxy.
    "AUTH_SESSION_ID*",
    "KEYCLOAK_IDENTITY*",
    "KEYCLOAK_SESSION*",
    "KEYCLOAK_REMEMBER_ME",
    "KC_AUTH_SESSION_HASH",
    "KC_RESTART",
    "KC_STATE_CHECKER",
    "kc-access*",
    "kc-state*",
    # traefik-forward-auth: session and CSRF.
    "_forward_auth*",
)


@dataclass(frozen=True, slots=True)
class Visible:
    """The cookies of a request that one kernel may have.

    Attributes:
        cookies: The cookies for the kernel, in the request's order.
        withheld: Names of the cookies that are kept back. Empty if the kernel belongs to another
            user, since the names alone show which services a user visits.
    """

    cookies: tuple[RawCookie, ...]
    withheld: frozenset[str]


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """The administrator's rule on cookies.

    A shared kernel gets a subset of the cookies that the user's own kernel gets. Filtering once for
    the own kernel and then for the shared kernel therefore equals filtering all cookies for the
    shared kernel.

    Attributes:
        credential: Patterns (:mod:`fnmatch`) of names that go to no kernel.
        allow: Exact names that may leave the server; None for all except credentials.
        share: Exact names that go to every kernel, even if they match ``credential``: the
            administrator named them explicitly. Not patterns: ``*`` here means an asterisk.
    """

    credential: tuple[str, ...] = DEFAULT_CREDENTIAL_COOKIES
    share: tuple[str, ...] = ()
    allow: frozenset[str] | None = None

    def is_shared(self, name: str) -> bool:
        """Tell whether a cookie of this name also goes to kernels with several users."""
        return name in self.share

    def visible(
        self, cookies: Iterable[RawCookie], *, own_kernel: bool, login_cookie: str | None = None
    ) -> Visible:
        """Return the cookies that may go to a kernel.

        Args:
            cookies: The request's cookies.
            own_kernel: Whether the kernel belongs to the user that sent the cookies.
            login_cookie: Exact name of the server's login cookie, which may have been renamed to a
                name that no pattern matches; None if there is none.
        """
        received = tuple(cookies)
        names = {cookie.name for cookie in received}
        given = {name for name in names if name in self.share}
        if own_kernel:
            given |= {
                name
                for name in names - {login_cookie}
                if (self.allow is None or name in self.allow)
                and not any(fnmatchcase(name, pattern) for pattern in self.credential)
            }
        return Visible(
            cookies=tuple(cookie for cookie in received if cookie.name in given),
            withheld=frozenset(names - given) if own_kernel else frozenset(),
        )
