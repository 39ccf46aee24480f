"""The settings: one set of traits for the server extension and for standalone Voila.

In configuration files both are ``c.JupyterSessionUser``.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Any

from traitlets import Bool, Dict, Enum, Float, HasTraits, Int, List, TraitError, Unicode, validate

from jupyter_session_user.core.lifecycle import Limits
from jupyter_session_user.core.platform_cookie import PlatformCookie
from jupyter_session_user.core.policy import DEFAULT_CREDENTIAL_COOKIES, CookiePolicy
from jupyter_session_user.errors import ConfigurationError

__all__ = ["Settings"]


class Settings(HasTraits):
    """What an administrator can set."""

    credential_cookies = List(
        Unicode(),
        default_value=list(DEFAULT_CREDENTIAL_COOKIES),
        config=True,
        help="""Names of cookies that never go to any kernel, as shell patterns (`*`, `?`):
        whoever holds their value is logged in as that person. The default names the login
        cookies of Jupyter, JupyterHub and the common SSO proxies. An empty list keeps nothing
        back but the login cookie of this server's own identity provider.""",
    )

    share_cookies = List(
        Unicode(),
        config=True,
        help="""Names of cookies, exact, that go to a kernel that somebody else started.
        The default, an empty list, gives no cookie to other people's kernels.""",
    )

    admin_users = List(
        Unicode(),
        config=True,
        help="""Usernames that count as administrators, besides those that the identity
        provider marks with `admin = True`: they see everybody's sessions. The default, an
        empty list, adds none.""",
    )

    identity_from_cookie = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        config=True,
        help="""A cookie by which the platform in front of this server says who is there, for
        people whom the identity provider does not name: `cookie`, its name; `username` and
        `name`, the fields of its JSON that hold them (plain, URL-encoded or base64; with
        `decode` = "jwt" the payload of a JWT). Such a user is not verified, unless the
        request comes from `trusted_proxies`. The default, empty, reads no such cookie.""",
    )

    trusted_proxies = List(
        Unicode(),
        config=True,
        help="""Networks (CIDR, such as 10.0.0.0/8) of the proxies that set the cookie of
        `identity_from_cookie` themselves and let no visitor set it. The default, an empty
        list, trusts none, and such users stay unverified.""",
    )

    exclusive_kernels = Bool(
        True,
        config=True,
        help="""Whether a kernel that Voila or Panel preview made for one visitor refuses the
        websocket of any other authenticated user. Where nobody is authenticated, nobody is
        refused. False lets everybody in who is authorised for kernels.""",
    )

    max_sessions = Int(
        10_000,
        min=1,
        config=True,
        help="""How many sessions are kept in memory, in records; beyond that the one that was
        seen longest ago is forgotten. There is no value that means unlimited.""",
    )

    comm_rate = Float(
        20.0,
        config=True,
        help="""How many requests of one kernel are answered per second, in the long run.
        Others are dropped, and time out in the kernel. Must be above 0.""",
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
        help="""Whether kernel websockets send small messages at once (TCP_NODELAY). Without
        it a trivial cell waits some 40 ms for the network. False leaves the sockets as
        Jupyter Server makes them.""",
    )

    expired_session_policy = Enum(
        ["quarantine", "flag", "close"],
        default_value="quarantine",
        config=True,
        help="""What becomes of a kernel's websocket when its login is over. "quarantine": it
        stays open, nothing reaches the kernel, and every request is answered with an error
        that says so. "flag": messages go on, and the kernel is told that the session is over.
        "close": it is closed with code 4401; JupyterLab then says that the kernel died.""",
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
        help="""How long a login lasts in which a person does nothing, in seconds: opens no
        page, runs, saves and clicks nothing. None, the default, ends no login for that.""",
    )

    absolute_timeout = Float(
        None,
        allow_none=True,
        min=1,
        config=True,
        help="""How long a login lasts whatever is done, in seconds since this server first saw
        it. None, the default, ends no login for that.""",
    )

    revalidate_interval = Float(
        60.0,
        allow_none=True,
        min=0.1,
        config=True,
        help="""How often the identity provider and the authorizer are asked again about a
        login that has a kernel's websocket open, in seconds. Each login is asked about a
        little earlier than that, at random. None never asks: who is thrown out at the
        provider then keeps his open kernels.""",
    )

    revalidate_timeout = Float(
        10.0,
        min=0.1,
        config=True,
        help="""How long such an answer may take, in seconds. One that takes longer is none:
        the login goes on, and is shown as degraded.""",
    )

    revalidate_concurrency = Int(
        8,
        min=1,
        config=True,
        help="""About how many logins the provider is asked at the same time.""",
    )

    max_connection_age = Float(
        None,
        allow_none=True,
        min=1,
        config=True,
        help="""How old a kernel's websocket may get, in seconds, before it is closed so that
        the browser makes a new one. A proxy that says by a header who somebody is looks only
        at new connections, so this is how its logout gets here. None, the default, sets no
        limit.""",
    )

    revoked_block = Float(
        600.0,
        min=0,
        config=True,
        help="""How long a revoked login is refused where nothing tells it from the person's
        next one, in seconds: behind a proxy that sets a header and nothing else. A login that
        shows a cookie, a token or a JWT of its own is refused for good.""",
    )

    voila_banner = Bool(
        True,
        config=True,
        help="""Whether Voila's pages show a banner when the login, the server or the kernel is
        gone. False leaves them as they are; a `SessionBanner()` in a notebook still shows.""",
    )

    resolvers = List(
        Unicode(),
        default_value=["jwt", "signed_cookie"],
        config=True,
        help="""Who knows until when a login is good, asked in this order: names of the entry
        points `jupyter_session_user.resolvers`. `jwt`: the `exp` of the JWT in `jwt_cookie` or
        `jwt_header`. `signed_cookie`: the age of Jupyter's login cookie, an estimate, which
        warns and ends nothing. `custom`: the function in `session_resolver`. An empty list
        asks nobody.""",
    )

    jwt_cookie = Unicode(
        "",
        config=True,
        help="""Name of a cookie that holds a JWT which the identity provider verifies. The
        login is over when its `exp` has come. Empty: no such cookie is looked at.""",
    )

    jwt_header = Unicode(
        "",
        config=True,
        help="""Name of a request header that holds such a JWT, with or without "Bearer ".
        Empty: no such header is looked at.""",
    )

    session_resolver = Unicode(
        "",
        config=True,
        help="""Import name of a function `(handler, user)` that returns when the login ends:
        seconds since the epoch, an aware datetime, a `Resolution`, or None where it does not
        know. It must not wait. Asked where `resolvers` names `custom`. Empty: none.""",
    )

    @validate("credential_cookies", "share_cookies", "admin_users")
    def _check_names(self, proposal: Any) -> Any:
        """Refuse what a command line made of a Python list: it would match no name at all."""
        for name in proposal["value"]:
            if "'" in name or '"' in name:
                option = f"--JupyterSessionUser.{proposal['trait'].name}"
                raise TraitError(f"{name} is no name; write {option}=one {option}=another")
        return proposal["value"]

    def policy(self) -> CookiePolicy:
        """Return which cookies may leave the server."""
        return CookiePolicy(
            credential=tuple(self.credential_cookies), share=tuple(self.share_cookies)
        )

    def limits(self) -> Limits:
        """Return the timeouts of logins."""
        return Limits(
            warning=self.expiry_warning,
            idle=math.inf if self.idle_timeout is None else self.idle_timeout,
            absolute=math.inf if self.absolute_timeout is None else self.absolute_timeout,
        )

    def platform_cookie(self) -> PlatformCookie | None:
        """Return how to read the platform's cookie; None if there is none.

        Raises:
            ConfigurationError: A field is missing, or unknown.
        """
        if not self.identity_from_cookie:
            return None
        return PlatformCookie.from_config(self.identity_from_cookie)

    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Return the networks of the trusted proxies.

        Raises:
            ConfigurationError: One is no network.
        """
        try:
            return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies)
        except ValueError as error:
            raise ConfigurationError(
                f"trusted_proxies: {error}; write a network in CIDR notation, such as 10.0.0.0/8"
            ) from None
