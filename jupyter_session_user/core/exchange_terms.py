"""The setting ``token_exchange``: which access tokens kernels may ask for, and from where.

RFC 8693 is the exchange of one token for another; RFC 6749, section 6, is the grant with a refresh
token. The terms name a file or an environment variable with the client's secret, and never have the
secret itself, since settings are printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from jupyter_session_user.errors import ConfigurationError

__all__ = ["EXCHANGE", "GRANTS", "REFRESH", "ExchangeTerms", "is_secure_url", "terms_of"]

#: Values of ``grant_type``.
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
REFRESH = "refresh_token"
#: How the setting names them; empty: the provider's metadata decides.
GRANTS = {"": "", "token-exchange": EXCHANGE, "refresh": REFRESH}

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_SUBJECT_TOKENS = frozenset({"access_token", "id_token"})
_MAX_TEXT = 2048
_TEXTS = {
    **dict.fromkeys(("issuer", "client_id", "client_secret_file", "client_secret_env"), ""),
    **dict.fromkeys(("grant", "scope", "audience", "resource", "login_url"), ""),
    "subject_token": "access_token",
    "subject_claim": "sub",
}
_KNOWN = frozenset({*_TEXTS, "shared_kernels"})


@dataclass(frozen=True, slots=True)
class ExchangeTerms:
    """What the administrator allows for one name.

    Attributes:
        name: What code calls it.
        issuer: The provider (OpenID Connect Discovery 1.0): its metadata is below this URL.
        client_id: The client to which the provider issued the tokens of the logins.
        client_secret_file: Path of a file with the client's secret; empty if there is none.
        client_secret_env: Name of an environment variable with it; empty if there is none.
        grant: A ``grant_type``; empty if the provider's metadata decides.
        scope: The ``scope`` to ask for; empty for the provider's default.
        audience: The ``audience`` to ask for (RFC 8693, section 2.1); empty for the name, unless
            there is a resource.
        resource: The ``resource`` to ask for (RFC 8707); empty for none.
        login_url: Where users agree, or log in again; empty for the server's own login.
        subject_token: Which token of the login is exchanged, ``access_token`` or ``id_token``.
        subject_claim: The claim that names the same user in all tokens of the provider.
        shared_kernels: Whether kernels with several users get such tokens.
    """

    name: str
    issuer: str
    client_id: str
    client_secret_file: str = ""
    client_secret_env: str = ""
    grant: str = ""
    scope: str = ""
    audience: str = ""
    resource: str = ""
    login_url: str = ""
    subject_token: str = "access_token"  # noqa: S105 - a name
    subject_claim: str = "sub"
    shared_kernels: bool = False

    @property
    def has_secret(self) -> bool:
        """Whether the client has a secret."""
        return bool(self.client_secret_file or self.client_secret_env)

    def targets(self, grant: str) -> frozenset[str]:
        """Return the services that a token must be for, as far as it says so.

        Args:
            grant: The ``grant_type``. With a token exchange, the entry's name is the default.
        """
        named = frozenset(filter(None, (self.audience, self.resource)))
        return named or frozenset({self.name} if grant == EXCHANGE else ())


def terms_of(name: object, wanted: object) -> ExchangeTerms:
    """Read one entry of the setting.

    Args:
        name: Its key.
        wanted: Its value.

    Raises:
        ConfigurationError: It cannot work. The text quotes no value that could be a secret.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(
            "a name is no text of 1 to 128 letters, digits and '_.:/-'",
            'name the service as notebooks should call it, such as "trino"',
        )
    if not isinstance(wanted, Mapping):
        raise _wrong(f"{name!r} is no dictionary", 'write {"issuer": …, "client_id": …}')
    _check_keys(name, wanted)
    texts = {key: wanted.get(key, default) for key, default in _TEXTS.items()}
    for key, value in texts.items():
        if not isinstance(value, str) or not value.isprintable() or len(value) > _MAX_TEXT:
            raise _wrong(
                f"{key} of {name!r} is no text of at most {_MAX_TEXT} characters",
                "write it in quotes",
            )
    shared = wanted.get("shared_kernels", False)
    if not isinstance(shared, bool):
        raise _wrong(f"shared_kernels of {name!r} is neither True nor False", "write one of them")
    _check_values(name, texts)
    grant = GRANTS[texts.pop("grant")]
    return ExchangeTerms(name=name, grant=grant, shared_kernels=shared, **texts)


def is_secure_url(text: str) -> bool:
    """Tell whether it is an https URL, or http on this machine alone, without user and fragment."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL)
    return bool(secure and host) and "@" not in parts.netloc and not parts.fragment


def _check_keys(name: str, wanted: Mapping[Any, Any]) -> None:
    if "client_secret" in wanted:
        raise _wrong(
            f"{name!r} has client_secret, and settings are printed",
            "write the secret into a file, and its path as client_secret_file; or name an "
            "environment variable as client_secret_env",
        )
    unknown = sorted(str(key) for key in wanted.keys() - _KNOWN)
    if unknown:
        raise _wrong(
            f"{name!r} has the unknown member {unknown[0][:64]!r}",
            f"remove it; the members are {', '.join(sorted(_KNOWN))}",
        )


def _check_values(name: str, texts: Mapping[str, str]) -> None:
    if not is_secure_url(texts["issuer"]) or urlsplit(texts["issuer"]).query:
        raise _wrong(
            f"issuer of {name!r} is no https URL",
            "write the provider's issuer as its metadata has it, such as "
            "https://login.example.org/realms/research",
        )
    if not texts["client_id"]:
        raise _wrong(f"{name!r} has no client_id", "write the id of the logins' OAuth client")
    if texts["client_secret_file"] and texts["client_secret_env"]:
        raise _wrong(f"{name!r} has two places for the client's secret", "remove one of them")
    if texts["grant"] not in GRANTS:
        raise _wrong(
            f"grant of {name!r} is unknown", 'write "token-exchange" or "refresh", or leave it out'
        )
    if texts["grant"] == "refresh" and not (texts["scope"] or texts["resource"]):
        raise _wrong(
            f"{name!r} would be the login's own token: it has neither scope nor resource",
            "write the scope of the service",
        )
    if texts["subject_token"] not in _SUBJECT_TOKENS:
        raise _wrong(f"subject_token of {name!r} is unknown", 'write "access_token" or "id_token"')
    if not texts["subject_claim"]:
        raise _wrong(f"subject_claim of {name!r} is empty", 'leave it out, or write "sub"')
    if texts["login_url"] and not is_secure_url(texts["login_url"]):
        raise _wrong(f"login_url of {name!r} is no https URL", "write the whole address")


def _wrong(problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError(f"token_exchange: {problem}; {fix}")
