"""The settings for access tokens of the institution's identity provider."""

from __future__ import annotations

from traitlets import Dict, Enum, HasTraits, Unicode

__all__ = ["TokenExchangeSettings"]


class TokenExchangeSettings(HasTraits):
    """A part of ``Settings``; see ``docs/access_tokens.md``."""

    token_exchange = Dict(
        config=True,
        help="""Services for which `get_access_token()` may ask, by name. Each value is a
        dictionary: `issuer`, the identity provider; `client_id`, the client of the logins, and
        `client_secret_file` or `client_secret_env`, where its secret is; `scope`, `audience` and
        `resource`, what to ask for; `grant`, "token-exchange" or "refresh", without it what the
        provider's metadata names; `login_url`, where users agree; `subject_token`, "access_token"
        or "id_token"; `subject_claim`, the claim that names a user in all tokens ("sub");
        `shared_kernels`, whether kernels with several users get such tokens (False). The default,
        empty, gives no tokens.""",
    )

    login_tokens = Enum(
        ["auto", "login", "header", "jupyterhub"],
        default_value="auto",
        config=True,
        help="""Where the server finds the tokens of a login, which it exchanges. "login": the
        identity provider of this server hands them over when the user logs in. "header": a proxy
        sends the access token with each request, in `login_token_header`. "jupyterhub": the Hub's
        `auth_state`. "auto": "jupyterhub" if JupyterHub started this server, else "login".""",
    )

    login_token_header = Unicode(
        "X-Forwarded-Access-Token",
        config=True,
        help="""Name of the request header in which a proxy sends the user's access token, for
        `login_tokens = "header"`. The proxy must remove what clients send under this name.""",
    )

    login_token_key_file = Unicode(
        "",
        config=True,
        help="""Path of a file with the key that encrypts the tokens of logins on disk: 32 bytes as
        base64, one key a line; the first encrypts, all decrypt. Only its owner may have access
        (mode 0600). Needs cryptography. The default, empty, keeps these tokens in memory alone:
        after a restart of the server, users log in again before they get access tokens.""",
    )
