"""Our additions to a Bokeh page: the banner, and the error for a page without a user.

The package is a Bokeh extension with one script:

https://docs.bokeh.org/en/latest/docs/user_guide/advanced/extensions_gallery.html
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from jupyter_session_user.errors import IdentityUnavailable

__all__ = ["bring_banner", "bring_files", "unnamed_page"]

#: Bokeh's name for our extension: the package.
_PACKAGE = Path(__file__).parents[1]


def bring_files() -> None:
    """Serve our script from each process of ``--num-procs``, not only from the page's own."""
    bundle = sys.modules.get("bokeh.embed.bundle")
    if bundle is not None:
        getattr(bundle, "extension_dirs", {})[_PACKAGE.name] = _PACKAGE / "dist"


@functools.cache
def bring_banner() -> None:
    """Register us as a Bokeh extension, which requires the class of a model.

    Its script, ``dist/jupyter_session_user.js``, is then part of each page and of
    ``autoload.js``. This happens at the first request for a page: notebooks load it differently.
    """
    from bokeh.model import Model  # noqa: PLC0415 - see the table of planes

    class PageBanner(Model):
        """Represents the script; it has no instances."""


def unnamed_page() -> IdentityUnavailable:
    """Return the error for a page with an unknown visitor."""
    if not {"bokeh_fastapi.handler", "panel.io.fastapi", "fastapi"}.isdisjoint(sys.modules):
        return IdentityUnavailable(
            "This page's visitor is unknown. Put SessionUserMiddleware around the FastAPI app and "
            "what is added to it: call app.add_middleware(SessionUserMiddleware, user=…) after "
            "add_applications.",
            reason="no_context",
        )
    return IdentityUnavailable(
        "This page was made before jupyter_session_user was imported, so its visitor is "
        "unknown. Import it at the top of the app, or start the server with "
        "'python -m jupyter_session_user bokeh serve …' (or panel serve).",
        reason="no_context",
    )
