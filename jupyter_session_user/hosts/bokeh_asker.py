"""The visitor of a Bokeh page that began before our wrappers were installed.

Such a page was in the making before our import, often by its own code.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

from jupyter_session_user.upstream.bokeh import request_of_page
from jupyter_session_user.upstream.tornado import close_handler_of

__all__ = ["asker_of_page", "of_first_request"]

#: Returns the handler of a request of Bokeh's ASGI app; set where that is loaded.
of_first_request: Callable[[Any], Any] | None = None


def asker_of_page(document: Any) -> Any:
    """Return the handler of the request of a page that no wrapper has seen.

    The page was in the making before our import, and Bokeh 3.10 makes pages in tasks and threads of
    their own.
    """
    request = request_of_page(document)
    if request is None:
        return None
    handler_class = sys.modules["bokeh.server.views.auth_request_handler"].AuthRequestHandler
    for handler in _handlers_at_work(request):
        if isinstance(handler, handler_class) and getattr(handler, "request", None) is request:
            return handler
    return None if of_first_request is None else of_first_request(request)


def _handlers_at_work(request: Any) -> Iterator[Any]:
    """Yield the possible handlers of a request: Tornado's close callback, and the loop's tasks."""
    yield close_handler_of(request)
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # Bokeh makes the documents of functions in threads
        tasks = set()
    for task in tasks:
        frame = getattr(task.get_coro(), "cr_frame", None)
        yield None if frame is None else frame.f_locals.get("self")
