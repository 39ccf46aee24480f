"""What JupyterHub's identity provider keeps about a request and its user.

The model of a user is the answer of ``GET /user``:
https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = ["forget_answer", "has_lost_access", "hub_model", "hub_session"]


def hub_model(user: Any) -> dict[str, Any]:
    """Return what the Hub says about a user; empty for a user of another provider."""
    model = getattr(user, "hub_user", None)
    return model if isinstance(model, dict) else {}


def hub_session(user: Any) -> str | None:
    """Return the Hub's session id of this login: one per browser, for all its requests."""
    model = hub_model(user)
    found = (model.get("session_id"), model.get("token_id"))
    return next((one for one in found if isinstance(one, str) and one), None)


def forget_answer(handler: Any) -> None:
    """Make the provider ask the Hub again about a request, not its cache.

    The cache keeps an answer for five minutes (``HubAuth.cache_max_age``), also for a user who has
    logged out meanwhile. The next answer replaces it for all requests of this login.
    """
    hub_auth = getattr(handler.identity_provider, "hub_auth", None)
    answers = getattr(getattr(hub_auth, "cache", None), "values", None)
    if hub_auth is None or not isinstance(answers, dict):
        return
    token = hub_auth.get_token(handler) or ""
    digest = hashlib.sha256(token.encode("utf8", "replace")).hexdigest()
    answers.pop(f"token:{hub_auth.get_session_id(handler)}:{digest}", None)


def has_lost_access(handler: Any) -> bool:
    """Tell whether the Hub knows the user of a refused request, who may not use this server."""
    return bool(getattr(handler, "_cached_hub_user", None))
