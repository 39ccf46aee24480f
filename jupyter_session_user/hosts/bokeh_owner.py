"""The visitor that a Bokeh document belongs to, independent of the visitor that asks."""

from __future__ import annotations

from typing import Any

from jupyter_session_user.errors import IdentityUnavailable
from jupyter_session_user.hosts.base import HostSession
from jupyter_session_user.hosts.bokeh import owners
from jupyter_session_user.hosts.bokeh_extension import unnamed_page

__all__ = ["session_of"]


def session_of(document: Any) -> HostSession:
    """Return the session of the visitor that requested a document.

    Raises:
        IdentityUnavailable: The document has no visitor, or its visitor is unknown.
    """
    try:
        owner = owners[document]
    except (KeyError, TypeError):  # TypeError: an object that cannot be a document
        raise IdentityUnavailable(
            f"This {type(document).__name__} is no page that a visitor of this process has "
            "opened. Keep the document in the page's script (doc = pn.state.curdoc, or curdoc()), "
            "and pass that: get_session(of=doc).",
            reason="no_context",
        ) from None
    if owner is None:
        raise unnamed_page()
    return owner.session()
