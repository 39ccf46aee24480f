"""Responses to a user that the authority accepts and this server refuses.

A redirect to the login page would loop: the proxy or the Hub in front knows the user, and sends the
browser back at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NoReturn

from tornado import web

from jupyter_session_user.server.templates import read, render

__all__ = [
    "End",
    "ask_whether_to_sign_out",
    "refuse_with_json",
    "refuse_with_page",
]

_WHAT = {
    "expired": "Your login expired",
    "revoked": "Your login was revoked on this server",
    "signed_out": "You logged out of this server",
}
#: The names of the corresponding kernel errors.
_REASONS = {
    "expired": "SessionExpired",
    "revoked": "SessionRevoked",
    "signed_out": "SessionRevoked",
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


@dataclass(frozen=True, slots=True)
class End:
    """How a login ended.

    Attributes:
        state: ``expired``, ``revoked`` or ``signed_out``.
        since: Time of the end, in seconds since the epoch; None if it was in another process.
        until: When the refusal ends; None if only a new login helps.
    """

    state: str
    since: float | None = None
    until: float | None = None


def refuse_with_page(handler: Any, end: End) -> None:
    """Answer with a page and status 403 where Jupyter Server would redirect to the login page.

    Public routes, for example the logout page, answer as they do to anybody.

    Args:
        handler: The request.
        end: How the login ended.
    """

    def no_login_page() -> str:
        _finish(handler, "signed_out.html", title="You are logged out", how=_sentences(end))

    handler.get_login_url = no_login_page


def refuse_with_json(handler: Any, end: End) -> None:
    """Add the reason to Jupyter's status 403 for programs, on the same routes."""

    def no_login_page() -> str:
        raise web.HTTPError(403, f"{_sentences(end)} Log in again.", reason=_REASONS[end.state])

    handler.get_login_url = no_login_page


def ask_whether_to_sign_out(handler: Any) -> None:
    """Ask for confirmation if another site's page requested the sign-out.

    Raises:
        Finish: The answer is complete.
    """
    _finish(handler, "sign_out.html", title="Log out?", address=handler.request.path)


def _sentences(end: End) -> str:
    until = "" if end.until is None else f" You are refused until {_time(end.until)}."
    since = "" if end.since is None else f" at {_time(end.since)}"
    return f"{_WHAT[end.state]}{since}.{until}"


def _finish(handler: Any, template: str, **values: str) -> NoReturn:
    handler.set_status(403)
    handler.set_header("Content-Type", "text/html; charset=UTF-8")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("Content-Security-Policy", _POLICY)
    raise web.Finish(render(template, style=read("signed_in.css"), **values))


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, timezone.utc):%H:%M on %Y-%m-%d} UTC"
