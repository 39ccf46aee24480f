"""Which cookies may go to a kernel.

Rules of this file:
- a kernel runs code of whoever may use it, so a cookie that lets its bearer log in stays here;
- somebody else's kernel gets what the administrator named, letter by letter, and no hint of
  what else there is;
- names are compared as they are: cookie names are case-sensitive (RFC 6265bis, 5.7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from jupyter_session_user.core.cookies import RawCookie

__all__ = ["DEFAULT_CREDENTIAL_COOKIES", "CookiePolicy", "Visible"]

#: Patterns (:mod:`fnmatch`) of the cookies by which their bearer is logged in, or proves that
#: a request is his own. Names are the products' defaults; a renamed cookie must be added.
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
    """What one kernel may have of a request's cookies.

    Attributes:
        cookies: Those that may go there, in the request's order.
        withheld: Names of those that may not; empty where the kernel is somebody else's, since
            the names alone say which services a person uses.
    """

    cookies: tuple[RawCookie, ...]
    withheld: frozenset[str]


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """The administrator's rule on cookies.

    What a shared kernel gets is part of what the own kernel gets: filtering once for the own
    kernel, and what is left for the shared one, comes to the same as filtering all.

    Attributes:
        credential: Patterns (:mod:`fnmatch`) of names that go to no kernel.
        share: Exact names that go to every kernel, even one that matches ``credential``: that
            is the administrator's explicit word. No patterns: ``*`` here means an asterisk.
    """

    credential: tuple[str, ...] = DEFAULT_CREDENTIAL_COOKIES
    share: tuple[str, ...] = ()

    def visible(
        self, cookies: Iterable[RawCookie], *, own_kernel: bool, login_cookie: str | None = None
    ) -> Visible:
        """Return what may go to a kernel.

        Args:
            cookies: The request's.
            own_kernel: Whether the kernel belongs to the person who sent them.
            login_cookie: Exact name of the server's login cookie, which may have been renamed
                to something that no pattern matches; None where there is none.
        """
        received = tuple(cookies)
        names = {cookie.name for cookie in received}
        given = {name for name in names if name in self.share}
        if own_kernel:
            given |= {n for n in names if n != login_cookie and not self._is_credential(n)}
        return Visible(
            cookies=tuple(cookie for cookie in received if cookie.name in given),
            withheld=frozenset(names - given) if own_kernel else frozenset(),
        )

    def _is_credential(self, name: str) -> bool:
        """Tell whether a pattern matches."""
        return any(fnmatchcase(name, pattern) for pattern in self.credential)
