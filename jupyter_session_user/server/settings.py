"""The settings: the same traits for the server extension and for standalone Voila.

In configuration files both are ``c.JupyterSessionUser``.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Any

from traitlets import Bool, Dict, Enum, Float, Int, List, TraitError, Unicode, validate

from jupyter_session_user.core.lifecycle import Limits
from jupyter_session_user.core.platform_cookie import PlatformCookie
from jupyter_session_user.core.policy import DEFAULT_CREDENTIAL_COOKIES, CookiePolicy
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.agent_settings import AgentSettings
from jupyter_session_user.server.audit_settings import AuditSettings
from jupyter_session_user.server.database_settings import DatabaseSettings
from jupyter_session_user.server.identity_token_settings import IdentityTokenSettings
from jupyter_session_user.server.logout_settings import LogoutSettings
from jupyter_session_user.server.revalidation_settings import RevalidationSettings
from jupyter_session_user.server.run_settings import RunSettings
from jupyter_session_user.server.token_exchange_settings import TokenExchangeSettings

__all__ = ["Settings"]


class Settings(
    AgentSettings,
    AuditSettings,
    DatabaseSettings,
    IdentityTokenSettings,
    LogoutSettings,
    RevalidationSettings,
    RunSettings,
    TokenExchangeSettings,
):
    """The settings of an administrator."""

    credential_cookies = List(
        Unicode(),
        default_value=list(DEFAULT_CREDENTIAL_COOKIES),
        config=True,
        help="""Names of cookies that never go to any kernel, as shell patterns (`*`, `?`): a client
        that has such a value is logged in as that user. The default names the login cookies of
        Jupyter, JupyterHub and the common SSO proxies. An empty list keeps back only the login
        cookie of this server's own identity provider.""",
    )

    cookies: Any = List(
        Unicode(),
        default_value=None,
        allow_none=True,
        config=True,
        help="""Names of cookies, exact, that may go to kernels. Recommended if users share a
        server: a cookie that another application sets later stays at the server. Cookies in
        `credential_cookies` always stay. None, the default, allows every other cookie.""",
    )

    share_cookies = List(
        Unicode(),
        config=True,
        help="""Names of cookies, exact, that also go to kernels that other users started or sent
        messages to. The default, an empty list, gives such kernels no cookie.""",
    )

    claims = List(
        Unicode(),
        default_value=[
            "email",
            "email_verified",
            "family_name",
            "given_name",
            "locale",
            "nickname",
            "preferred_username",
            "zoneinfo",
        ],
        config=True,
        help="""Names of further fields of the identity provider's user that kernels may see, in
        `user.claims`. Every message carries them, so name none that holds a session id, a token id
        or a secret, such as JupyterHub's `hub_user`. The default names claims of OpenID Connect; an
        empty list gives none.""",
    )

    admin_users = List(
        Unicode(),
        config=True,
        help="""Usernames of administrators, besides the users that the identity provider marks with
        `admin = True`. Administrators see all sessions. The default, an empty list, adds none.""",
    )

    identity_from_cookie = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        config=True,
        help="""A cookie in which the platform in front of this server names users that the identity
        provider does not name: `cookie`, its name; `username` and `name`, the fields of its JSON
        (plain, URL-encoded or base64; with `decode` = "jwt" the payload of a JWT). Such a user is
        not verified, unless the request comes from `trusted_proxies`. The default, empty, reads no
        such cookie.""",
    )

    trusted_proxies = List(
        Unicode(),
        config=True,
        help="""Networks (CIDR, such as 10.0.0.0/8) of the proxies that set the cookie of
        `identity_from_cookie` themselves, and remove it from visitors' requests. The default, an
        empty list, trusts none, and such users stay unverified.""",
    )

    exclusive_kernels = Bool(
        True,
        config=True,
        help="""Whether a kernel that Voila or Panel preview made for one visitor refuses the
        websockets of other authenticated users. A server without authentication refuses no
        websocket. False admits every user that is authorised for kernels.""",
    )

    max_sessions = Int(
        10_000,
        min=1,
        config=True,
        help="""Maximum number of sessions in memory; beyond it, the session that was seen longest
        ago is forgotten. No value means unlimited.""",
    )

    store_url = Unicode(
        "",
        config=True,
        help="""Location of the list of ended logins, so that a restart does not accept their
        cookies again: `sqlite:////absolute/path` of a file on a local disk; `redis://HOST:6379/0`
        for servers on several machines; or `memory:`, which a restart forgets. The default, empty,
        is the file `session-user/ended.sqlite3` in Jupyter's data directory. Servers with the same
        location share the list. It holds no cookie, token, username or claim. The server does not
        start if it cannot use the list.""",
    )

    store_password_file = Unicode(
        "",
        config=True,
        help="""Path of a file, mode 0600, with the password of the Redis server in `store_url`; use
        it instead of a password in `store_url`, which `jupyter server --show-config` prints. The
        server does not start if `store_url` has a password, too. Empty, the default: no file.""",
    )

    realm = Unicode(
        "",
        config=True,
        help="""Name of this server's set of accounts, such as the identity provider's URL, for
        servers that share a `store_url`. Ended logins of one realm do not affect another.""",
    )

    comm_rate = Float(
        20.0,
        config=True,
        help="""How many requests of one kernel are answered per second, in the long run. Further
        requests are dropped, and time out in the kernel; so are requests above 64 KiB. Must be
        above 0.""",
    )

    comm_burst = Int(
        100,
        min=1,
        config=True,
        help="""How many requests of one kernel are answered at once, in requests, before
        `comm_rate` counts.""",
    )

    websocket_nodelay = Bool(
        True,
        config=True,
        help="""Whether kernel websockets send small messages at once (TCP_NODELAY). Without it a
        trivial cell waits some 40 ms for the network. False leaves the sockets as Jupyter Server
        makes them.""",
    )

    expired_session_policy = Enum(
        ["quarantine", "flag", "close"],
        default_value="quarantine",
        config=True,
        help="""What to do with a kernel's websocket after its login has ended. "quarantine": it
        stays open, nothing reaches the kernel, and every request is answered with an error that
        says so. "flag": messages go on, and the kernel is told that the session has ended. "close":
        it is closed with code 4401; JupyterLab then says that the kernel died.""",
    )

    expiry_warning = Float(
        300.0,
        min=0,
        config=True,
        help="""How long before its end a login counts as expiring, in seconds. 0 gives no
        warning.""",
    )

    idle_timeout = Float(
        None,
        allow_none=True,
        min=1,
        config=True,
        help="""How long a login lasts without user activity, in seconds: the user opens no page,
        runs, saves and clicks nothing. None, the default, ends no login for that.""",
    )

    absolute_timeout = Float(
        None,
        allow_none=True,
        min=1,
        config=True,
        help="""Maximum lifetime of a login, in seconds since this server first saw it. None, the
        default, ends no login for that.""",
    )

    assertion_headers = List(
        Unicode(),
        default_value=[
            "cf-access-jwt-assertion",
            "x-amzn-oidc-data",
            "x-goog-iap-jwt-assertion",
            "x-pomerium-jwt-assertion",
        ],
        config=True,
        help="""Names of request headers with an assertion of the proxy that is good for minutes or
        for one request. Such a header cannot be checked again later: where the provider no longer
        accepts it, the login goes on as degraded. A header counts only for a login that the
        provider refuses without it. The proxy must remove what clients send under these names.
        The default names those of Cloudflare Access, AWS, Google and Pomerium; the header of
        `ProxyIdentityProvider` counts as well. An empty list names none.""",
    )

    max_connection_age = Float(
        None,
        allow_none=True,
        min=1,
        config=True,
        help="""Maximum age of a kernel's websocket, in seconds; then the browser makes a new one. A
        proxy that names the user in a header checks only new connections, so this setting applies
        the proxy's logout. None, the default, sets no limit.""",
    )

    revoked_block = Float(
        600.0,
        min=0,
        config=True,
        help="""How long a revoked login is refused if nothing distinguishes it from the user's next
        login, in seconds: behind a proxy that sets a header and nothing else. A login with a
        cookie, a token or a JWT of its own is refused for good.""",
    )

    page_banner = Bool(
        True,
        config=True,
        help="""Whether the pages of Voila, and of Panel's previews, show a banner when the login,
        the server or the kernel is gone. A `SessionBanner()` shows in any case.""",
    )

    resolvers = List(
        Unicode(),
        default_value=["jwt", "signed_cookie"],
        config=True,
        help="""Resolvers that find the end of a login, in the order of their calls: names of the
        entry points `jupyter_session_user.resolvers`. `jwt`: the `exp` of the JWT in `jwt_cookie`
        or `jwt_header`. `signed_cookie`: the age of Jupyter's login cookie, an estimate, which
        warns and ends nothing. `custom`: the function in `session_resolver`. An empty list calls
        none.""",
    )

    jwt_cookie = Unicode(
        "",
        config=True,
        help="""Name of a cookie that holds a JWT which the identity provider verifies. The login
        ends at its `exp`. Empty: no such cookie is read.""",
    )

    jwt_header = Unicode(
        "",
        config=True,
        help="""Name of a request header that holds such a JWT, with or without "Bearer ". Empty: no
        such header is read.""",
    )

    jwt_jwks = Unicode(
        "",
        config=True,
        help="""Path of a file with the public keys of the JWT's issuer (a JWKS), such as a copy of
        its `jwks_uri`; it is read again when it changes. A JWT that none of the keys has signed
        (RS256, PS256, ES256, EdDSA) is then ignored. Needs joserfc. Empty: the JWT is decoded and
        not verified, and a warning at the start says so.""",
    )

    jwt_issuer = Unicode(
        "",
        config=True,
        help="""Required `iss` of the JWT, if `jwt_jwks` is set. Empty: any.""",
    )

    jwt_audience = Unicode(
        "",
        config=True,
        help="""Value that `aud` must equal or contain, if `jwt_jwks` is set. Empty: any.""",
    )

    session_resolver = Unicode(
        "",
        config=True,
        help="""Import name of a function `(handler, user)` that returns when the login ends:
        seconds since the epoch, an aware datetime, a `Resolution`, or None if unknown. It must not
        block. Called if `resolvers` names `custom`. Empty: none.""",
    )

    @validate("admin_users", "claims", "cookies", "credential_cookies", "share_cookies")
    def _check_names(self, proposal: Any) -> Any:
        """Refuse a Python list that a command line turned into one name: it would match nothing."""
        for name in proposal["value"] or ():
            if "'" in name or '"' in name:
                option = f"--JupyterSessionUser.{proposal['trait'].name}"
                raise TraitError(f"{name} is no name; write {option}=one {option}=another")
        return proposal["value"]

    def policy(self) -> CookiePolicy:
        """Return the policy for cookies."""
        return CookiePolicy(
            credential=tuple(self.credential_cookies),
            share=tuple(self.share_cookies),
            allow=None if self.cookies is None else frozenset(self.cookies),
        )

    def limits(self) -> Limits:
        """Return the timeouts of logins."""
        return Limits(
            warning=self.expiry_warning,
            idle=math.inf if self.idle_timeout is None else self.idle_timeout,
            absolute=math.inf if self.absolute_timeout is None else self.absolute_timeout,
            block=self.revoked_block,
        )

    def platform_cookie(self) -> PlatformCookie | None:
        """Return how to read the platform's cookie; None if it is not configured.

        Raises:
            ConfigurationError: A field is missing, or unknown.
        """
        if not self.identity_from_cookie:
            return None
        return PlatformCookie.from_config(self.identity_from_cookie)

    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Return the networks of the trusted proxies.

        Raises:
            ConfigurationError: An entry is not a network.
        """
        try:
            return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies)
        except ValueError as error:
            raise ConfigurationError(
                f"trusted_proxies: {error}; write a network in CIDR notation, such as 10.0.0.0/8"
            ) from None
