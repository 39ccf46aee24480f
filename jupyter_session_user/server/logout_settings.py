"""The settings for an identity provider that ends logins with a message to this server."""

from __future__ import annotations

from traitlets import Enum, HasTraits, Unicode

__all__ = ["LogoutSettings"]


class LogoutSettings(HasTraits):
    """A part of ``Settings``; see ``docs/logout_push.md``."""

    logout_issuer = Unicode(
        "",
        config=True,
        help="""The identity provider that may end logins with a message to this server: the
        required `iss` of its tokens. Also set `logout_jwks`, and `logout_audience` or
        `logout_events_audience`. Empty: no provider may, and the addresses answer 404.""",
    )

    logout_jwks = Unicode(
        "",
        config=True,
        help="""Path of a file with the public keys of `logout_issuer` (a JWKS), such as a copy of
        its `jwks_uri`; it is read again when it changes. Needs joserfc.""",
    )

    logout_audience = Unicode(
        "",
        config=True,
        help="""Client id of this server at `logout_issuer`: the required `aud` of logout tokens.
        The provider sends them to `api/session-user/backchannel-logout` (OpenID Connect
        Back-Channel Logout 1.0). Empty: that address answers 404.""",
    )

    logout_events_audience = Unicode(
        "",
        config=True,
        help="""Required `aud` of security event tokens, as the event stream's configuration at
        `logout_issuer` has it. The provider sends them to `api/session-user/security-events` (RFC
        8935), and `session-revoked` of OpenID CAEP 1.0 ends logins. Empty: that address answers
        404.""",
    )

    logout_subject = Enum(
        ["", "username"],
        default_value="",
        config=True,
        help="""How the provider names logins without a JWT that `jwt_jwks` verifies. "username":
        its `sub` is the username at this server; such a login does not know its `sid`, so a logout
        in one browser ends all logins of that user. Empty: the provider cannot end such
        logins.""",
    )
