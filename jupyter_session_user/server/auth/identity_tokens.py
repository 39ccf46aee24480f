"""Issues identity tokens: decides which kernel may have one, for which user.

Rules of this file:
- a token is about the user of one login that is open now, on the kernel that asks. Session ids are
  no secret in a kernel, so that a kernel knows an id counts for nothing;
- only a user whom this server has authenticated by name gets one;
- a kernel that may run other users' code gets none, unless the administrator allows it. The token
  then says so;
- a token never outlives the exact end of its login.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from jupyter_core.paths import jupyter_data_dir

from jupyter_session_user.core.digest import digest
from jupyter_session_user.core.exchange_terms import is_secure_url
from jupyter_session_user.core.identity_token import Grant, claims_of, seconds
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import ConfigurationError, IdentityTokenUnavailable, SessionExpired
from jupyter_session_user.server.auth.named import exact_end, is_named
from jupyter_session_user.tokens.key_url import FetchedKeys
from jupyter_session_user.tokens.keys import SigningKeys, make_file, need_joserfc

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.core.session import Session
    from jupyter_session_user.server.settings import Settings
    from jupyter_session_user.store.base import Record

__all__ = ["IdentityTokens", "Terms", "identity_tokens", "key_path"]

_JTI_BYTES = 16
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_SAME_ACCOUNT = (
    "JupyterSessionUser: the kernels of this server run as its own account, and can read "
    "%s: their code can sign a token about any user. Run the kernels as other "
    "accounts, for example behind a gateway, unless the services trust all users of this server."
)


class Terms(NamedTuple):
    """What the administrator allows.

    Attributes:
        issuer: URL of this server's tokens.
        audiences: The services that tokens may be for.
        groups: Whether tokens state the user's groups.
        shared: Whether kernels with several users get tokens.
    """

    issuer: str
    audiences: frozenset[str]
    groups: bool = False
    shared: bool = False


class IdentityTokens:
    """Issues the tokens of one server.

    Args:
        keys: The keys that sign.
        terms: What the administrator allows.
        clock: Returns the time, in seconds since the epoch.
    """

    def __init__(
        self, keys: SigningKeys, terms: Terms, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._terms = terms
        self._clock = clock

    def issue(
        self, record: Record, audience: str, lifetime: float, *, alone: bool, spoke: bool
    ) -> dict[str, Any]:
        """Return a token about the user of an open login, for the kernel that asks.

        Args:
            record: The user's session.
            audience: The service that the token is for.
            lifetime: The requested lifetime, in seconds.
            alone: Whether this user started the kernel that asks, and no other has ever used it.
            spoke: Whether this user has ever used it.

        Returns:
            ``token``, and ``seconds``, its lifetime.

        Raises:
            IdentityTokenUnavailable: This kernel gets no such token.
            SessionExpired: The login ends at this moment.
        """
        if audience not in self._terms.audiences:
            raise IdentityTokenUnavailable(
                f"this server issues no identity tokens for the audience {audience[:128]!r}; its "
                "administrator can add it to c.JupyterSessionUser.token_audiences",
                reason="audience",
            )
        if not is_named(record):
            raise IdentityTokenUnavailable(
                "this server has not authenticated the user by name, so it states no name to other "
                "services; log in with an account",
                reason="not_verified",
            )
        if not alone and not (self._terms.shared and spoke):
            raise IdentityTokenUnavailable(
                "another user started this kernel, or has sent messages to it, and could use your "
                "identity token; call get_identity_token() in a kernel of your own",
                reason="shared_kernel",
            )
        now = self._clock()
        left = seconds(lifetime, now, exact_end(record.session))
        if left <= 0:
            raise SessionExpired("the login is over")
        grant = self._grant(record, audience, alone=alone)
        claims = claims_of(grant, now, left, secrets.token_urlsafe(_JTI_BYTES))
        return {"token": self._keys.sign(claims), "seconds": left}

    def close(self) -> None:
        """Look no more for other keys."""
        self._keys.close()

    def public(self) -> dict[str, Any]:
        """Return the public keys (JWKS, RFC 7517)."""
        return self._keys.public()

    def discovery(self) -> dict[str, Any]:
        """Return what stock verifiers look for: OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self._terms.issuer,
            "jwks_uri": f"{self._terms.issuer}/jwks.json",
            "id_token_signing_alg_values_supported": ["ES256"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        }

    def _grant(self, record: Record, audience: str, *, alone: bool) -> Grant:
        user = record.session.user
        return Grant(
            issuer=self._terms.issuer,
            audience=audience,
            username=user.username,
            login=digest("identity-token", self._terms.issuer, record.key),
            kernel_shared=not alone,
            groups=tuple(user.groups) if self._terms.groups else None,
            actor=_actor(record.session),
        )


def _actor(session: Session) -> str | None:
    """Return the id of the agent that acts for the user; None if the user acts."""
    # Names of agents are not unique.
    return None if session.actor is None else session.actor.client_id


def key_path(configured: str) -> Path:
    """Return the path of the file with the keys."""
    if configured:
        return Path(configured).expanduser()
    return Path(jupyter_data_dir()) / "session-user" / "identity-keys.json"


def identity_tokens(
    settings: Settings, log: logging.Logger, *, kernels_elsewhere: bool
) -> IdentityTokens | None:
    """Return the issuer; None if the administrator allows no audience.

    Args:
        settings: The administrator's settings.
        log: Log for warnings.
        kernels_elsewhere: Whether a gateway runs the kernels.

    Raises:
        ConfigurationError: A setting is missing or wrong.
    """
    if not settings.token_audiences:
        if settings.token_issuer or settings.token_key_file or settings.token_key_url:
            raise ConfigurationError(
                "token_issuer, token_key_file or token_key_url is set, and no service may get a "
                "token; also set c.JupyterSessionUser.token_audiences"
            )
        return None
    _check_issuer(settings.token_issuer)
    need_joserfc("token_audiences")
    keys = _keys(settings, log, kernels_elsewhere=kernels_elsewhere)
    terms = Terms(
        settings.token_issuer,
        frozenset(settings.token_audiences),
        settings.token_groups,
        settings.token_shared_kernels,
    )
    return IdentityTokens(keys, terms)


def _keys(settings: Settings, log: logging.Logger, *, kernels_elsewhere: bool) -> SigningKeys:
    if settings.token_key_url:
        keys = _fetched(settings, log)
        place = "the server's memory, which has the keys"
    else:
        path = key_path(settings.token_key_file)
        if make_file(path, time.time()):
            log.info("JupyterSessionUser: made the keys of identity tokens in %s", path)
        keys = SigningKeys(path, log.error)
        place = f"token_key_file {path}"
    if not kernels_elsewhere:
        log.warning(_SAME_ACCOUNT, place)
    return keys


def _fetched(settings: Settings, log: logging.Logger) -> SigningKeys:
    secret = os.environ.pop(settings.token_key_url_secret_env or " ", "")
    if settings.token_key_file:
        raise ConfigurationError("token_key_url and token_key_file are both set; remove one")
    if not is_secure_url(settings.token_key_url):
        raise ConfigurationError(
            "token_key_url is no https URL (or http on this machine alone) without a user; write "
            "the whole address"
        )
    if not re.fullmatch(r"[\x21-\x7e]{1,8192}", secret):
        raise ConfigurationError(
            "token_key_url_secret_env names no environment variable with a bearer token; without "
            "one, code in a kernel could fetch the keys, too. Set the variable for this server"
        )
    return FetchedKeys(settings.token_key_url, Secret(secret), log.error)


def _check_issuer(issuer: str) -> None:
    """Refuse what verifiers would not accept (OpenID Connect Discovery 1.0, section 3).

    Raises:
        ConfigurationError: It is no such URL.
    """
    try:
        parts = urlsplit(issuer)
        local = parts.hostname in _LOCAL
    except ValueError:
        parts, local = urlsplit(""), False
    secure = parts.scheme == "https" or (parts.scheme == "http" and local)
    if not (secure and parts.hostname) or parts.query or parts.fragment or issuer.endswith("/"):
        raise ConfigurationError(
            f"token_issuer: {issuer!r} is no URL that services can verify; write the https URL of "
            "api/session-user at this server, without a slash at its end, such as "
            "https://jupyter.example.org/api/session-user"
        )
