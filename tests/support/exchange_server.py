"""A server whose demo users have tokens of ``oauth_provider``, and which exchanges these."""

from __future__ import annotations

from typing import Any

from oauth_provider import CLIENT, CLIENT_SECRET, RunningProvider
from servers import EXTENSION, PASSWORDS, own_server

__all__ = ["OIDC", "configured", "entry", "exchange_env", "token_server"]

OIDC = (
    "--ServerApp.identity_provider_class=oidc_identity.OidcIdentityProvider",
    "--OidcIdentityProvider.demo=True",
    f"--OidcIdentityProvider.passwords={PASSWORDS!r}",
)


def entry(provider: RunningProvider, **members: Any) -> dict[str, Any]:
    """Return an entry of the setting."""
    fixed = {"issuer": provider.url, "client_id": CLIENT, "client_secret_env": "TEST_SECRET"}
    return {**fixed, **members}


def token_server(
    provider: RunningProvider, *arguments: str, entries: Any = None, **options: Any
) -> Any:
    """Run a server that exchanges at this provider."""
    wanted = entries or {
        "trino": entry(provider, scope="sql"),
        "reports": entry(provider, audience="https://reports.example.org"),
        "mail": entry(provider, grant="refresh", scope="reports"),
        "shared": entry(provider, shared_kernels=True),
    }
    env = {**exchange_env(provider), **options.pop("env", {})}
    extensions = (EXTENSION, *options.pop("extensions", ("probe_extension",)))
    return own_server(
        *OIDC, *arguments, env=env, extensions=extensions, config=configured(wanted), **options
    )


def configured(entries: Any) -> dict[str, str]:
    """Return a configuration file with the setting."""
    text = f"c.JupyterSessionUser.token_exchange = {entries!r}\n"
    return {"jupyter_server_config.py": text}


def exchange_env(provider: RunningProvider) -> dict[str, str]:
    """Return the environment of such a server."""
    return {"TEST_ISSUER": provider.url, "TEST_SECRET": CLIENT_SECRET}
