"""The settings of the provider for a server behind an authenticating proxy, and their checks.

In configuration files they are ``c.ProxyIdentityProvider``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from traitlets import Enum, HasTraits, List, TraitError, Unicode

from jupyter_session_user.core.proxy_headers import Expected
from jupyter_session_user.core.proxy_presets import PRESETS
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.peer import UNIX, Network, Peer, is_in
from jupyter_session_user.server.auth.resolvers.jwks import (
    BalancerKeyFile,
    KeyFile,
    need_joserfc,
)

__all__ = ["ProxySettingError", "ProxySettings", "Rules"]

_FAMILIES = {
    "RS256": ("RS256",),
    "PS256": ("PS256",),
    "ES256": ("ES256",),
    "EdDSA": ("EdDSA", "Ed25519"),  # two names of one algorithm: RFC 9864
}
_PLAIN = {
    "user": "user_header",
    "name": "name_header",
    "email": "email_header",
    "groups": "groups_header",
}


class ProxySettingError(ConfigurationError, TraitError):
    """A setting of the provider cannot work; Jupyter Server prints a TraitError and ends."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say, after the preset.

    Attributes:
        plain: Names of the plain headers: ``user``, ``name``, ``email``, ``groups``.
        assertion: Name of the header with an assertion; empty without one.
        expected: What the assertion's claims must be.
        keys: The proxy's keys; None without an assertion.
        networks: Where requests count from, besides a Unix socket.
        unix: Whether a request over a Unix socket counts.
    """

    plain: Mapping[str, str]
    assertion: str
    expected: Expected
    keys: KeyFile | None
    networks: tuple[Network, ...]
    unix: bool

    @property
    def header(self) -> str:
        """The header that names the user."""
        return self.assertion or self.plain["user"]

    @property
    def trusts_this_machine(self) -> bool:
        """Whether a kernel on this machine can name any user."""
        local = self.unix or any(network.is_loopback for network in self.networks)
        return local and not self.assertion

    def trust(self, peer: Peer) -> bool:
        """Tell whether a request from this peer may name a user."""
        if not (self.unix or self.networks):
            return True  # the signature alone counts
        return self.unix if peer == UNIX else is_in(self.networks, peer)


class ProxySettings(HasTraits):
    """The settings of an administrator."""

    preset = Enum(
        list(PRESETS),
        default_value="",
        config=True,
        help="""The product in front of this server: it sets the names of headers, the algorithm of
        an assertion, and `logout_url`. A setting below takes precedence. Empty: none.""",
    )
    user_header = Unicode(
        config=True,
        help="""Name of the header with the username. Empty: the preset's.""",
    )
    name_header = Unicode(
        config=True,
        help="""Name of the header with the user's name for display. Empty: the preset's.""",
    )
    email_header = Unicode(
        config=True,
        help="""Name of the header with the user's e-mail address. Empty: the preset's.""",
    )
    groups_header = Unicode(
        config=True,
        help="""Name of the header with the user's groups, separated by commas. Empty: the
        preset's.""",
    )
    trusted_proxies = List(
        Unicode(),
        config=True,
        help="""Networks (CIDR, such as 10.0.0.5/32) from which requests count; `unix` for a Unix
        socket. The peer's own address is compared, never X-Forwarded-For. Requests from elsewhere
        have no user. Required without an assertion.""",
    )
    assertion_header = Unicode(
        config=True,
        help="""Name of the header with a JWT that the proxy signs for each request. Then no other
        header names the user. Empty: the preset's.""",
    )
    assertion_jwks = Unicode(
        config=True,
        help="""Path of a file with the proxy's public keys (a JWKS); it is read again when it
        changes. Required with an assertion.""",
    )
    assertion_issuer = Unicode(
        config=True,
        help="""Required `iss` of the assertion. Empty: the preset's.""",
    )
    assertion_audience = Unicode(
        config=True,
        help="""Value that the assertion's `aud` must equal or contain; of AWS ALB, `client`.
        Required with an assertion.""",
    )
    assertion_signer = Unicode(
        config=True,
        help="""ARN of the load balancer that must have signed the assertion. Required with AWS
        ALB.""",
    )
    assertion_algorithm = Enum(
        ["", *_FAMILIES],
        default_value="",
        config=True,
        help="""The only algorithm that counts. Empty: the preset's; RS256 without a preset.""",
    )
    username_claim = Unicode(
        config=True,
        help="""The claim of the assertion that becomes the username. Empty: the preset's; `sub`
        without a preset.""",
    )
    logout_url = Unicode(
        config=True,
        help="""Address that ends the login at the proxy; Jupyter's logout page leads there. Empty:
        the preset's.""",
    )

    token: Any  # of the identity provider

    def rules(self) -> Rules:
        """Return what the settings say.

        Raises:
            ProxySettingError: They contradict each other, or trust nothing or everybody.
        """
        preset = PRESETS[self.preset]
        plain = {
            kind: getattr(self, setting) or getattr(preset, kind)
            for kind, setting in _PLAIN.items()
        }
        assertion = self.assertion_header or preset.assertion
        expected = Expected(
            self.assertion_issuer or preset.issuer,
            self.assertion_audience,
            self.username_claim or preset.username,
            self.assertion_signer,
        )
        if self.token:
            raise _error("accepts no token; remove c.IdentityProvider.token")
        if self.logout_url and not self.logout_url.startswith(("/", "https://", "http://")):
            raise _error("logout_url is no address; write a path such as /oauth2/sign_out")
        if assertion:
            self._check_assertion(
                assertion, [_PLAIN[kind] for kind in plain if plain[kind]], expected
            )
        else:
            self._check_plain(plain["user"])
        networks, unix = self._read_networks(), UNIX in self.trusted_proxies
        keys = self._read_keys() if assertion else None
        return Rules(plain, assertion, expected, keys, networks, unix)

    def _check_plain(self, header: str) -> None:
        for name in ("jwks", "issuer", "audience", "signer"):
            if getattr(self, f"assertion_{name}"):
                raise _error(
                    f"assertion_{name} is set, and no header has an assertion; set assertion_header"
                )
        if not header:
            raise _error("names no user; set preset, user_header or assertion_header")
        if not self.trusted_proxies:
            raise _error(
                f"would believe every client that sends {header}; list the proxy's address in "
                "trusted_proxies, such as ['10.0.0.5/32']"
            )

    def _check_assertion(self, header: str, unsigned: list[str], expected: Expected) -> None:
        if unsigned:
            raise _error(
                f"{unsigned[0]} is not signed, and {header} is; leave it out, and a preset "
                "that has it"
            )
        if not self.assertion_jwks:
            raise _error(
                f"cannot verify {header}; set assertion_jwks to a file with the proxy's public keys"
            )
        if not expected.issuer:
            raise _error("would accept every issuer; set assertion_issuer to the proxy's iss")
        if not expected.audience:
            raise _error(
                "would accept assertions for other applications; set assertion_audience to this "
                "application's aud"
            )
        if PRESETS[self.preset].signed_by and not expected.signer:
            raise _error(
                "would accept every load balancer of the region; set assertion_signer to the ARN "
                "of yours"
            )

    def _read_networks(self) -> tuple[Network, ...]:
        try:
            found = [ipaddress.ip_network(text) for text in self.trusted_proxies if text != UNIX]
        except ValueError as error:
            raise _error(
                f"trusted_proxies: {error}; write a network in CIDR notation, such as 10.0.0.5/32"
            ) from None
        found.sort(key=lambda network: network.version)
        for _, alike_ in groupby(found, lambda network: network.version):
            # Two halves are everything, too.
            if any(network.prefixlen == 0 for network in ipaddress.collapse_addresses(alike_)):  # type: ignore[type-var]
                raise _error(
                    "trusted_proxies has every address; list those of the proxies alone, such as "
                    "['10.0.0.5/32']"
                )
        return tuple(found)

    def _read_keys(self) -> KeyFile:
        need_joserfc("ProxyIdentityProvider: assertion_jwks")
        preset = PRESETS[self.preset]
        kind = BalancerKeyFile if preset.signed_by else KeyFile
        try:
            return kind(
                self.assertion_jwks,
                setting="assertion_jwks",
                algorithms=_FAMILIES[self.assertion_algorithm or preset.algorithm],
            )
        except ConfigurationError as error:
            raise _error(str(error)) from None


def _error(text: str) -> ProxySettingError:
    return ProxySettingError(f"ProxyIdentityProvider {text}")
