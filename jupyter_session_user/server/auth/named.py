"""Tells for whom the server vouches by name, to other services and to databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_session_user.core.session import MOVING

if TYPE_CHECKING:
    from jupyter_session_user.core.session import Session
    from jupyter_session_user.store.base import Record

__all__ = ["exact_end", "is_named"]


def is_named(record: Record) -> bool:
    """Tell whether this server has authenticated the user by name.

    A service of JupyterHub, and the user of a platform's cookie, may have the name of an account.
    """
    user = record.session.user
    named = record.principal == f"user:{user.username}" and record.credential != "open"
    return named and record.session.verified and not user.is_anonymous


def exact_end(session: Session) -> float | None:
    """Return the exact end of a login, in seconds since the epoch; None if it has none."""
    if session.expires_at is None or session.expiry_source in MOVING:
        return None
    return session.expires_at.timestamp()
