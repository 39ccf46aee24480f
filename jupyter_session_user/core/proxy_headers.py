"""Reads the user from a proxy's headers or from the claims of its assertion.

If there are two candidates, there is no user. The reasons hold no values, since they are logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.digest import digest
from jupyter_session_user.core.usernames import is_plain, is_username

__all__ = [
    "LEEWAY_S",
    "Expected",
    "ProxyUser",
    "RequestRefused",
    "alike",
    "one_value",
    "user_of_claims",
    "user_of_headers",
]

#: How far the clocks of the proxy and this server may differ.
LEEWAY_S = 30.0

_NO_LETTER = re.compile("[^a-z0-9]")
_LAST_TIME = 10**11  # seconds; a time in milliseconds is beyond it


class RequestRefused(Exception):
    """A request names no user; the text is the reason, and holds no value of the request."""


@dataclass(frozen=True, slots=True)
class ProxyUser:
    """The user that a proxy names.

    Attributes:
        username: Name of the account.
        key: Hash of what the proxy distinguishes its users by.
        name: Name for display; empty if unknown.
        email: E-mail address; empty if unknown.
        groups: Names of the user's groups.
    """

    username: str
    key: str
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the claims of an assertion must be.

    Attributes:
        issuer: The required ``iss``.
        audience: The value that ``aud`` must equal or contain.
        username: The claim that becomes the username.
        signer: The required ``signer``; empty if the proxy has none.
    """

    issuer: str
    audience: str
    username: str = "sub"
    signer: str = ""


def alike(name: str) -> str:
    """Return the same text for all names that some server takes for the same header.

    CGI and WSGI do not distinguish ``-`` from ``_``, and some proxies not from ``.``: a proxy that
    removes only one of them from a request lets the visitor write the other.
    """
    return _NO_LETTER.sub("-", name.lower())


def one_value(headers: Iterable[tuple[str, str]], wanted: str) -> str | None:
    """Return the value of a header; None if it is missing.

    Args:
        headers: All headers of a request, each character of a value a byte.
        wanted: The name.

    Raises:
        RequestRefused: It came twice, in another spelling, empty, or is no plain UTF-8.
    """
    found = [(name, value) for name, value in headers if alike(name) == alike(wanted)]
    if any(name.lower() != wanted.lower() for name, _ in found):
        raise RequestRefused(f"another spelling of the header {wanted}")
    if len(found) > 1:
        raise RequestRefused(f"the header {wanted} more than once")
    if not found:
        return None
    try:
        text = found[0][1].encode("latin-1").decode("utf-8").strip(" \t")  # RFC 9110, section 5.5
    except UnicodeError:
        text = ""
    if not text or not is_plain(text):
        raise RequestRefused(f"no plain UTF-8 text in the header {wanted}")
    return text


def user_of_headers(
    headers: Iterable[tuple[str, str]], *, user: str, name: str, email: str, groups: str
) -> ProxyUser | None:
    """Return the user that plain headers name; None without the header of the user.

    Args:
        headers: All headers of a request.
        user: Name of the header with the username.
        name: Name of the header with the name for display; empty if there is none.
        email: Name of the header with the e-mail address; empty if there is none.
        groups: Name of the header with the groups; empty if there is none.

    Raises:
        RequestRefused: A header is ambiguous, or no username.
    """
    listed = list(headers)
    found = {
        header: one_value(listed, header) or "" for header in (user, name, email, groups) if header
    }
    username = found[user]
    for header in filter(None, (user, email)):
        if "," in found[header]:  # a proxy may join two headers of one name: RFC 9110, section 5.3
            raise RequestRefused(f"more than one value in the header {header}")
    if not username:
        return None
    if not is_username(username):
        raise RequestRefused(f"no username in the header {user}")
    return ProxyUser(
        username,
        digest("proxy-header", username),
        found.get(name, ""),
        found.get(email, ""),
        _names(found.get(groups, "").split(",")),
    )


def user_of_claims(claims: Mapping[str, Any], expected: Expected, now: float) -> ProxyUser:
    """Return the user of an assertion whose signature is valid.

    Args:
        claims: Its claims.
        expected: What they must be.
        now: The time, in seconds since the epoch.

    Raises:
        RequestRefused: They are those of another issuer or for another audience, not valid now, or
            name no user.
    """
    audience = claims.get("aud")
    if claims.get("iss") != expected.issuer:
        raise RequestRefused("an assertion of another issuer")
    if expected.audience not in (audience if isinstance(audience, list) else [audience]):
        raise RequestRefused("an assertion for another audience")
    if expected.signer and claims.get("signer") != expected.signer:
        raise RequestRefused("an assertion of another signer")
    _check_times(claims, now)
    subject, username = claims.get("sub"), claims.get(expected.username)
    if not isinstance(subject, str) or not subject:
        raise RequestRefused("an assertion without a subject")
    if not is_username(username):
        raise RequestRefused(f"an assertion without a username in {expected.username}")
    verified = claims.get("email_verified", True)
    if expected.username == "email" and not (verified is True or verified == "true"):
        raise RequestRefused("an assertion with an e-mail address that is not verified")
    groups = claims.get("groups")
    return ProxyUser(
        username,
        digest("proxy-subject", expected.issuer, subject),
        _text(claims.get("name")),
        _text(claims.get("email")),
        _names(groups if isinstance(groups, list) else ()),
    )


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    ends, starts = claims.get("exp"), [claims.get(name, 0) for name in ("nbf", "iat")]
    if not all(_is_time(time) for time in (ends, *starts)) or not ends:
        raise RequestRefused("an assertion without a valid exp, nbf or iat")
    if now >= ends + LEEWAY_S:
        raise RequestRefused("an assertion that has expired")
    if any(now < start - LEEWAY_S for start in starts):
        raise RequestRefused("an assertion of the future; set the clocks of both machines")


def _is_time(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < _LAST_TIME  # type: ignore[operator]


def _text(value: object) -> str:
    return value if isinstance(value, str) and is_plain(value) else ""


def _names(groups: Iterable[object]) -> tuple[str, ...]:
    return tuple(name for group in groups if (name := _text(group).strip()))
