"""``SessionBanner``: an anywidget, or a component of Panel, around the same two files."""

from __future__ import annotations

import functools
import importlib
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_session_user.banner.follow import STATES, Follower, kernel_id
from jupyter_session_user.errors import ConfigurationError

__all__ = ["ESM", "STYLE", "SessionBanner"]

_PACKAGE = Path(__file__).parents[1]
#: Built from ``labextension/src/banner``.
ESM = _PACKAGE / "dist" / "banner.js"
STYLE = _PACKAGE / "banner" / "banner.css"


class SessionBanner:
    """A banner that appears if a login ends, or the server or the kernel cannot be reached.

        SessionBanner()

    Otherwise it is hidden. It is an ipywidget in JupyterLab, Notebook 7 and Voila, and in marimo as
    ``marimo.ui.anywidget(SessionBanner())``.

    Args:
        texts: Replaces some or all of its texts, by their names: see ``docs/banner.md``.
        base_url: The server's base URL, if the page does not contain it; rarely needed.

    Attributes:
        state: The state shown: ``active`` is nothing, see :data:`STATES`. It can be observed:
            ``banner.observe(callback, "state")``; in Panel ``banner.param.watch``. It is about the
            user that made the banner; each browser shows the state of its own login.

    Raises:
        ConfigurationError: anywidget is missing.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a banner; the class itself is made on first use, since few kernels need it."""
        if cls is SessionBanner:
            made = _widget_class()
            return made.__new__(made, *args, **kwargs)
        return super().__new__(cls)

    def __init__(self, *, texts: Mapping[str, str] | None = None, base_url: str = "") -> None:
        """Document the arguments; the class that is really made has an ``__init__`` of its own."""

    @staticmethod
    def panel(*, texts: Mapping[str, str] | None = None, base_url: str = "", **params: Any) -> Any:
        """Return the banner as a component of Panel; anywidget is not needed.

            pn.Column(SessionBanner.panel(), app).servable()

        Args:
            texts: As above.
            base_url: As above.
            params: Further ones of a component, such as ``margin``.

        Raises:
            ConfigurationError: Panel is missing.
        """
        return _panel_class()(texts=dict(texts or {}), base_url=base_url, **params)


@functools.cache
def _widget_class() -> Any:
    try:
        anywidget: Any = importlib.import_module("anywidget")  # few need it
    except ImportError:
        raise ConfigurationError(
            "SessionBanner needs anywidget: pip install 'jupyter-session-user[widgets]'"
        ) from None
    traitlets: Any = importlib.import_module("traitlets")  # anywidget has it

    class Banner(anywidget.AnyWidget, SessionBanner):  # type: ignore[misc]
        _esm = ESM
        _css = STYLE
        state = traitlets.Enum(STATES, default_value="active").tag(sync=True)
        session_state = traitlets.Unicode("active").tag(sync=True)
        seen = traitlets.Dict().tag(sync=True)
        made_up = traitlets.Dict().tag(sync=True)
        texts = traitlets.Dict().tag(sync=True)
        base_url = traitlets.Unicode("").tag(sync=True)
        kernel_id = traitlets.Unicode("").tag(sync=True)

        def __init__(self, *, texts: Mapping[str, str] | None = None, base_url: str = "") -> None:
            follower = Follower(_teller(self))
            super().__init__(  # type: ignore[call-arg]
                texts=dict(texts or {}),
                base_url=base_url,
                kernel_id=kernel_id(),
                made_up=follower.made_up,
            )
            self._follower = follower
            self.observe(lambda change: follower.see(change["new"]), "seen")
            follower.start()

        def close(self) -> None:
            self._follower.stop()
            super().close()

        def __repr__(self) -> str:
            return _line(self)

    return Banner


@functools.cache
def _panel_class() -> Any:
    try:
        panel: Any = importlib.import_module("panel.custom")  # few need it
    except ImportError:
        raise ConfigurationError(
            "SessionBanner.panel() needs Panel: pip install 'panel>=1.5.5'"
        ) from None
    param: Any = importlib.import_module("param")  # Panel has it

    class Banner(panel.AnyWidgetComponent):  # type: ignore[misc]
        _esm = ESM
        _stylesheets = [STYLE.read_text("utf-8")]  # noqa: RUF012 - as Panel wants it
        state = param.Selector(default="active", objects=list(STATES))
        session_state = param.String("active")
        seen = param.Dict({})
        made_up = param.Dict({})
        texts = param.Dict({})
        base_url = param.String("")
        kernel_id = param.String("")

        def __init__(self, **params: Any) -> None:
            follower = Follower(_teller(self))
            params.setdefault("sizing_mode", "stretch_width")
            super().__init__(kernel_id=kernel_id(), made_up=follower.made_up, **params)
            self._follower = follower
            self.param.watch(lambda event: follower.see(event.new), "seen")
            follower.start()

        def __repr__(self, depth: int = 0) -> str:
            del depth  # of the layout that it is in; one line needs no indentation
            return _line(self)

    return Banner


def _line(banner: Any) -> str:
    """Return the banner as text, for readers without a running page: nbconvert, GitHub, a console.

    ipywidgets cuts a text after 110 characters.
    """
    return f"SessionBanner (state: {banner.state}): shown in a running notebook when a login ends"


def _teller(banner: Any) -> Any:
    """Return a function that sets both states, and does not keep the banner alive."""
    weak = weakref.ref(banner)

    def tell(state: str, session_state: str) -> None:
        here = weak()
        if here is not None:
            # Panel sends one after the other; the front end reads session_state when state changes.
            here.session_state, here.state = session_state, state

    return tell
