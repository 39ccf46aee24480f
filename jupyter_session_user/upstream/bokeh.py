"""The private names of Bokeh's server, each behind a function or a constant that explains it."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ASGI_AUTHENTICATES",
    "ASGI_READS_REQUEST",
    "ASGI_STARTS",
    "FUNCTION_OF_HANDLER",
    "auth_policy_of",
    "document_of_callbacks",
    "document_of_context",
    "request_of_page",
]

#: Methods of ``BokehASGI``: the first step for a page or a websocket, the app's own authentication,
#: and the start of the timers.
ASGI_READS_REQUEST = "_request"
ASGI_AUTHENTICATES = "_authenticate"
ASGI_STARTS = "_ensure_started"
#: The attribute of a ``FunctionHandler`` with the app's function.
FUNCTION_OF_HANDLER = "_func"


def document_of_callbacks(callbacks: Any) -> Any:
    """Return the document of its manager of callbacks."""
    return callbacks._document()  # noqa: SLF001 - see the module


def document_of_context(session_context: Any) -> Any:
    """Return the document of a session's context; None for a context of another kind."""
    return getattr(session_context, "_document", None)


def request_of_page(document: Any) -> Any:
    """Return the real request that asked for a page: the public one is a copy from the token.

    None if no request asked for it (``--warm``, ``--dev``).
    """
    proxy = getattr(document.session_context, "_request", None)
    return getattr(proxy, "_request", None)


def auth_policy_of(app: Any) -> Any:
    """Return the ``AuthPolicy`` of an ASGI app; None without one."""
    return getattr(app, "_auth_policy", None)
