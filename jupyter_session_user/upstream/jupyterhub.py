"""What JupyterHub's identity provider keeps about a request and its user.

The model of a user is the answer of ``GET /user``:
https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = [
    "ask_past_cache",
    "has_lost_access",
    "hub_model",
    "hub_session",
    "is_hub_admin",
    "is_hub_service",
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


async def ask_past_cache(handler: Any) -> None:
    """Ask the Hub about a request, and replace the answer in the provider's cache.

    The cache keeps an answer for five minutes (``HubAuth.cache_max_age``), also for a user who has
    logged out meanwhile. If the Hub does not answer, the cache stays as it is.

    Raises:
        HTTPError: The Hub does not answer, or refuses this server.
    """
    hub_auth = getattr(handler.identity_provider, "hub_auth", None)
    token = hub_auth.get_token(handler) if hub_auth is not None else None
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
