"""Tells an anonymous user of Jupyter Server from a user whom a provider names."""

from __future__ import annotations

import re

from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.auth.identity import User as ServerUser

__all__ = ["is_anonymous"]

#: ``uuid.uuid4().hex``: the username that ``IdentityProvider.generate_anonymous_user`` makes.
_UUID4_HEX = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")


def is_anonymous(provider: IdentityProvider, user: ServerUser) -> bool:
    """Tell whether Jupyter generated this anonymous user, because no provider named one.

    Such a user has a random username. If a custom provider uses such usernames too, its users lack
    Jupyter's "Anonymous ..." name.
    """
    if not _UUID4_HEX.fullmatch(user.username):
        return False
    stock = type(provider).get_user is IdentityProvider.get_user
    return stock or user.name.startswith("Anonymous ")
