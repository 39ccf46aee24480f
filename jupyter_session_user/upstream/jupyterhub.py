"""What JupyterHub's identity provider keeps about a request and its user.

The model of a user is the answer of ``GET /user``:
https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

__all__ = [
    "ask_past_cache",
    "auth_state",
    "has_lost_access",
    "hub_auth_of",
    "hub_login_page",
    "hub_model",
    "hub_session",
    "hub_token",
    "is_hub_admin",
    "is_hub_service",
    "on_token_reply",
    "token_expiry",
]


def hub_model(user: Any) -> dict[str, Any]:
    """Return what the Hub says about a user; empty for a user of another provider."""
    model = getattr(user, "hub_user", None)
    return model if isinstance(model, dict) else {}


def hub_session(user: Any) -> str | None:
    """Return the Hub's session id of this login: one per browser, for all its requests."""
    model = hub_model(user)
    found = (model.get("session_id"), model.get("token_id"))
    return next((one for one in found if isinstance(one, str) and one), None)


def is_hub_service(user: Any) -> bool:
    """Tell whether it is a service of the Hub; services and users may have the same names."""
    return hub_model(user).get("kind") == "service"


def is_hub_admin(user: Any) -> bool:
    """Tell whether an administrator of the Hub has logged in; a token alone is none's browser."""
    model = hub_model(user)
    return model.get("admin") is True and bool(model.get("session_id")) and not is_hub_service(user)


def hub_auth_of(handler: Any) -> Any:
    """Return the provider's ``HubOAuth``; None for another provider."""
    return getattr(handler.identity_provider, "hub_auth", None)


def hub_login_page(provider: Any) -> str:
    """Return the Hub's login page; a path, unless users have a host of their own.

    The Hub shows its login to a user whose ``auth_state`` it cannot renew (``refresh_user``), and
    leads all others on.

    Args:
        provider: The server's identity provider.

    Returns:
        The page; empty for another provider.
    """
    hub_auth = getattr(provider, "hub_auth", None)
    return "" if hub_auth is None else f"{hub_auth.hub_host}{hub_auth.hub_prefix}login"


def hub_token(handler: Any) -> str:
    """Return the Hub's token in a request, from a header or the cookie; empty if there is none."""
    hub_auth = hub_auth_of(handler)
    return (hub_auth.get_token(handler) if hub_auth is not None else None) or ""


def on_token_reply(hub_auth: Any, learn: Callable[[str, float], None]) -> None:
    """Call ``learn`` with each token that the Hub issues for a login, and its lifetime in seconds.

    The Hub's OAuth token endpoint returns both (RFC 6749 section 5.1). ``HubOAuth`` keeps the token
    alone.
    """
    request = hub_auth._api_request  # noqa: SLF001 - nothing public passes the reply

    async def listening(method: str, url: str, /, **options: Any) -> Any:
        reply = await request(method, url, **options)
        if url == hub_auth.oauth_token_url and isinstance(reply, dict):
            token, lifetime = reply.get("access_token"), reply.get("expires_in")
            if isinstance(token, str) and isinstance(lifetime, int | float):
                learn(token, lifetime)
        return reply

    hub_auth._api_request = listening  # noqa: SLF001


async def token_expiry(handler: Any, user: Any) -> Any:
    """Ask the Hub when the token of a request ends.

    ``GET /users/{name}/tokens/{id}`` with the token itself, which needs the scope
    ``read:tokens!user``.

    Returns:
        The ``expires_at`` of the answer, a time in RFC 3339; None if there is none, or if the scope
        is missing.

    Raises:
        HTTPError: The Hub does not answer.
    """
    hub_auth, model, token = hub_auth_of(handler), hub_model(user), hub_token(handler)
    name, number = model.get("name"), model.get("token_id")
    if hub_auth is None or not (token and name and number) or is_hub_service(user):
        return None
    url = f"{hub_auth.api_url}/users/{quote(name, safe='')}/tokens/{quote(number, safe='')}"
    headers = {"Authorization": f"token {token}"}
    answer = await hub_auth._api_request("GET", url, headers=headers, allow_403=True)  # noqa: SLF001
    return answer.get("expires_at") if isinstance(answer, dict) else None


async def auth_state(handler: Any, user: Any) -> dict[str, Any] | None:
    """Ask the Hub for the ``auth_state`` of the user whose token a request has.

    ``GET /users/{name}`` with the token itself, which needs the scope ``admin:auth_state!user``.
    The Hub renews what is older than its ``auth_refresh_age`` first.

    Returns:
        The state; None if there is none, or if the scope is missing.

    Raises:
        HTTPError: The Hub does not answer.
    """
    hub_auth, model, token = hub_auth_of(handler), hub_model(user), hub_token(handler)
    name = model.get("name")
    if hub_auth is None or not (token and name) or is_hub_service(user):
        return None
    url = f"{hub_auth.api_url}/users/{quote(name, safe='')}"
    headers = {"Authorization": f"token {token}"}
    answer = await hub_auth._api_request("GET", url, headers=headers, allow_403=True)  # noqa: SLF001
    if not isinstance(answer, dict) or answer.get("name") != name:
        return None
    state = answer.get("auth_state")
    return state if isinstance(state, dict) else None


async def ask_past_cache(handler: Any) -> None:
    """Ask the Hub about a request, and replace the answer in the provider's cache.

    The cache keeps an answer for five minutes (``HubAuth.cache_max_age``), also for a user who has
    logged out meanwhile. If the Hub does not answer, the cache stays as it is.

    Raises:
        HTTPError: The Hub does not answer, or refuses this server.
    """
    hub_auth, token = hub_auth_of(handler), hub_token(handler)
    if hub_auth is None or not token:
        return
    session = hub_auth.get_session_id(handler)
    answer = await hub_auth.user_for_token(token, use_cache=False, session_id=session, sync=False)
    digest = hashlib.sha256(token.encode("utf8", "replace")).hexdigest()
    hub_auth.cache[f"token:{session}:{digest}"] = answer


def has_lost_access(handler: Any) -> bool:
    """Tell whether the Hub knows the user of a refused request, who may not use this server."""
    known = getattr(handler, "_cached_hub_user", None)
    return bool(known) and getattr(handler, "_jupyterhub_user", None) is None
