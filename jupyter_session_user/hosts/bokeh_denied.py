"""What a page of Bokeh's or Panel's shows when ``require_user`` refuses its visitor.

Without this, a page of Bokeh's stays empty, one of Panel's shows its spinner for ever, and a
refused click does nothing that its visitor could see.
"""

from __future__ import annotations

import functools
import html
import logging
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from jupyter_session_user.errors import AccessDenied
from jupyter_session_user.upstream import wrap, wrap_if_there
from jupyter_session_user.upstream.bokeh import FUNCTION_OF_HANDLER

__all__ = ["install", "show_over_page", "shown_over"]

#: The modules that record the error of an app's code, by a function that they import by name.
_RECORDERS = (
    "bokeh.application.handlers.code_runner",
    "bokeh.application.handlers.function",
    "panel.io.handlers",
)
#: The name of our model in a document: a later refusal replaces the text of an earlier one.
_NAME = "jupyter_session_user_refusal"
_STYLES = {
    "background": "#fdecea",
    "border": "1px solid #b3261e",
    "border-radius": "4px",
    "color": "#410e0b",
    "font": "16px/1.5 system-ui, sans-serif",
    "max-width": "36rem",
    "padding": "0.75rem 1rem",
}
_OVER_PAGE = {"position": "fixed", "right": "1rem", "bottom": "1rem", "z-index": "10000"}

_log = logging.getLogger("jupyter_session_user")


def install() -> None:
    """Wrap the places that catch the errors of an app's code; safe to repeat."""
    for module in filter(None, map(sys.modules.get, _RECORDERS)):
        wrap_if_there(module, "handle_exception", _recording)
        handler = getattr(module, "FunctionHandler", None)
        if handler is not None:
            wrap_if_there(handler, "modify_document", _running)


def show_over_page(document: Any, error: AccessDenied) -> None:
    """Show a refusal on a page that is open in a browser; from any thread."""
    if getattr(document, "session_context", None) is not None:
        document.add_next_tick_callback(functools.partial(_show, document, error, _OVER_PAGE))


def shown_over(document: Any, function: Callable[[], Any]) -> Any:
    """Run a callback of a document without a visitor of its own, such as a preview's."""
    try:
        return function()
    except AccessDenied as error:
        show_over_page(document, error)
        raise


def _recording(original: Any) -> Any:
    """Wrap ``handle_exception``: a refusal is no fault of the app, and has a page of its own."""

    def handle_exception(handler: Any, error: Exception) -> Any:
        if not isinstance(error, AccessDenied):
            return original(handler, error)
        return _show_alone(sys.modules["bokeh.io"].curdoc(), error)

    return handle_exception


def _running(original: Any) -> Any:
    """Wrap ``modify_document`` of an app that is a function: Panel itself shows a traceback."""

    def modify_document(self: Any, document: Any) -> Any:
        if hasattr(self, FUNCTION_OF_HANDLER):
            wrap(self, FUNCTION_OF_HANDLER, _guarding, "bokeh")
        return original(self, document)

    return modify_document


def _guarding(function: Callable[[Any], Any]) -> Any:
    def guarded(document: Any) -> Any:
        try:
            return function(document)
        except AccessDenied as error:
            return _show_alone(document, error)

    return guarded


def _show_alone(document: Any, error: AccessDenied) -> None:
    """Show a refusal in place of the page: what the app has made until then is removed."""
    _log.info("A page was refused: %s", error)
    document.clear()
    _show(document, error, {"margin": "15vh auto 0"})


def _show(document: Any, error: AccessDenied, place: dict[str, str]) -> None:
    text = html.escape(error.sentence)
    shown = document.get_model_by_name(_NAME)
    if shown is not None:
        shown.text = text
        return
    div: Any = import_module("bokeh.models").Div
    role = {"html_attributes": {"role": "alert"}} if "html_attributes" in div.properties() else {}
    document.add_root(div(text=text, name=_NAME, styles={**_STYLES, **place}, **role))
