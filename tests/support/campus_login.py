"""A login form for the identity provider of docs/providers/generic_oidc.md, as its redirect URI.

A test writes the page's class into ``campus.py``. The provider is in ``TEST_ISSUER``.
"""

from __future__ import annotations

import json
import os
import urllib.request

from campus import CampusIdentityProvider
from jupyter_server.base.handlers import JupyterHandler

__all__ = ["CampusWithForm"]


class RedirectUri(JupyterHandler):
    """Gets the name from a form, where a real one would get a code from the provider."""

    def get(self) -> None:
        """Set the cookie that protects the form."""
        self.finish(self.xsrf_token)

    def post(self) -> None:
        """Log in, as the page says."""
        name = self.get_argument("username")
        request = urllib.request.Request(  # noqa: S310 - http
            f"{os.environ['TEST_ISSUER']}/test/login",
            json.dumps({"name": name}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            self.identity_provider.finish_login(self, name, json.load(answer))
        self.redirect(self.base_url)


class CampusWithForm(CampusIdentityProvider):
    """The class of the page, and a handler for its redirect URI."""

    login_handler_class = RedirectUri
