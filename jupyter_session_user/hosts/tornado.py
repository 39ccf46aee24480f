"""Whom a request of Bokeh's or Panel's server comes from, by the server's own authentication."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from jupyter_session_user.core.user import User, trim_claims
from jupyter_session_user.errors import CookieError
from jupyter_session_user.hosts.base import HostRequest, Visitor

__all__ = ["named_by_server", "servers", "signed", "user_from", "user_from_claims", "visitor_of"]

_VISITOR = "jupyter_session_user_visitor"
#: Where providers put the name of the account, and that of the person.
_USERNAMES = ("username", "user", "preferred_username", "login", "email", "sub", "id")
_NAMES = ("name", "full_name", "display_name")
#: Bokeh's and Panel's login handlers put the user into a signed cookie of this name.
_COOKIE = "user"


def visitor_of(handler: Any, key: str) -> Visitor:
    """Return who made a handler's request: as it came, once for each handler."""
    known: Visitor | None = getattr(handler, _VISITOR, None)
    if known is None:
        known = _visitor(handler, key)
        setattr(handler, _VISITOR, known)
    return known


def _visitor(handler: Any, key: str) -> Visitor:
    request = _request(handler)
    framework = type(handler).__module__.partition(".")[0]
    source = framework if framework in servers else "bokeh"
    user, fields = servers[source](handler, request)
    return Visitor(source, user, verified=user is not None, request=request, key=key, **fields)


def named_by_server(handler: Any, request: HostRequest) -> User | None:
    """Return whom the auth module names, or else the signed cookie; None if neither does."""
    provider = handler.application.auth_provider
    if provider.get_user is not None or provider.get_user_async is not None:
        # Without a provider current_user is the text "default_user".
        return user_from(handler.current_user)
    return user_from(signed(request, _COOKIE))


def signed(request: HostRequest, name: str, max_age_days: float = 31.0) -> str | None:
    """Return a signed cookie's value; None without one, and where there is no secret."""
    try:
        return request.cookies.get_signed(name, max_age_days)
    except CookieError:
        return None


#: By the package of its handlers: how a server's visitor is read.
servers: dict[str, Callable[[Any, HostRequest], tuple[User | None, dict[str, Any]]]] = {
    "bokeh": lambda handler, request: (named_by_server(handler, request), {})
}


def user_from(said: Any) -> User | None:
    """Return the user that an auth module's answer means: text, a mapping, or an object."""
    if isinstance(said, bytes):
        said = said.decode("utf-8", "replace")
    if isinstance(said, str) and said[:1] in ('"', "{"):  # login examples write JSON
        with suppress(ValueError):
            said = json.loads(said)
    if said is None or isinstance(said, str):
        return User(said) if said else None
    if isinstance(said, Mapping):
        return user_from_claims(said)
    attributes = getattr(said, "__dict__", None)
    return user_from_claims(attributes) if attributes else User(str(said))


def user_from_claims(claims: Mapping[str, Any], username: str = "") -> User | None:
    """Return the user whom such claims describe."""
    username = username or _first(claims, _USERNAMES) or _first(claims, _NAMES)
    if not username:
        return None
    groups = claims.get("groups")
    listed = groups if isinstance(groups, list | tuple) else ()
    return User(
        username,
        _first(claims, _NAMES),
        groups=tuple(group for group in listed if isinstance(group, str)),
        claims=trim_claims({str(name): value for name, value in claims.items()}),
    )


def _first(claims: Mapping[str, Any], names: tuple[str, ...]) -> str:
    found = (claims.get(name) for name in names)
    return next((str(value) for value in found if isinstance(value, str | int) and value), "")


def _request(handler: Any) -> HostRequest:
    headers = handler.request.headers
    settings = handler.application.settings

    def verify(name: str, max_age_days: float) -> str | None:
        from tornado.web import decode_signed_value  # noqa: PLC0415 - see the table of planes

        value = decode_signed_value(
            settings["cookie_secret"], name, request.cookies.get(name), max_age_days
        )
        return None if value is None else value.decode("utf-8", "replace")

    request = HostRequest(
        headers.get_list("Cookie"),
        dict(headers),
        signed=verify if settings.get("cookie_secret") else None,
    )
    return request
