"""Demo users whose logins have tokens of ``oauth_provider``, as after a code flow."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

from jupyter_server.auth.identity import User

from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

__all__ = ["OidcIdentityProvider"]


class OidcIdentityProvider(DemoIdentityProvider):
    """Hands over the token response of each login. The provider is in ``TEST_ISSUER``."""

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user, with the tokens of the login."""
        user = super().process_login_form(handler)
        if user is not None and handler.get_argument("tokens", "yes") == "yes":
            data = json.dumps({"name": user.username}).encode()
            request = urllib.request.Request(  # noqa: S310 - http
                f"{os.environ['TEST_ISSUER']}/test/login",
                data,
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                user.login_tokens = json.load(answer)
        return user
