"""What authenticating proxies send, as each product's documentation says.

A proxy names the user in plain headers, or in an *assertion*: a JWT that it signs. Plain headers
count from the proxy's own address alone; an assertion is checked with the proxy's public keys.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True, slots=True)
class Preset:
    """The headers of one product.

    Attributes:
        user: Header with the username; empty if the product signs an assertion.
        name: Header with the name for display.
        email: Header with the e-mail address.
        groups: Header with the groups, separated by commas.
        assertion: Header with the assertion.
        algorithm: The algorithm of its signature.
        issuer: Its ``iss``, if that is the same for all customers.
        username: The claim that becomes the username.
        signed_by: Whether the JWT's header names the load balancer that signed it, and also has
            the claims ``iss``, ``exp`` and ``client``; its parts are padded with ``=``.
        logout: Address that ends the login at the proxy.
    """

    user: str = ""
    name: str = ""
    email: str = ""
    groups: str = ""
    assertion: str = ""
    algorithm: str = "RS256"
    issuer: str = ""
    username: str = "sub"
    signed_by: bool = False
    logout: str = ""


PRESETS = {
    "": Preset(),
    "oauth2-proxy": Preset(
        user="X-Forwarded-User",
        name="X-Forwarded-Preferred-Username",
        email="X-Forwarded-Email",
        groups="X-Forwarded-Groups",
        logout="/oauth2/sign_out",
    ),
    "authelia": Preset(
        user="Remote-User", name="Remote-Name", email="Remote-Email", groups="Remote-Groups"
    ),
    "cloudflare-access": Preset(
        assertion="Cf-Access-Jwt-Assertion", username="email", logout="/cdn-cgi/access/logout"
    ),
    "aws-alb": Preset(assertion="X-Amzn-Oidc-Data", algorithm="ES256", signed_by=True),
    "google-iap": Preset(
        assertion="X-Goog-IAP-JWT-Assertion",
        algorithm="ES256",
        issuer="https://cloud.google.com/iap",
        username="email",
        logout="/?gcp-iap-mode=CLEAR_LOGIN_COOKIE",
    ),
    "pomerium": Preset(
        assertion="X-Pomerium-Jwt-Assertion",
        algorithm="ES256",
        username="email",
        logout="/.pomerium/sign_out",
    ),
}
