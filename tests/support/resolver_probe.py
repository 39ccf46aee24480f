"""A server extension for the tests: calls resolvers with its own requests.

``POST api/resolve``  body: ``resolvers`` and other settings, and ``provider``, traits that the
                      identity provider has during this request. Answers with what was said.

Also two functions for ``session_resolver``, and a resolver as another package would bring it.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web
from traitlets import HasTraits, List, Unicode

from jupyter_session_user.core.lifecycle import Expiry
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.resolvers.base import Resolution, load_resolvers, resolve

ANSWERS = {
    "seconds": lambda: 2e9,
    "integer": lambda: 2_000_000_000,
    "aware": lambda: datetime(2033, 5, 18, 5, 33, 20, tzinfo=timezone(timedelta(hours=2))),
    "resolution": lambda: Resolution(Expiry(2e9, "somebody"), "their key"),
    "key alone": lambda: Resolution(key="their key"),
    "nothing": lambda: None,
    "naive": lambda: datetime(2033, 5, 18),  # noqa: DTZ001
    "true": lambda: True,
    "text": lambda: "s3cret",
    "not a number": lambda: float("nan"),
    "infinite": lambda: float("inf"),
    "milliseconds": lambda: 2e12,
    "negative": lambda: -1.0,
    "bad key": lambda: Resolution(key=b"s3cret"),
    "raises": lambda: "".index("s3cret"),
}

NO_FUNCTION = "text"


class Settings(HasTraits):
    """The settings that the resolvers read."""

    resolvers = List(Unicode())
    jwt_cookie = Unicode()
    jwt_header = Unicode()
    jwt_jwks = Unicode()
    jwt_issuer = Unicode()
    jwt_audience = Unicode()
    session_resolver = Unicode()


def answer(handler: Any, user: Any) -> Any:
    """Return what the request asks for, for alice only."""
    return ANSWERS[handler.request.headers["X-Say"]]() if user.username == "alice" else None


async def slow(handler: Any, user: Any) -> None:
    """Wait, which a resolver must not do."""


class TheirResolver:
    """A resolver of another package."""

    def __init__(self, settings: Any) -> None:
        self.cookie = settings.jwt_cookie

    def resolve(self, handler: Any, user: Any) -> Resolution:
        """Return the user of the call, and the settings of the resolver."""
        return Resolution(Expiry(3e9, "theirs"), f"{user.username} {self.cookie}")


def broken(settings: Any) -> None:
    """Fail, as another package may."""
    raise ZeroDivisionError(settings)


class ResolveHandler(APIHandler):
    """Calls the resolvers."""

    kept: tuple[str, Any] = ("", ())

    @web.authenticated
    async def post(self) -> None:
        """Answer with the result of the resolvers, or with the error."""
        body = self.get_json_body() or {}
        provider = body.pop("provider", {})
        before = {name: getattr(self.identity_provider, name) for name in provider}
        self._set(provider)
        try:
            said = resolve(self._resolvers(body), self, self.current_user)
        except ConfigurationError as error:
            self.finish(json.dumps({"error": str(error)}))
            return
        finally:
            self._set(before)
        expiry = [said.expiry.at, said.expiry.source] if said.expiry else None
        self.finish(json.dumps({"expiry": expiry, "key": said.key, "repr": repr(said)}))

    def _resolvers(self, body: Any) -> Any:
        """Make the resolvers once for the same settings, as a server does."""
        text, made = ResolveHandler.kept
        if text != json.dumps(body):
            settings: Any = Settings(**body) if body else SimpleNamespace(session_resolver="")
            made = load_resolvers(body.get("resolvers", []), settings)
            ResolveHandler.kept = (json.dumps(body), made)
        return made

    def _set(self, traits: dict[str, Any]) -> None:
        for name, value in traits.items():
            setattr(self.identity_provider, name, value)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "resolver_probe"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    base = serverapp.web_app.settings["base_url"]
    route = (url_path_join(base, "api/resolve"), ResolveHandler)
    serverapp.web_app.add_handlers(".*$", [route])
