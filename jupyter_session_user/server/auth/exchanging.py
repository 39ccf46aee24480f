"""Builds what gets access tokens of the institution, from the administrator's settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_core.paths import jupyter_data_dir

from jupyter_session_user.core.exchange_terms import ExchangeTerms, terms_of
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.access_tokens import AccessTokens
from jupyter_session_user.server.auth.consents import LoginPage
from jupyter_session_user.server.auth.login_page import login_page
from jupyter_session_user.server.auth.login_tokens.handed_over import HandedOver
from jupyter_session_user.server.auth.login_tokens.header import HeaderTokens
from jupyter_session_user.server.auth.login_tokens.hub import HubTokens
from jupyter_session_user.server.auth.sealing import Sealer, keys_in, need_cryptography
from jupyter_session_user.server.auth.token_provider import Issuer, TokenProvider, client_secrets
from jupyter_session_user.store.sealed import SealedRows

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.auth.capture import Capture
    from jupyter_session_user.server.auth.gate import Gate
    from jupyter_session_user.server.auth.login_tokens.base import TokenSource
    from jupyter_session_user.server.auth.logins import Logins
    from jupyter_session_user.server.auth.revalidation import Authority
    from jupyter_session_user.server.settings import Settings
    from jupyter_session_user.store.base import Record

__all__ = ["Asking", "access_tokens"]

_SAME_ACCOUNT = (
    "JupyterSessionUser: the kernels of this server run as its own account, and can read the "
    "server's memory and files: their code can then get the tokens of any user who is logged in. "
    "Run the kernels as other accounts, for example behind a gateway, unless all users trust each "
    "other."
)


class Asking(NamedTuple):
    """What finds out about logins and their users.

    Attributes:
        application: Returns the web application; None until there is one.
        gate: Sees each login.
        capture: Finds the user of a request.
        logins: The logins.
        authority: Asks the identity provider about a login's latest request.
    """

    application: Callable[[], Any]
    gate: Gate
    capture: Capture
    logins: Logins
    authority: Authority


def access_tokens(
    settings: Settings,
    asking: Asking,
    may_use: Callable[[Record, str, bool], bool],
    log: logging.Logger,
    *,
    kernels_elsewhere: bool,
) -> AccessTokens | None:
    """Return what gets access tokens; None if the administrator names no service.

    Args:
        settings: The administrator's settings.
        asking: Finds out about logins.
        may_use: As for ``AccessTokens``.
        log: Log for warnings.
        kernels_elsewhere: Whether a gateway runs the kernels.

    Raises:
        ConfigurationError: A setting cannot work.
    """
    if not settings.token_exchange:
        if settings.login_token_key_file:
            raise ConfigurationError(
                "login_token_key_file is set, and no kernel may get an access token; also set "
                "c.JupyterSessionUser.token_exchange"
            )
        return None
    entries = {name: terms_of(name, each) for name, each in settings.token_exchange.items()}
    providers = _providers(entries)
    source = _source(settings, asking, log)
    if not kernels_elsewhere:
        log.warning(_SAME_ACCOUNT)
    if settings.login_tokens == "header":
        _warn_without_page(entries, log)

    def page(record: Record) -> LoginPage:
        application, login = asking.application(), asking.logins.get(record.key)
        if application is None or login is None:
            return LoginPage()
        return login_page(application.settings, login)

    return AccessTokens(providers, source, may_use, page, log)


def _warn_without_page(entries: dict[str, ExchangeTerms], log: logging.Logger) -> None:
    """Warn of entries without a page, where the login is the proxy's."""
    for name in (name for name, terms in entries.items() if not terms.login_url):
        log.warning(
            "JupyterSessionUser.token_exchange: %r has no login_url. The proxy in front of this "
            "server logs users in, and the server does not know its login page: a user who has to "
            "agree gets an error without an address. Set login_url, such as "
            "https://jupyter.example.org/oauth2/start",
            name,
        )


def _providers(entries: dict[str, ExchangeTerms]) -> dict[str, TokenProvider]:
    secrets = client_secrets(entries)
    issuers = {terms.issuer: Issuer(terms.issuer) for terms in entries.values()}
    return {
        name: TokenProvider(terms, issuers[terms.issuer], secrets[name])
        for name, terms in entries.items()
    }


def _source(settings: Settings, asking: Asking, log: logging.Logger) -> TokenSource:
    wanted = settings.login_tokens
    if wanted == "auto":
        wanted = "jupyterhub" if os.environ.get("JUPYTERHUB_USER") else "login"
    if settings.login_token_key_file and wanted != "login":
        raise ConfigurationError(
            f"login_token_key_file is set, and the server keeps no tokens of logins with "
            f'login_tokens = "{wanted}"; remove it'
        )
    if wanted == "jupyterhub":
        return HubTokens(asking.logins, asking.authority, asking.capture, log)
    if wanted == "header":
        if not settings.login_token_header:
            raise ConfigurationError(
                "login_token_header is empty; write the header of the proxy, such as "
                '"X-Forwarded-Access-Token"'
            )
        return HeaderTokens(settings.login_token_header, asking.logins)
    need_cryptography()
    key_file = settings.login_token_key_file
    keys = keys_in(Path(key_file).expanduser()) if key_file else None
    path = Path(jupyter_data_dir()) / "session-user" / "login-tokens.sqlite3" if key_file else None
    source = HandedOver(Sealer(keys), SealedRows(path), log)
    asking.gate.logged_in = source.logged_in
    return source
