"""The public keys of identity tokens, and where to find them. Both are public.

RFC 7517 (JWKS); OpenID Connect Discovery 1.0, section 4.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_session_user.core.signing_keys import CACHE_S
from jupyter_session_user.server.messages.websocket import SETTING
from jupyter_session_user.upstream.jupyter_server import forget_user

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.identity_tokens import IdentityTokens
    from jupyter_session_user.server.context import ServerContext

__all__ = ["TOKEN_ROUTES"]

_OFF = "this server issues no identity tokens; see docs/identity_tokens.md"


class _PublicHandler(APIHandler):
    """Base class: the same answer for everybody."""

    _track_activity = False

    async def prepare(self) -> None:  # type: ignore[override]
        """Ask for no login. Nobody is logged in, whatever the request shows."""
        forget_user(self)
        if not self.check_host():
            raise web.HTTPError(403)
        context: ServerContext = self.settings[SETTING]
        if context.identity_tokens is None:
            raise web.HTTPError(404, _OFF)
        self.tokens: IdentityTokens = context.identity_tokens

    def set_default_headers(self) -> None:
        """Forbid the caching of errors."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def answer(self, value: dict[str, Any]) -> None:
        """Finish with JSON that may be cached; Tornado adds the ETag."""
        self.set_header("Cache-Control", f"public, max-age={CACHE_S}")
        self.finish(json.dumps(value))


class JwksHandler(_PublicHandler):
    """The public keys."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Respond with the JWKS."""
        self.answer(self.tokens.public())


class DiscoveryHandler(_PublicHandler):
    """Where the public keys are."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Respond with the issuer, and the address of its keys."""
        self.answer(self.tokens.discovery())


TOKEN_ROUTES: list[tuple[str, type[APIHandler]]] = [
    (r"api/session-user/jwks.json", JwksHandler),
    (r"api/session-user/.well-known/openid-configuration", DiscoveryHandler),
]
