"""The answer to a request that ``require_user`` refuses: a page for browsers, JSON for programs."""

from __future__ import annotations

import html
import json
from typing import NamedTuple

from jupyter_session_user.errors import AccessDenied

__all__ = ["Answer", "answer", "wants_page"]

_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_JSON = "application/json"
#: Of each answer: it is for this user alone, and depends on the Accept header.
_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_UNAUTHORIZED = 401
_TITLES = {_UNAUTHORIZED: "Please log in"}
_TITLE = "You may not see this"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }}
main {{ max-width: 36rem; margin: 15vh auto 0; padding: 0 1.5rem; overflow-wrap: anywhere }}
h1 {{ font-size: 1.5rem }}
</style>
</head>
<body>
<main role="alert">
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
"""


class Answer(NamedTuple):
    """An HTTP response.

    Attributes:
        status: The status code: 401 or 403.
        headers: The headers, without the length.
        body: The body, in UTF-8.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def answer(error: AccessDenied, accept: str) -> Answer:
    """Return the response to a refused request: a short page, or ``{"detail": …}``.

    Args:
        error: The refusal.
        accept: The request's ``Accept`` header; several are joined by commas.
    """
    status = error.status_code
    headers = dict(_HEADERS)
    if status == _UNAUTHORIZED:  # RFC 9110 section 11.6.1
        headers["WWW-Authenticate"] = "Cookie"
    if not wants_page(accept):
        body = json.dumps({"detail": str(error)})
        return Answer(status, {"Content-Type": _JSON, **headers}, body.encode())
    title = _TITLES.get(status, _TITLE)
    page = _PAGE.format(title=title, text=html.escape(error.sentence))
    headers["Content-Security-Policy"] = _POLICY
    body_bytes = page.encode("utf-8", "replace")  # a surrogate cannot be sent
    return Answer(status, {"Content-Type": "text/html; charset=utf-8", **headers}, body_bytes)


def wants_page(accept: str) -> bool:
    """Return whether a client asks for HTML by name, and does not prefer JSON.

    Browsers do when they open a page. Scripts, ``curl`` and most HTTP clients accept anything
    (``*/*``), and get JSON. RFC 9110 section 12.5.1.
    """
    page = json_ = 0.0
    for entry in accept.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = _weight(parameters)
        if name in _PAGES:
            page = max(page, weight)
        elif name == _JSON:
            json_ = max(json_, weight)
    return page > 0 and page >= json_


def _weight(parameters: list[str]) -> float:
    """Return the weight of an entry, which is 1 without one, and 0 if it cannot be read."""
    given = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        weight = float(given)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
