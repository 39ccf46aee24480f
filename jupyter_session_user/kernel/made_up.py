"""Makes up users, for tests and for work on a laptop: no server knows them."""

from __future__ import annotations

import inspect
import json
import logging
import math
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone

from jupyter_session_user.core.cookies import CookieJar, RawCookie
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.errors import ConfigurationError, WrongArgument

__all__ = ["SOURCE", "VARIABLE", "MadeUp", "made_up", "note_ignored", "of_environment"]

#: A session, and the cookies of its browser.
MadeUp = tuple[Session, CookieJar]

#: ``session.source`` of a fake user. Its ``verified`` is always False.
SOURCE = "fake"
#: The environment variable with the fake user of this process: a username, or a JSON object with
#: the arguments of :func:`made_up`.
VARIABLE = "JUPYTER_SESSION_USER_FAKE"

_log = logging.getLogger("jupyter_session_user")
#: The fake user by the variable's value: the same session each time, and one warning.
_of_variable: dict[str, MadeUp] = {}
#: The hosts for which the log says that the variable is ignored.
_ignored_in: set[str] = set()


def made_up(
    username: str,
    *,
    display_name: str = "",
    groups: str | Iterable[str] = (),
    cookies: Mapping[str, str] | None = None,
    expires_in: float | None = None,
) -> MadeUp:
    """Return the session and the cookies of a user that does not exist.

    Args:
        username: The user's name.
        display_name: The name for display; the username without one.
        groups: The user's groups.
        cookies: The cookies of the user's browser, by name.
        expires_in: Remaining time of the login in seconds; None for an unknown end.

    Raises:
        WrongArgument: An argument has the wrong type.
    """
    names = _texts("groups", [groups] if isinstance(groups, str) else groups)
    jar = _texts("cookies", [text for pair in (cookies or {}).items() for text in pair])
    if not all(_texts("username", [username])):
        raise WrongArgument('fake_user needs a username: write fake_user("ada")')
    number = isinstance(expires_in, int | float) and not isinstance(expires_in, bool)
    if expires_in is not None and not (number and math.isfinite(expires_in)):
        raise WrongArgument("fake_user: expires_in is not a number of seconds; write expires_in=60")
    now = datetime.now(timezone.utc)
    session = Session(
        id=secrets.token_hex(16),
        user=User(username, display_name, groups=names),
        source=SOURCE,
        verified=False,
        authenticated_at=now,
        last_seen_at=now,
        expires_at=None if expires_in is None else now + timedelta(seconds=expires_in),
        expiry_source="" if expires_in is None else SOURCE,
    )
    pairs = zip(jar[::2], jar[1::2], strict=True)
    raw = tuple(RawCookie(name, Secret(value)) for name, value in pairs)
    return session, CookieJar(raw)


def of_environment() -> MadeUp | None:
    """Return the fake user that :data:`VARIABLE` names; None without one.

    Raises:
        ConfigurationError: The value is neither a username nor such a JSON object.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    known = _of_variable.get(value)
    if known is None:
        known = _of_variable[value] = _read(value)
        _log.warning("%s makes up the user of this process: %r", VARIABLE, known[0].user)
    return known


def note_ignored(host: str) -> None:
    """Log, once for each host, that its app gets no fake user, and why.

    Args:
        host: The host's name.
    """
    if host not in _ignored_in and os.environ.get(VARIABLE):
        _ignored_in.add(host)
        _log.error(
            "%s is ignored in this app (%s): it names its visitors, or can name them, so a visitor "
            "without a login stays anonymous. Log in, or take the app's login out while you work "
            "on it (user=, trusted_header=, an authentication middleware, auth=).",
            VARIABLE,
            host,
        )


def _read(value: str) -> MadeUp:
    text = value.strip()
    try:
        fields = json.loads(text) if text.startswith("{") else {"username": text}
        inspect.signature(made_up).bind(**fields)
        return made_up(**fields)
    except (TypeError, AttributeError, ValueError):  # WrongArgument is a TypeError
        pass
    raise ConfigurationError(
        f"{VARIABLE} cannot be read. Set it to a username, or to a JSON object with username, "
        'display_name, groups, cookies and expires_in: {"username": "ada", "groups": ["finance"]}'
    )


def _texts(argument: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return the values.

    Raises:
        WrongArgument: One of them is not a text.
    """
    kept = tuple(values)
    if not all(isinstance(value, str) for value in kept):
        raise WrongArgument(f"fake_user: {argument} has a value that is not a text; pass texts")
    return kept
