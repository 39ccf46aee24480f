"""The user of a request to Bokeh's or Panel's server, from the server's own authentication."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from jupyter_session_user.core.user import User, trim_claims
from jupyter_session_user.errors import CookieError
from jupyter_session_user.hosts.base import HostRequest, Visitor

__all__ = [
    "Asked",
    "named_by_server",
    "servers",
    "signed",
    "user_from",
    "user_from_claims",
    "visitor_of",
]

#: The visitor of each handler.
_visitors: WeakKeyDictionary[Any, Visitor] = WeakKeyDictionary()
#: Claims in which providers put the account's name, and the user's display name.
_USERNAMES = ("username", "user", "preferred_username", "login", "email", "sub", "id")
_NAMES = ("name", "full_name", "display_name")
#: The signed cookie in which Bokeh's and Panel's login handlers keep the user.
_COOKIE = "user"


class Asked:
    """A request without a Tornado handler, in the shape of one.

    Args:
        framework: ``bokeh`` or ``panel``.
        came: The cookies and headers of the request.
        policy: Bokeh's ``AuthPolicy``; None without one. Panel's has a Tornado application.
        named: The user that the policy named.
    """

    def __init__(self, framework: str, came: HostRequest, policy: Any, named: Any) -> None:
        self.framework = framework
        self.came = came
        self.current_user = named
        self.application = getattr(policy, "application", None) or _Application(named)


class _Application:
    """Replaces a Tornado application where there is none."""

    def __init__(self, named: Any) -> None:
        self.auth_provider = self
        self.get_user = self.get_user_async = named
        config = getattr(sys.modules.get("panel.config"), "config", None)
        self.settings = {"cookie_secret": getattr(config, "cookie_secret", None)}


def visitor_of(handler: Any, key: str) -> Visitor:
    """Return the visitor of a handler's request, read once for each handler."""
    known = _visitors.get(handler)
    if known is None:
        known = _visitors[handler] = visitor_anew(handler, key)
    return known


def visitor_anew(handler: Any, key: str) -> Visitor:
    """Return the same visitor, for another session than the handler's own."""
    request = _request(handler)
    asked = isinstance(handler, Asked)
    source = handler.framework if asked else _framework(handler)
    user, fields = servers[source](handler, request)
    return Visitor(
        source,
        user,
        verified=user is not None,
        request=request,
        key=key,
        authenticates=asked or _authenticates(handler),
        **fields,
    )


def _framework(handler: Any) -> str:
    """Return whose server a handler belongs to: ``bokeh`` or ``panel``.

    Until release 1.8, Panel serves its pages with a handler of its own, and their websockets with
    Bokeh's. So one handler of Panel's makes the application Panel's.
    """
    classes = [type(handler), *(rule.target for rule in handler.application.wildcard_router.rules)]
    packages = {getattr(cls, "__module__", "").partition(".")[0] for cls in classes}
    return next((name for name in servers if name != "bokeh" and name in packages), "bokeh")


def _authenticates(handler: Any) -> bool:
    """Tell whether the server may authenticate its visitors: an app may sign cookies itself."""
    application = handler.application
    provider = application.auth_provider
    functions = provider.get_user, provider.get_user_async
    return any(functions) or bool(application.settings.get("cookie_secret"))


def named_by_server(handler: Any, request: HostRequest) -> User | None:
    """Return the user of the auth module, else of the signed cookie; None without either."""
    provider = handler.application.auth_provider
    if provider.get_user is not None or provider.get_user_async is not None:
        # Without a provider current_user is the text "default_user".
        return user_from(handler.current_user)
    return user_from(signed(request, _COOKIE))


def signed(request: HostRequest, name: str, max_age_days: float = 31.0) -> str | None:
    """Return a signed cookie's value; None without the cookie or without a secret."""
    try:
        return request.cookies.get_signed(name, max_age_days)
    except CookieError:
        return None


#: From the package of the handlers to the function that reads a server's visitor.
servers: dict[str, Callable[[Any, HostRequest], tuple[User | None, dict[str, Any]]]] = {
    "bokeh": lambda handler, request: (named_by_server(handler, request), {})
}


def user_from(said: Any) -> User | None:
    """Return the user from an auth module's answer: a User, text, a mapping, or an object."""
    if isinstance(said, User):
        return said
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
    """Return the user that such claims describe."""
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
    settings = handler.application.settings

    def verify(name: str, max_age_days: float) -> str | None:
        from tornado.web import decode_signed_value  # noqa: PLC0415 - see the table of planes

        value = decode_signed_value(
            settings["cookie_secret"], name, request.cookies.get(name), max_age_days
        )
        return None if value is None else value.decode("utf-8", "replace")

    signed = verify if settings.get("cookie_secret") else None
    if isinstance(handler, Asked):
        request = handler.came.verifying(signed)
    else:
        headers = handler.request.headers
        request = HostRequest(headers.get_list("Cookie"), dict(headers), signed=signed)
    return request
