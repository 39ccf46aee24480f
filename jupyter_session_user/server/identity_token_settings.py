"""The settings for identity tokens: short statements about the user that other services verify."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, HasTraits, List, TraitError, Unicode, validate

__all__ = ["IdentityTokenSettings"]


class IdentityTokenSettings(HasTraits):
    """A part of ``Settings``; see ``docs/identity_tokens.md``."""

    token_audiences = List(
        Unicode(),
        config=True,
        help="""Names of the services for which `get_identity_token()` may ask, such as their URLs.
        Each token is for one of them. Also set `token_issuer`. Needs joserfc. The default, an empty
        list, issues no tokens.""",
    )

    token_issuer = Unicode(
        "",
        config=True,
        help="""The `iss` of identity tokens: the URL of `api/session-user` at this server, as the
        services reach it, such as `https://jupyter.example.org/api/session-user`. Services find the
        public keys below it. https, or http on this machine alone.""",
    )

    token_key_file = Unicode(
        "",
        config=True,
        help="""Path of the file with the private keys that sign identity tokens. Only its owner may
        have access (mode 0600). The server makes it at the first start, and reads it again after a
        change. The default, empty, is `session-user/identity-keys.json` in Jupyter's data
        directory. Kernels that run as the server's own account can read it.""",
    )

    token_key_url = Unicode(
        "",
        config=True,
        help="""URL of the private keys, instead of `token_key_file`, so that no file on this
        machine has them: https, or http on this machine alone. The server fetches them at its start
        and once a minute, with the bearer token in `token_key_url_secret_env`. The answer is the
        JSON of a key file.""",
    )

    token_key_url_secret_env = Unicode(
        "",
        config=True,
        help="""Name of an environment variable with the bearer token for `token_key_url`. The
        server takes it out of its environment at its start, since kernels would inherit it.""",
    )

    token_groups = Bool(
        False,
        config=True,
        help="""Whether identity tokens state the user's groups. False leaves them out, since each
        service would learn all groups.""",
    )

    token_shared_kernels = Bool(
        False,
        config=True,
        help="""Whether a kernel gets identity tokens that another user started, or has sent
        messages to. Its users' code can then ask for tokens of each user whose login is open on it.
        Such a token says `kernel_shared`, and services refuse it unless they allow it. False gives
        such kernels none.""",
    )

    @validate("token_audiences")
    def _check_audiences(self, proposal: Any) -> Any:
        """Refuse empty names, and a Python list that a command line turned into one name."""
        for name in proposal["value"]:
            if not name or "'" in name or '"' in name:
                option = "--JupyterSessionUser.token_audiences"
                raise TraitError(f"{name!r} is no name; write {option}=one {option}=another")
        return proposal["value"]
